"""What exploring interleavings costs, and what it finds, beside frontrun.

First the cost of one schedule of two functions of two statements, against the bare
functions one after the other, on each product. Then seven pairs of functions that
compete, two of them right and five wrong: which are found, after how many schedules.
Run it as `python -m benchmarks.explorer [--json FILE] [--quick]`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from benchmarks._harness import Contender, arguments, measure
from benchmarks._peer import install
from benchmarks._races import RACES, Base, added, rows
from pytest_asyncdb.concurrency import explore, no_deadlock
from pytest_asyncdb.errors import DriverMissing, SourceUnavailable
from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.settings import parse_target

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from sqlite3 import Connection

    from sqlalchemy import URL, Connection as SyncConnection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from benchmarks._races import Race

__all__ = ["NAMES", "Verdict", "database_of_races", "judged", "judged_by_frontrun"]

SCHEDULES = 200
QUICK_SCHEDULES = 10
ROUNDS = 5
WORDS = {
    "postgresql": "postgresql+asyncpg@embedded",
    "mariadb": "mariadb+asyncmy@local",
    "sqlite": "sqlite@file",
}
DRIVERS = ("asyncpg", "psycopg")
TIMEOUT = 120
NAMES = ("frontrun", "sqlglot")


class _Schema:
    """The tables of the races."""

    key = None

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Create them."""
        await connection.run_sync(Base.metadata.create_all)


@contextlib.contextmanager
def database_of_races(product: str) -> Iterator[URL]:
    """A database with the tables of the races; its URL."""
    run = Run(parse_target(WORDS[product]))
    try:
        yield run.database(_Schema()).url
    finally:
        run.close()


@contextlib.asynccontextmanager
async def _engine(url: URL) -> AsyncIterator[AsyncEngine]:
    """An engine on the database, with nothing but the first rows in it."""
    engine = create_async_engine(url)
    if url.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", _connected)
        event.listen(engine.sync_engine, "begin", _begun)
    async with AsyncSession(engine) as session, session.begin():
        for table in reversed(Base.metadata.sorted_tables):
            await session.execute(table.delete())
        session.add_all(rows())
    try:
        yield engine
    finally:
        await engine.dispose()


def _connected(connection: Connection, _: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")


def _begun(connection: SyncConnection) -> None:
    connection.exec_driver_sql("BEGIN")


# ---------------------------------------------------------------------------- the cost
async def _bare(url: URL, count: int) -> float:
    """The two functions, one after the other, in ms."""
    async with _engine(url) as engine:
        await added(engine, 1)
        start = time.perf_counter()
        for _ in range(count):
            await added(engine, 1)
            await added(engine, 2)
        return 1000 * (time.perf_counter() - start) / count


async def _scheduled(url: URL, count: int) -> float:
    """One schedule of them, with putting its rows back, in ms."""
    async with _engine(url) as engine:
        start = time.perf_counter()
        result = await explore(
            engine,
            a=lambda: added(engine, 1),
            b=lambda: added(engine, 2),
            strategy="random",
            max_schedules=count,
            serializable=False,
            check=False,
        )
        return 1000 * (time.perf_counter() - start) / result.schedules


def _contenders(product: str, url: URL, count: int) -> Iterator[Contender]:
    work = f"two functions on {product}"
    for name, measured in (("one schedule", _scheduled), ("bare", _bare)):
        run = functools.partial(_run, measured, url, count)
        yield Contender(work, name, run, ours=name == "one schedule")


def _run(
    measured: Callable[[URL, int], Awaitable[float]], url: URL, count: int
) -> float:
    async def run() -> float:
        return await measured(url, count)

    return asyncio.run(run())


# ------------------------------------------------------------------- what is found
@dataclass(frozen=True)
class Verdict:
    """What somebody says of a race: "wrong", "right" or "unknown"."""

    said: str
    schedules: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.said}, {self.schedules} schedules, {self.seconds:.2f} s"


