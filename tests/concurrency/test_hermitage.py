"""What isolation levels admit, against the published tables: 14 cases for each.

PostgreSQL's and MySQL's cells are Hermitage's (github.com/ept/hermitage, postgres.md
and mysql.md); MariaDB's `innodb_snapshot_isolation` and SQLite follow their manuals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import NullPool, select
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asyncdb.concurrency import lanes
from tests.concurrency.bank import Setup, account, emptied
from tests.concurrency.conftest import server_engine
from tests.concurrency.hermitage import CASES, play

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.concurrency.hermitage import Case
    from tests.databases import Databases

# ✗ the anomaly occurs, ✓ it does not; behind it the codes with which somebody failed.
_POSTGRESQL: Final = {
    "READ COMMITTED": "✓ | ✓ | ✓ | ✓ | ✓ | ✗ | ✗ | ✗ | ✗ | ✗ | ✗ | ✗ | ✗ | ✗",
    "REPEATABLE READ": (
        "✓ 40001 | ✓ | ✓ | ✓ | ✓ 40001 | ✓ | ✓ 40001 | ✓ 40001 | ✓ | ✓ | ✓ 40001"
        " | ✗ | ✗ | ✗"
    ),
    "SERIALIZABLE": (
        "✓ 40001 | ✓ | ✓ | ✓ 40001 | ✓ 40001 | ✓ | ✓ 40001 | ✓ 40001 | ✓ | ✓ | ✓ 40001"
        " | ✓ 40001 | ✓ 40001 | ✓ 40001"
    ),
}
_MARIADB: Final = {
    (
        "READ UNCOMMITTED",
        False,
    ): "✓ | ✗ | ✗ | ✗ | ✗ | ✗ | ✓ | ✗ | ✗ | ✗ | ✗ | ✗ | ✗ | ✗",
    ("READ COMMITTED", False): "✓ | ✓ | ✓ | ✓ | ✓ | ✗ | ✗ | ✗ | ✗ | ✗ | ✗ | ✗ | ✗ | ✗",
    ("REPEATABLE READ", False): "✓ | ✓ | ✓ | ✓ | ✓ | ✓ | ✗ | ✗ | ✓ | ✓ | ✗ | ✗ | ✗ | ✗",
    ("REPEATABLE READ", True): (
        "✓ | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ 1020 | ✓ 1020 | ✓ | ✓ | ✓ 1020 | ✗ | ✗ | ✗"
    ),
    ("SERIALIZABLE", False): (
        "✓ | ✓ | ✓ | ✓ 1213 | ✓ | ✓ | ✓ | ✓ 1213 | ✓ | ✓ | ✓ 1213 | ✓ 1213 | ✓ 1213"
        " | ✓ 1213"
    ),
}
_BUSY: Final = "✓ SQLITE_BUSY"
_SQLITE: Final = {
    Setup(begin=""): "✓ | ✓ | ✓ | ✓ | ✓ | ✗ | ✗ | ✗ | ✗ | ✗ | ✗ | ✗ | ✗ | ✗",
    Setup("BEGIN"): (
        f"✓ | ✓ | ✓ | ✓ | ✓ | ✓ | {_BUSY} | {_BUSY} | ✓ | ✓ | {_BUSY}_SNAPSHOT"
        f" | {_BUSY} | {_BUSY} | {_BUSY}_SNAPSHOT"
    ),
    Setup("BEGIN IMMEDIATE"): " | ".join(["✓"] * 14),
    Setup("BEGIN", wal=False): (
        f"✓ | ✓ | ✓ | ✓ | ✓ | ✓ | {_BUSY} | {_BUSY} | ✓ | ✓ | {_BUSY}"
        f" | {_BUSY} | {_BUSY} | {_BUSY}"
    ),
}


async def _cell(case: Case, engine: AsyncEngine, level: str | None) -> str:
    async with engine.begin() as connection:
        await emptied(connection)
    async with lanes(engine, case.transactions, isolation=level) as side_by_side:
        history = await play(case, side_by_side)
    async with engine.connect() as connection:
        rows = await connection.execute(select(account.c.id, account.c.value))
        history.rows = {row.id: row.value for row in rows}
    sign = "✗" if case.occurs(history) else "✓"
    return f"{sign} {history.errors}".strip()


async def _row(engine: AsyncEngine, level: str | None = None) -> dict[str, str]:
    return {name: await _cell(case, engine, level) for name, case in CASES.items()}


def _expected(row: str) -> dict[str, str]:
    cells: Sequence[str] = row.split(" | ")
    return dict(zip(CASES, cells, strict=True))


@pytest.mark.parametrize("server", ["postgresql+asyncpg", "postgresql+psycopg"])
@pytest.mark.parametrize("level", _POSTGRESQL)
async def test_postgresql(engine: AsyncEngine, level: str) -> None:
    """Each cell of a level is the published one."""
    assert _expected(_POSTGRESQL[level]) == await _row(engine, level)


@pytest.mark.parametrize("server", ["mariadb+asyncmy", "mariadb+aiomysql"])
@pytest.mark.parametrize(("level", "snapshot"), _MARIADB)
async def test_mariadb(
    databases: Databases, server: str, level: str, *, snapshot: bool
) -> None:
    """Each cell of a level is the published one; a setting makes one of them better."""
    plain = await server_engine(databases, server)
    said = f"SET innodb_snapshot_isolation = {'ON' if snapshot else 'OFF'}"
    arguments: dict[str, Any] = {"init_command": said}
    engine = create_async_engine(plain.url, poolclass=NullPool, connect_args=arguments)

    assert _expected(_MARIADB[level, snapshot]) == await _row(engine, level)


@pytest.mark.parametrize("file_engine", _SQLITE, indirect=True, ids=str)
async def test_sqlite(file_engine: AsyncEngine, request: pytest.FixtureRequest) -> None:
    """What it prevents follows from its one write lock, and from how one begins."""
    setup = request.node.callspec.params["file_engine"]

    assert _expected(_SQLITE[setup]) == await _row(file_engine)
