"""Ours beside what people use today: one interleaved run, JSON and a table in Markdown.

Each other package is installed from the index at its newest release, into a temporary
folder; all do the same work on the same server. Run it on a machine that does nothing
else, as `python -m benchmarks.compare [--page] [--json FILE] [--markdown FILE]`; with
`--page` it brings docs/comparison.md up to date. `--quick` only shows that it works.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import NullPool, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks import explorer, factories, isolation, migrations
from benchmarks._comparison import replaced, tables
from benchmarks._harness import Contender, arguments, measure
from benchmarks._peer import install, versions
from benchmarks._races import RACES, Base
from benchmarks._server import Server, serving

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import URL

    from benchmarks._harness import Report
    from benchmarks._races import Race

__all__: list[str] = []

ROUNDS: Final = 5
TESTS: Final = 200
OBJECTS: Final = 1000
REVISIONS: Final = 100
QUICK: Final = {"tests": 5, "objects": 10, "revisions": 5}
HERE: Final = Path(__file__).parent
PAGE: Final = HERE.parent / "docs" / "comparison.md"
SAVED: Final = HERE / "comparison.json"
COMPARED: Final = (
    "pytest-sqla",
    "pytest-postgresql",
    "pytest-mock-resources",
    "pytest-alembic",
    "async-factory-boy",
    "polyfactory",
    "frontrun",
)
READ: Final = (
    "pytest-async-sqlalchemy",
    "sqlalchemy-pytest",
    "pytest-databases",
    "py-pglite",
)
BESIDES: Final = ("sqlglot", *isolation.PEERS)
OURS: Final = (
    "pytest-asyncdb",
    "SQLAlchemy",
    "asyncpg",
    "aiosqlite",
    "alembic",
    "factory-boy",
    "pytest",
    "pytest-asyncio",
)
ABOUT: Final = {
    "A test": "A test that adds and commits a row and selects it, in a schema of ten "
    "tables: what it takes over an empty test, fixtures included. "
    "pytest-postgresql and pytest-mock-resources give each test a database, the others "
    "a transaction.",
    "Factories": "A batch of objects, each user with a column that the server fills "
    "in, each post with a user of its own.",
    "Migrations": "Each revision up, down and up again with a look at the catalog, "
    "against pytest-alembic's `up_down_consistency` and `downgrade_leaves_no_trace`.",
    "Races": "Two functions that run against each other on asyncpg: until somebody "
    "says that they are right or wrong, at most 40 seconds for each attempt.",
}


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a comparison runs, and how much work it is."""

    folder: Path
    server: Server
    peers: Path | None
    tests: int
    objects: int
    revisions: int
    races: Sequence[Race]
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def parts(self, names: Sequence[str]) -> Mapping[str, Sequence[Contender]]:
        """The contenders of each part that is named."""
        made = {
            "A test": self._isolation,
            "Factories": self._factories,
            "Migrations": self._migrations,
            "Races": self._races,
        }
        return {name: [*make()] for name, make in made.items() if name in names}

    def _isolation(self) -> Iterator[Contender]:
        bench = isolation.Bench(self.folder, self.server, self.tests, self.peers)
        yield from isolation.contenders(bench, ["postgresql", "sqlite"])

    def _factories(self) -> Iterator[Contender]:
        urls = {
            "postgresql": self.server.database("factories"),
            "sqlite": "sqlite+aiosqlite://",
        }
        for database, url in urls.items():
            yield from factories.contenders(
                database, url, self.objects, peers=self.peers is not None
            )

    def _migrations(self) -> Iterator[Contender]:
        folder = self.folder / "history"
        yield from migrations.histories(self.server, folder, self.revisions, self.peers)

    def _races(self) -> Iterator[Contender]:
        url = make_url(self.server.database("races"))
        asyncio.run(_create(url))
        for race in self.races:
            ours = partial(self._judged, race, "ours", url)
            yield Contender(race.name, "ours", ours, ours=True)
            if self.peers:
                theirs = partial(self._judged, race, "frontrun", url)
                yield Contender(race.name, "frontrun", theirs)

    def _judged(self, race: Race, who: str, url: URL) -> float:
        """What somebody says of a race is kept; gives the milliseconds that it took."""
        if who == "ours":
            verdict = asyncio.run(explorer.judged(race, url))
        else:
            assert self.peers is not None  # noqa: S101 - or it is no contender
            verdict = explorer.judged_by_frontrun(race, url, self.peers)
        truth = "wrong" if race.flaw else "right"
        said = self.verdicts.setdefault(race.name, {"is": truth})
        said.setdefault(who, []).append(verdict.said)
        return 1000 * verdict.seconds


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print, and write what was asked for."""
    options = _options(words)
    with (
        tempfile.TemporaryDirectory(prefix="asyncdb-benchmark-") as folder,
        serving(options.postgresql, tcp=True) as server,
    ):
        peers = _peers(options, Path(folder, "peers"))
        work = (
            QUICK if options.quick else {name: getattr(options, name) for name in QUICK}
        )
        races = RACES[:1] if options.quick else RACES
        bench = Bench(Path(folder), server, peers, races=races, **work)
        parts = bench.parts(options.only)
        before = os.getloadavg()
        contenders = [each for part in parts.values() for each in part]
        report = measure(contenders, options, title="All parts, ms")
        loads = [f"{load[0]:.1f}" for load in (before, os.getloadavg())]
    data = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{_machine()}; {_amount(work)}",
        "rounds": 1 if options.quick else options.rounds,
        "load": loads,
        "versions": _versions(peers),
        "about": {name: ABOUT[name] for name in parts},
        "measured": _measured(parts, report),
        "verdicts": bench.verdicts,
    }
    _write(data, options)


def _measured(
    parts: Mapping[str, Sequence[Contender]], report: Report
) -> dict[str, dict[str, dict[str, Any]]]:
    return {
        part: {
            work: {name: asdict(result) for name, result in report[work].items()}
            for work in dict.fromkeys(each.work for each in contenders)
        }
        for part, contenders in parts.items()
    }


def _write(data: Mapping[str, Any], options: argparse.Namespace) -> None:
    text = json.dumps(data, indent=2) + "\n"
    if options.json:
        options.json.write_text(text, encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(f"{tables(data)}\n", encoding="utf-8")
    if options.page:
        SAVED.write_text(text, encoding="utf-8")
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(replaced(page, data), encoding="utf-8")


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = arguments(__doc__ or "", rounds=ROUNDS)
    for name, default in (
        ("tests", TESTS),
        ("objects", OBJECTS),
        ("revisions", REVISIONS),
    ):
        text = f"{name} of each contender, default {default}"
        parser.add_argument(f"--{name}", type=int, default=default, help=text)
    parser.add_argument(
        "--only",
        choices=ABOUT,
        nargs="+",
        default=list(ABOUT),
        metavar="PART",
        help=f"of {', '.join(map(repr, ABOUT))}; default: all",
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the tables there"
    )
    parser.add_argument(
        "--page", action="store_true", help="write them into docs/comparison.md"
    )
    parser.add_argument(
        "--postgresql",
        metavar="URL",
        help="server to run on (driver asyncpg); default: an embedded one",
    )
    parser.add_argument(
        "--peers",
        type=Path,
        metavar="DIR",
        help="folder with the other packages, filled when empty; default: a temporary "
        "one",
    )
    parser.add_argument(
        "--no-peers", action="store_true", help="leave them out, install nothing"
    )
    return parser.parse_args(words)


def _peers(options: argparse.Namespace, default: Path) -> Path | None:
    """The folder with the other packages; a comparison without them has to be meant."""
    if options.no_peers:
        return None
    folder: Path = options.peers or default
    problem = install(folder, *dict.fromkeys((*COMPARED, *READ, *BESIDES)))
    if problem:
        sys.exit(f"the other packages cannot be had: {problem}")
    sys.path.append(str(folder))
    return folder


def _versions(peers: Path | None) -> dict[str, dict[str, str]]:
    found = versions(peers) if peers else {}
    return {
        "here": {"Python": platform.python_version(), **{n: version(n) for n in OURS}},
        "measured": {name: found[name] for name in COMPARED if name in found},
        "only read": {name: found[name] for name in READ if name in found},
    }


def _machine() -> str:
    """Its class: how many cores it has, and whether they are virtual."""
    path = Path("/proc/cpuinfo")
    virtual = path.exists() and " hypervisor" in path.read_text(encoding="utf-8")
    return f"{os.cpu_count()} {'virtual ' if virtual else ''}cores, {sys.platform}"


def _amount(work: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in work.items())


async def _create(url: URL) -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()


if __name__ == "__main__":
    main()