async def judged(race: Race, url: URL) -> Verdict:
    """What our explorer says of a race."""
    async with _engine(url) as engine:
        first, second = race.functions
        start = time.perf_counter()
        result = await explore(
            engine,
            a=lambda: first(engine),
            b=lambda: second(engine),
            invariant=no_deadlock,
            preemption_bound=None,
            check=False,
        )
        took = time.perf_counter() - start
    if result.anomaly is not None:
        return Verdict("wrong", result.anomaly.number, round(took, 2))
    said = "right" if result.complete else "unknown"
    return Verdict(said, result.schedules, round(took, 2))


def judged_by_frontrun(race: Race, url: URL, folder: Path) -> Verdict:
    """What frontrun says of it, which `folder` holds."""
    whole = url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "benchmarks._frontrun", str(folder), whole]
    try:
        done = subprocess.run(
            [*command, race.name],
            capture_output=True,
            text=True,
            check=True,
            timeout=TIMEOUT,
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return Verdict("unknown", 0, float(TIMEOUT))
    found = json.loads(done.stdout.splitlines()[-1])
    said = {True: "right", False: "wrong", None: "unknown"}[found["holds"]]
    return Verdict(said, found["schedules"], found["seconds"])


def _found(options: argparse.Namespace, folder: Path | None) -> dict[str, Any]:
    """The verdicts on every race through every driver, printed as a table."""
    table: dict[str, Any] = {}
    print(f"\n{'race':<28}{'driver':<9}{'is':<7}{'ours':<34}frontrun")
    drivers = DRIVERS[:1] if options.quick else DRIVERS
    with database_of_races("postgresql") as address:
        for race in RACES:
            for driver in drivers:
                url = address.set(drivername=f"postgresql+{driver}")
                row = {"ours": asyncio.run(judged(race, url))}
                if folder is not None:
                    row["frontrun"] = judged_by_frontrun(race, url, folder)
                truth = "wrong" if race.flaw else "right"
                shown = f"{row['ours']!s:<34}{row.get('frontrun', '')}"
                print(f"{race.name:<28}{driver:<9}{truth:<7}{shown}", flush=True)
                said = {name: asdict(each) for name, each in row.items()}
                table[f"{race.name}, {driver}"] = {"is": truth, **said}
    return table


def _arguments() -> argparse.Namespace:
    parser = arguments(__doc__ or "", rounds=ROUNDS)
    parser.add_argument(
        "--only",
        choices=WORDS,
        nargs="+",
        default=list(WORDS),
        metavar="PRODUCT",
        help=f"of {', '.join(WORDS)}, for the cost; default: all",
    )
    parser.add_argument(
        "--peers",
        type=Path,
        metavar="DIR",
        help="folder with frontrun, filled when empty; default: a temporary one",
    )
    parser.add_argument(
        "--no-peers", action="store_true", help="leave it out, install nothing"
    )
    return parser.parse_args()


def _peers(options: argparse.Namespace, default: Path) -> Path | None:
    folder: Path = options.peers or default
    problem = "--no-peers" if options.no_peers else install(folder, *NAMES)
    if problem:
        print(f"frontrun is left out: {problem}")
        return None
    return folder


def main() -> None:
    """Measure and print."""
    options = _arguments()
    count = QUICK_SCHEDULES if options.quick else SCHEDULES
    with (
        tempfile.TemporaryDirectory(prefix="asyncdb-benchmark-") as temporary,
        contextlib.ExitStack() as stack,
    ):
        folder = _peers(options, Path(temporary, "peers"))
        contenders: list[Contender] = []
        for product in options.only:
            try:
                url = stack.enter_context(database_of_races(product))
            except (DriverMissing, SourceUnavailable) as error:
                print(f"{product} is left out: {error.cause}")
                continue
            contenders += _contenders(product, url, count)
        cost = measure(contenders, options, title="One schedule and its reset, ms")
        found = _found(options, folder)
    if options.json:
        plain = {
            work: {name: asdict(result) for name, result in results.items()}
            for work, results in cost.items()
        }
        text = json.dumps({"cost": plain, "found": found}, indent=2)
        options.json.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
