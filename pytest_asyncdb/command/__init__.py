"""The command `python -m pytest_asyncdb`: what a machine has, and what runs have left.

It reads the ini file and the environment, never a conftest or the application.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.command._doctor import Nothing, diagnose
from pytest_asyncdb.command._ini import configured
from pytest_asyncdb.errors import AsyncDBError
from pytest_asyncdb.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_EXAMPLES: Final = """\
for example:
  python -m pytest_asyncdb doctor              what can be had on this machine
  python -m pytest_asyncdb doctor postgresql   can this one? if not, why not
  python -m pytest_asyncdb url postgresql      an empty database for other tools
  python -m pytest_asyncdb sweep --kept        remove it, and what runs have left

It exits with 0 for yes, 1 for no, 2 for misuse. Databases of tests are chosen by
pytest's own options: see "databases for tests" in `pytest --help`.
"""
_DATABASES: Final = (
    "as for --asyncdb; else the variable ASYNCDB, else the ini value asyncdb"
)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 for yes, 1 for no, 2 for misuse."""
    parser = _parser()
    options = parser.parse_args(words)
    if options.run is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        return int(options.run(options))
    except AsyncDBError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # who reads, such as `head`, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pytest_asyncdb",
        description="Which databases tests can have here, and what runs have left.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands")
    doctor = commands.add_parser(
        "doctor",
        help="which databases can be had here, from where, and how fast",
        description="Say of each product and source whether it can be had here. Exits"
        " with 1 when the database that was asked for cannot.",
    )
    doctor.add_argument("database", nargs="*", help=_DATABASES)
    doctor.add_argument(
        "--no-start", action="store_true", help="look only; start no server"
    )
    doctor.set_defaults(run=_doctor)
    sweep = commands.add_parser(
        "sweep",
        help="remove what dead runs have left on this machine",
        description="Stop the servers and remove the directories and containers of this"
        " user's runs whose process is gone. Every run does so too when it starts a"
        " database.",
    )
    sweep.add_argument(
        "--kept",
        action="store_true",
        help="also those in the directory for temporary files that were kept by"
        " --asyncdb-keep, --asyncdb-reuse or the command url",
    )
    sweep.add_argument(
        "--older-than",
        type=_seconds,
        default=math.inf,
        metavar="AGE",
        help="also those of which nobody can tell whether they live, from other"
        " containers, if they began so long ago: 90m, 12h, 7d",
    )
    sweep.set_defaults(run=_sweep)
    templates = commands.add_parser(
        "templates",
        help="list what later runs would use again, or drop it",
        description="List the templates on a server that a URL names, or that a run"
        " with --asyncdb-reuse has left.",
    )
    templates.add_argument("database", nargs="*", help=_DATABASES)
    templates.add_argument("--drop", action="store_true", help="drop them all")
    templates.set_defaults(run=_templates)
    url = commands.add_parser(
        "url",
        help="make an empty database for other tools, and print its URL",
        description="Print SQLAlchemy's URL of an empty database, with its password if"
        " it has one, and on the standard error a line for a shell that opens it. It"
        " stays until 'sweep --kept'.",
    )
    url.add_argument("database", nargs="?", help=_DATABASES)
    url.set_defaults(run=_url)
    return parser


def _seconds(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isdigit():
        message = f"{text!r} is no age; write 90m, 12h or 7d"
        raise argparse.ArgumentTypeError(message)
    return float(number) * units[unit]


def _asked(words: Sequence[str]) -> tuple[Settings, bool]:
    """What the words say, else the variable ASYNCDB, else the ini file; or nothing."""
    values = configured(Path.cwd())
    said = list(words) or os.environ.get("ASYNCDB", "").split() or values["targets"]
    return Settings.from_mapping(values | {"targets": said}), bool(said)


def _doctor(options: argparse.Namespace) -> bool:
    settings, asked = _asked(options.database)
    return diagnose(settings, asked=asked, starts=not options.no_start)


def _sweep(options: argparse.Namespace) -> int:
    from pytest_asyncdb.provisioning import sweep, sweep_containers

    removed = sweep(kept=options.kept, older_than=options.older_than)
    for name in (*removed, *sweep_containers(older_than=options.older_than)):
        print(f"removed {name}")
    return 0


def _templates(options: argparse.Namespace) -> int:
    from pytest_asyncdb.provisioning import Run

    settings, _ = _asked(options.database)
    for target in settings.targets:
        server = settings.server(target.product)
        with contextlib.closing(Run(target, server=server, reuse=True)) as run:
            for each in run.templates():
                if options.drop:
                    run.drop_template(each)
                used = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.used))
                what = "dropped" if options.drop else f"last used {used}"
                print(f"{target.word}  {each.name}  {what}")
    return 0


def _url(options: argparse.Namespace) -> int:
    from pytest_asyncdb.provisioning import Run

    settings, _ = _asked([options.database] if options.database else [])
    target = settings.targets[0]
    server = settings.server(target.product)
    with contextlib.closing(Run(target, keep=True, server=server)) as run:
        url = run.database(Nothing()).url
        clients = run.clients
    print(url.render_as_string(hide_password=False))
    for line in clients:
        print(f"look at it: {line}", file=sys.stderr)
    return 0
