"""Tests that break what they run on: each says so itself, and the next one passes."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pymysql
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from pytest_asyncdb.errors import AsyncDBError
from tests.isolation.conftest import UNTOUCHED, observe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sqlalchemy import URL

    from pytest_asyncdb.provisioning import Database
    from tests.isolation.conftest import Application, Databases, Isolations

    AppOf = Callable[[Database], Application]
    Case = Callable[[str, Application], Awaitable[Any]]

KINDS: Final = ("asyncpg", "asyncmy", "aiosqlite-file")
MODES: Final = ("sandbox", "commit", "database")
SECONDS: Final = 5.0
_KILLED: Final = {
    "asyncpg": "SELECT pg_terminate_backend(pg_backend_pid())",
    "asyncmy": "KILL CONNECTION_ID()",
}
_NAME: Final = {
    "asyncpg": "SELECT current_database()",
    "asyncmy": "SELECT database()",
    "aiosqlite-file": "SELECT file FROM pragma_database_list WHERE name = 'main'",
}
_SLOW: Final = {
    "asyncpg": "SELECT pg_sleep(30)",
    "asyncmy": "SELECT sleep(30)",
    "aiosqlite-file": (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 500000000) SELECT count(*) FROM n"
    ),
}
_LOCKED: Final = {
    "asyncpg": "LOCK TABLE users IN ACCESS EXCLUSIVE MODE",
    "asyncmy": "LOCK TABLES users WRITE",
    "aiosqlite-file": "INSERT INTO users (name) VALUES ('left')",
}


async def killed(kind: str, app: Application) -> None:
    """The test's own connection is ended."""
    async with app.engine.connect() as connection:
        await connection.exec_driver_sql(_KILLED[kind])
        await connection.exec_driver_sql("SELECT 1")


async def dropped(kind: str, app: Application) -> None:
    """The database goes, by somebody who takes no part."""
    async with app.engine.connect() as connection:
        name = str(await connection.scalar(text(_NAME[kind])))
    await asyncio.to_thread(_drop, kind, app.url, name)
    await app.add("ann")


def _drop(kind: str, url: URL, name: str) -> None:
    if kind == "aiosqlite-file":
        Path(name).unlink()
    elif kind == "asyncmy":
        with closing(
            pymysql.connect(
                user=url.username, unix_socket=str(url.query["unix_socket"])
            )
        ) as raw:
            raw.cursor().execute("SET lock_wait_timeout = 1")
            raw.cursor().execute(f"DROP DATABASE `{name}`")
    else:
        import psycopg
        from psycopg import sql

        plain = url.set(drivername="postgresql", database="postgres")
        dsn = plain.render_as_string(hide_password=False)
        with psycopg.connect(dsn, autocommit=True) as raw_pg:
            raw_pg.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


async def running(kind: str, app: Application) -> asyncio.Task[Any]:
    """A query goes on for half a minute."""

    async def query() -> None:
        async with app.engine.connect() as connection:
            await connection.exec_driver_sql(_SLOW[kind])

    task = asyncio.create_task(query())
    await asyncio.sleep(0.1)
    return task


async def locked(kind: str, app: Application) -> Any:
    """A connection stays open and holds a lock."""
    connection = await app.engine.connect()
    await connection.exec_driver_sql(_LOCKED[kind])
    return connection


async def writing(_: str, app: Application) -> asyncio.Task[Any]:
    """A task writes on and on."""

    async def write() -> None:
        for number in range(10_000):
            await app.add(f"task {number}")

    task = asyncio.create_task(write())
    await asyncio.sleep(0.05)
    return task


async def threaded(_: str, app: Application) -> threading.Thread:
    """A thread with a loop of its own does."""

    async def write() -> None:
        for number in range(10_000):
            await app.add(f"thread {number}")
            await asyncio.sleep(0.002)

    def work() -> None:
        with contextlib.suppress(asyncio.CancelledError, AsyncDBError, DBAPIError):
            asyncio.run(write())

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    await asyncio.sleep(0.05)
    return thread


SAID: Final[Mapping[Any, str]] = {
    killed: r"lost|closed|killed|terminat|Connection|connection",
    dropped: r"lost|exist|readonly|closed|terminat",
    running: "still inside a statement",
    locked: "was left open|LOCK would commit",
    writing: "a task that used the database is still running|inside a statement",
    threaded: "a thread that used the database is still running|inside a statement",
}
"""What the test is told, by an error or at its end."""
CASES: Final = [
    pytest.param(kind, mode, case, id=f"{kind}-{mode}-{case.__name__}")
    for kind in KINDS
    for mode in MODES
    for case in SAID
    if kind in _KILLED or case is not killed
]


@pytest.mark.parametrize(("kind", "mode", "case"), CASES)
async def test_what_breaks_a_test_breaks_no_other(
    kind: str,
    *,
    mode: str,
    case: Case,
    databases: Databases,
    isolations: Isolations,
    app_of: AppOf,
) -> None:
    """It is an error of that test within seconds, and the next one is as any other."""
    database, isolation = databases.get(kind), isolations.kept(kind)
    isolation.open("the one that breaks", mode=mode)
    began = time.monotonic()
    left, error = await _tried(case(kind, app_of(database)))
    findings = isolation.close()
    took = time.monotonic() - began
    isolation.open("the next", mode=mode)
    app = app_of(database)
    await app.add("ann")
    names = await app.names()
    later = isolation.close()
    await _ended(left)

    said = [*(each.text for each in findings), str(error)]
    assert any(re.search(SAID[case], text) for text in said), said
    assert SECONDS > took
    assert (["ann"], []) == (names, later)
    assert UNTOUCHED == observe(database, isolation)


async def _tried(work: Awaitable[Any]) -> tuple[Any, Exception | None]:
    """What the test leaves, or the error that it fails with."""
    try:
        return await work, None
    except (AsyncDBError, DBAPIError) as error:
        return None, error


async def _ended(left: Any) -> None:
    """What the test left has been refused meanwhile, or is closed."""
    if isinstance(left, threading.Thread):
        left.join(SECONDS)
        assert not left.is_alive()
    elif isinstance(left, asyncio.Task):
        left.cancel()
        await asyncio.wait([left], timeout=SECONDS)
        assert left.done()
        assert left.cancelled() or left.exception() is not None
    elif left is not None:
        await left.close()
