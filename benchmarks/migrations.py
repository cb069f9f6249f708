"""How long migration checks take: seconds for a history, milliseconds for a schema.

Each revision goes up, down and up again with a look at the catalog after every step;
pytest-alembic's two checks that come nearest, `up_down_consistency` and
`downgrade_leaves_no_trace`, run on the same env.py and the same server.

    python -m benchmarks.migrations
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import MetaData, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from benchmarks import _history, _peer, _timing
from benchmarks._harness import Contender, arguments, measure
from benchmarks._server import serving
from pytest_asyncdb.migrations import Runner, snapshot
from pytest_asyncdb.migrations._locks import observed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from benchmarks._server import Server

__all__ = ["histories"]

_SIZES: Final = (100, 300)
_TABLES: Final = (10, 100)
_STATEMENTS: Final = 20
_CHECKS: Final = (
    "from pytest_alembic.tests import test_up_down_consistency\n"
    "from pytest_alembic.tests.experimental import test_downgrade_leaves_no_trace\n"
)
_CONFTEST: Final = """
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

@pytest.fixture
def alembic_config():
    return {{"script_location": {location!r}}}

@pytest.fixture
def alembic_engine():
    engine = create_engine({url!r}.replace("asyncpg", "psycopg"))
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return create_async_engine({url!r})
"""


def main() -> None:
    """Measure, and print a table."""
    parser = arguments(str(__doc__), rounds=3)
    parser.add_argument("--url", help="a PostgreSQL server; an embedded one if not")
    parser.add_argument("--no-peers", action="store_true", help="only ours")
    parser.add_argument("--sizes", type=int, nargs="*", default=_SIZES)
    options = parser.parse_args()
    sizes = (20,) if options.quick else options.sizes
    with tempfile.TemporaryDirectory() as name, serving(options.url) as server:
        folder = Path(name)
        peer = None if options.no_peers else folder / "peer"
        contenders = [
            each
            for size in sizes
            for each in histories(server, folder / str(size), size, peer)
        ]
        for tables in _TABLES:
            contenders += _readers(server, tables)
        measure(contenders, options, title="migrations")


# ------------------------------------------------------------------------- histories
def histories(
    server: Server, folder: Path, size: int, peer: Path | None
) -> Iterator[Contender]:
    """Every revision checked, by ours and by the pytest-alembic in `peer`."""
    url = server.database(f"history{size}")
    _history.write(folder, size, url)
    work = f"{size} revisions"
    yield Contender(work, "ours, up down up", partial(_walk, folder, url), ours=True)
    if peer is not None:
        failed = _peer.install(peer, "pytest-alembic")
        if failed:
            print(f"pytest-alembic is left out: {failed}")
            return
        run = partial(_theirs, folder, url, peer)
        yield Contender(work, "pytest-alembic", run)


def _walk(folder: Path, url: str) -> float:
    asyncio.run(_clear(url))
    began = time.perf_counter()
    report = Runner(folder / "alembic.ini", url).report()
    took = time.perf_counter() - began
    if any(each.failures for each in report.results.values()) or report.base:
        message = "the synthetic history has findings"
        raise SystemExit(message)
    return took * 1000


async def _clear(url: str) -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        await connection.exec_driver_sql("CREATE SCHEMA public")


def _theirs(folder: Path, url: str, peer: Path) -> float:
    """What its two checks take, without the start of pytest."""
    conftest = _CONFTEST.format(location=str(folder / "migrations"), url=url)
    (folder / "conftest.py").write_text(conftest)
    (folder / "test_theirs.py").write_text(_CHECKS)
    times = folder / "calls.json"
    options = ["-q", "-p", "pytest_alembic.plugin", "-p", "benchmarks._timing"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_theirs.py"],
        cwd=folder,
        env=os.environ
        | {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": os.pathsep.join([str(peer), str(Path.cwd())]),
            _timing.CALLS: str(times),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout)
    return float(json.loads(times.read_text()))


# --------------------------------------------------------------------------- schemas
def _readers(server: Server, tables: int) -> Iterator[Contender]:
    url = server.database(f"tables{tables}")
    asyncio.run(_create(url, tables))
    work = f"a schema of {tables} tables"
    yield Contender(work, "ours", partial(_read, url, _snapshot), ours=True)
    yield Contender(work, "MetaData.reflect", partial(_read, url, _reflect))
    work = f"a statement of a migration, {tables} tables"
    yield Contender(
        work, "observed", partial(_time_statements, url, observed), ours=True
    )
    yield Contender(work, "not observed", partial(_time_statements, url, _unobserved))


async def _create(url: str, tables: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "history"
        _history.write(folder, tables * 5, url)
        await Runner(folder / "alembic.ini", url).upgrade("heads")


def _snapshot(connection: Connection) -> None:
    snapshot(connection)


def _reflect(connection: Connection) -> None:
    MetaData().reflect(connection)


def _unobserved(*_: object) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


def _time_statements(url: str, around: Callable[..., Any]) -> float:
    return asyncio.run(_statements(url, around))


async def _statements(url: str, around: Callable[..., Any]) -> float:
    """Milliseconds of a statement that changes a table, once there was one."""
    engine = create_async_engine(make_url(url), poolclass=NullPool)

    def run(connection: Connection) -> float:
        with around(connection, ()):
            connection.exec_driver_sql("ALTER TABLE t0 ADD COLUMN more integer")
            began = time.perf_counter()
            for number in range(_STATEMENTS):
                statement = f"ALTER TABLE t0 ADD COLUMN more{number} integer"
                connection.exec_driver_sql(statement)
            return (time.perf_counter() - began) * 1000 / _STATEMENTS

    async with engine.connect() as connection:
        return await connection.run_sync(run)


def _read(url: str, read: object) -> float:
    return asyncio.run(_second(url, read))


async def _second(url: str, read: object) -> float:
    """Milliseconds of the second reading on a connection."""
    engine = create_async_engine(make_url(url), poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(read)  # type: ignore[arg-type]
        began = time.perf_counter()
        await connection.run_sync(read)  # type: ignore[arg-type]
        return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
