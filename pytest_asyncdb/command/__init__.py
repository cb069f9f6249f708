"""The command `python -m pytest_asyncdb`: what a machine has, and what runs have left.

It reads the ini file and the environment, never a conftest or the application.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_asyncdb.command._doctor import diagnose
from pytest_asyncdb.command._ini import configured
from pytest_asyncdb.errors import AsyncDBError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 for yes, 1 for no, 2 for misuse."""
    options = _parser().parse_args(words)
    try:
        return int(options.run(options))
    except AsyncDBError as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pytest_asyncdb", description="Databases for tests."
    )
    commands = parser.add_subparsers(title="commands", required=True)
    doctor = commands.add_parser(
        "doctor",
        help="which databases can be had here, from where, and how fast",
        description="Say of each product and source whether it can be had here. Exits"
        " with 1 when the database that was asked for cannot.",
    )
    doctor.add_argument(
        "database",
        nargs="*",
        help="as for --asyncdb; else the variable ASYNCDB, else the ini value asyncdb",
    )
    doctor.add_argument(
        "--no-start", action="store_true", help="look only; start no server"
    )
    doctor.set_defaults(run=_doctor)
    sweep = commands.add_parser(
        "sweep",
        help="remove what dead runs have left on this machine",
        description="Stop the servers and remove the directories of this user's runs"
        " whose process is gone. Every run does so too when it starts a database.",
    )
    sweep.add_argument(
        "--kept", action="store_true", help="also those kept by --asyncdb-keep"
    )
    sweep.set_defaults(run=_sweep)
    return parser


def _doctor(options: argparse.Namespace) -> bool:
    asked = options.database or os.environ.get("ASYNCDB", "").split()
    asked = asked or configured(Path.cwd())
    return diagnose(asked, starts=not options.no_start)


def _sweep(options: argparse.Namespace) -> int:
    from pytest_asyncdb.provisioning import sweep

    for removed in sweep(kept=options.kept):
        print(f"removed {removed}")
    return 0
