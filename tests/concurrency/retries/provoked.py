"""The errors that databases really give, each provoked for real."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = ["PROVOKED", "Error", "Shape", "attempt", "end", "next_of", "shape"]

DEADLINE: Final = 15.0
TAKE: Final = "UPDATE accounts SET balance = balance - 1 WHERE id = "


@dataclass(frozen=True)
class Shape:
    """How an error looks through SQLAlchemy."""

    kind: str
    orig: str
    cause: str
    code: object
    invalidated: bool


@dataclass(frozen=True)
class Error:
    """A provoked error, and what the next statement of the transaction gives."""

    error: DBAPIError
    following: str


def shape(error: DBAPIError) -> Shape:
    """How it looks."""
    orig: Any = error.orig
    code = getattr(orig, "sqlstate", None) or getattr(orig, "sqlite_errorname", None)
    if orig.args and isinstance(orig.args[0], int):
        code = orig.args[0]
    cause = orig.__cause__
    return Shape(
        type(error).__name__,
        type(orig).__name__,
        type(cause).__name__ if cause is not None else "",
        code,
        error.connection_invalidated,
    )


async def attempt(statement: Awaitable[object]) -> Exception | None:
    """The error of a statement; None where it succeeds."""
    try:
        await statement
    except Exception as error:  # noqa: BLE001 - it is looked at
        return error
    return None


async def next_of(connection: AsyncConnection) -> str:
    """What the next statement gives, with the balance that it sees."""
    try:
        found = await connection.scalar(text("SELECT balance FROM accounts WHERE id=2"))
    except DBAPIError as error:
        return f"{type(error).__name__} {shape(error).code or ''}".strip()
    except Exception as error:  # noqa: BLE001 - its name is the answer
        return type(error).__name__
    return f"reads {found}"


async def _after(connection: AsyncConnection, statement: Awaitable[object]) -> Error:
    error = await attempt(statement)
    assert isinstance(error, DBAPIError), repr(error)
    following = await next_of(connection)
    with contextlib.suppress(Exception):
        await connection.rollback()
    return Error(error, following)


@contextlib.asynccontextmanager
async def _two(
    engine: AsyncEngine, level: str | None = None
) -> AsyncIterator[tuple[AsyncConnection, AsyncConnection]]:
    if level is not None:
        engine = engine.execution_options(isolation_level=level)
    async with engine.connect() as first, engine.connect() as second:
        yield first, second


async def waits(done: Callable[[], Awaitable[object]]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + DEADLINE
    while not await done():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


# -------------------------------------------------------------------- PostgreSQL
async def _pid(connection: AsyncConnection) -> int:
    return int(await connection.scalar(text("SELECT pg_backend_pid()")))


async def _is_gone(engine: AsyncEngine, pid: int) -> bool:
    async with engine.connect() as other:
        query = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
        return not await other.scalar(query, {"pid": pid})


async def _is_blocked(engine: AsyncEngine, pid: int) -> bool:
    async with engine.connect() as other:
        query = text("SELECT cardinality(pg_blocking_pids(:pid)) > 0")
        return bool(await other.scalar(query, {"pid": pid}))


async def _pg_snapshot(engine: AsyncEngine) -> Error:
    async with _two(engine, "REPEATABLE READ") as (first, second):
        await second.execute(text("SELECT * FROM accounts"))
        await first.execute(text(f"{TAKE}1"))
        await first.commit()
        await second.execute(text(f"{TAKE}2"))
        return await _after(second, second.execute(text(f"{TAKE}1")))


async def _pg_at_commit(engine: AsyncEngine) -> Error:
    async with _two(engine, "SERIALIZABLE") as (first, second):
        for each in (first, second):
            await each.execute(text("SELECT sum(balance) FROM accounts"))
        await first.execute(text(f"{TAKE}1"))
        await second.execute(text(f"{TAKE}2"))
        await first.commit()
        return await _after(second, second.commit())


async def _pg_deadlock(engine: AsyncEngine) -> Error:
    async with _two(engine) as (first, second):
        await first.execute(text("SET LOCAL deadlock_timeout = '10s'"))
        await second.execute(text("SET LOCAL deadlock_timeout = '10ms'"))
        pid = await _pid(first)
        await first.execute(text(f"{TAKE}1"))
        await second.execute(text(f"{TAKE}2"))
        waiting = asyncio.create_task(attempt(first.execute(text(f"{TAKE}2"))))
        await waits(lambda: _is_blocked(engine, pid))
        found = await _after(second, second.execute(text(f"{TAKE}1")))
        await waiting
        return found


async def _pg_locked(engine: AsyncEngine) -> Error:
    async with _two(engine) as (first, second):
        await first.execute(text(f"{TAKE}1"))
        await second.execute(text("SET LOCAL lock_timeout = '20ms'"))
        await second.execute(text(f"{TAKE}2"))
        return await _after(second, second.execute(text(f"{TAKE}1")))


async def _pg_nowait(engine: AsyncEngine) -> Error:
    async with _two(engine) as (first, second):
        await first.execute(text(f"{TAKE}1"))
        query = text("SELECT * FROM accounts WHERE id = 1 FOR UPDATE NOWAIT")
        return await _after(second, second.execute(query))


async def _pg_slow(engine: AsyncEngine) -> Error:
    async with engine.connect() as only:
        await only.execute(text("SET LOCAL statement_timeout = '20ms'"))
        return await _after(only, only.execute(text("SELECT pg_sleep(10)")))


async def _pg_ended(engine: AsyncEngine, setting: str) -> Error:
    """The server ends the session, which has a transaction and asks nothing."""
    async with engine.connect() as only:
        pid = await _pid(only)
        await only.execute(text(f"SET LOCAL {setting} = '20ms'"))
        await waits(lambda: _is_gone(engine, pid))
        return await _after(only, only.execute(text("SELECT 1")))


async def _pg_idle(engine: AsyncEngine) -> Error:
    return await _pg_ended(engine, "idle_in_transaction_session_timeout")


async def _pg_transaction(engine: AsyncEngine) -> Error:
    return await _pg_ended(engine, "transaction_timeout")


async def _pg_terminated(engine: AsyncEngine) -> Error:
    async with _two(engine) as (first, second):
        pid = await _pid(second)
        await first.execute(text(f"SELECT pg_terminate_backend({pid})"))
        await waits(lambda: _is_gone(engine, pid))
        return await _after(second, second.execute(text("SELECT 1")))


async def _pg_terminated_meanwhile(engine: AsyncEngine) -> Error:
    async with _two(engine) as (first, second):
        pid = await _pid(second)
        await first.execute(text(f"{TAKE}1"))
        running = asyncio.create_task(_after(second, second.execute(text(f"{TAKE}1"))))
        await waits(lambda: _is_blocked(engine, pid))
        await first.execute(text(f"SELECT pg_terminate_backend({pid})"))
        return await running


async def _duplicate(engine: AsyncEngine) -> Error:
    async with engine.connect() as only:
        await only.execute(text(f"{TAKE}2"))
        insert = text("INSERT INTO accounts VALUES (3, 0, 7), (4, 0, 7)")
        return await _after(only, only.execute(insert))


async def _pg_read_only(engine: AsyncEngine) -> Error:
    async with engine.connect() as only:
        await only.execute(text("SET TRANSACTION READ ONLY"))
        return await _after(only, only.execute(text(f"{TAKE}1")))


# ----------------------------------------------------------------- MySQL, MariaDB
async def _my_id(connection: AsyncConnection) -> int:
    return int(await connection.scalar(text("SELECT CONNECTION_ID()")))


async def _my_waits(engine: AsyncEngine) -> bool:
    async with engine.connect() as other:
        query = text("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
        return int((await other.execute(query)).one()[1]) > 0


async def _my_is_gone(engine: AsyncEngine, number: int) -> bool:
    async with engine.connect() as other:
        query = "SELECT count(*) FROM information_schema.processlist WHERE id = :id"
        return not await other.scalar(text(query), {"id": number})


async def _my_deadlock(engine: AsyncEngine) -> Error:
    async with _two(engine) as (first, second):
        # The victim is who has written less.
        await first.execute(text("INSERT INTO receipts VALUES ('a'), ('b'), ('c')"))
        await first.execute(text(f"{TAKE}1"))
        await second.execute(text(f"{TAKE}2"))
        waiting = asyncio.create_task(attempt(first.execute(text(f"{TAKE}2"))))
        await waits(lambda: _my_waits(engine))
        found = await _after(second, second.execute(text(f"{TAKE}1")))
        await waiting
        return found


async def _my_locked(engine: AsyncEngine) -> Error:
    async with _two(engine) as (first, second):
        await first.execute(text(f"{TAKE}1"))
        await second.execute(text("SET innodb_lock_wait_timeout = 1"))
        await second.execute(text(f"{TAKE}2"))
        return await _after(second, second.execute(text(f"{TAKE}1")))


async def _my_nowait(engine: AsyncEngine) -> Error:
    async with _two(engine) as (first, second):
        await first.execute(text(f"{TAKE}1"))
        await second.execute(text(f"{TAKE}2"))
        query = text("SELECT * FROM accounts WHERE id = 1 FOR UPDATE NOWAIT")
        return await _after(second, second.execute(query))


async def _my_snapshot(engine: AsyncEngine) -> Error:
    async with _two(engine) as (first, second):
        await second.execute(text("SET innodb_snapshot_isolation = ON"))
        await second.commit()
        await second.execute(text("SELECT * FROM accounts"))
        await second.execute(text(f"{TAKE}2"))
        await first.execute(text(f"{TAKE}1"))
        await first.commit()
        return await _after(second, second.execute(text(f"{TAKE}1")))


async def _my_slow(engine: AsyncEngine) -> Error:
    async with engine.connect() as only:
        await only.execute(text("SET max_statement_time = 0.05"))
        await only.execute(text(f"{TAKE}2"))
        return await _after(only, only.execute(text("SELECT SLEEP(10)")))


async def _my_killed(engine: AsyncEngine) -> Error:
    async with _two(engine) as (first, second):
        number = await _my_id(second)
        await first.execute(text(f"KILL {number}"))
        await waits(lambda: _my_is_gone(engine, number))
        return await _after(second, second.execute(text("SELECT 1")))


async def _my_killed_meanwhile(engine: AsyncEngine) -> Error:
    async with _two(engine) as (first, second):
        number = await _my_id(second)
        await first.execute(text(f"{TAKE}1"))
        running = asyncio.create_task(_after(second, second.execute(text(f"{TAKE}1"))))
        await waits(lambda: _my_waits(engine))
        await first.execute(text(f"KILL {number}"))
        return await running


async def _my_read_only(engine: AsyncEngine) -> Error:
    """The server takes writes from its superusers only, as after a failover."""
    database = engine.url.database
    async with engine.connect() as admin:
        await admin.execute(text("CREATE OR REPLACE USER reader@localhost"))
        await admin.execute(text(f"GRANT ALL ON {database}.* TO reader@localhost"))
        await admin.execute(text("SET GLOBAL read_only = ON"))
        url = engine.url.set(username="reader", password=None)
        reader = create_async_engine(url, poolclass=NullPool)
        try:
            async with reader.connect() as only:
                return await _after(only, only.execute(text(f"{TAKE}1")))
        finally:
            await admin.execute(text("SET GLOBAL read_only = OFF"))
            await admin.execute(text("DROP USER reader@localhost"))


async def end(engine: AsyncEngine, connection: AsyncConnection) -> None:
    """Let the server end a session, whose driver hears of it before it is used."""
    is_postgresql = engine.dialect.name == "postgresql"
    number = await (_pid if is_postgresql else _my_id)(connection)
    kill = "SELECT pg_terminate_backend({})" if is_postgresql else "KILL {}"
    async with engine.connect() as other:
        await other.execute(text(kill.format(number)))
    is_gone = _is_gone if is_postgresql else _my_is_gone
    await waits(lambda: is_gone(engine, number))


# ------------------------------------------------------------------------- SQLite
@contextlib.contextmanager
def _beside(engine: AsyncEngine) -> Any:
    """Another connection to the file, which does what it is told at once."""
    path = engine.url.database
    assert path is not None
    other = sqlite3.connect(path, isolation_level=None)
    try:
        yield other
    finally:
        other.close()


async def _lite_busy(engine: AsyncEngine) -> Error:
    with _beside(engine) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        async with engine.connect() as only:
            return await _after(only, only.execute(text(f"{TAKE}1")))


async def _lite_snapshot(engine: AsyncEngine) -> Error:
    with _beside(engine) as other:
        other.execute("PRAGMA journal_mode = WAL")
        async with engine.connect() as only:
            await only.execute(text("BEGIN"))
            await only.execute(text("SELECT * FROM accounts"))
            other.execute(f"{TAKE}1")
            return await _after(only, only.execute(text(f"{TAKE}1")))


async def _lite_at_commit(engine: AsyncEngine) -> Error:
    with _beside(engine) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM accounts").fetchone()
        async with engine.connect() as only:
            await only.execute(text(f"{TAKE}1"))
            return await _after(only, only.commit())


async def _lite_shared(engine: AsyncEngine) -> Error:
    del engine
    url = "sqlite+aiosqlite:///file:asyncdb?mode=memory&cache=shared&uri=true"
    shared = create_async_engine(url, poolclass=NullPool)
    async with _two(shared) as (first, second):
        await first.execute(text("CREATE TABLE accounts (id int, balance int)"))
        await first.execute(text("INSERT INTO accounts VALUES (2, 100)"))
        found = await _after(second, second.execute(text("SELECT * FROM accounts")))
        await first.rollback()
    return found


async def _lite_read_only(engine: AsyncEngine) -> Error:
    async with engine.connect() as only:
        await only.execute(text("PRAGMA query_only = ON"))
        return await _after(only, only.execute(text(f"{TAKE}1")))


async def _lite_interrupted(engine: AsyncEngine) -> Error:
    async with engine.connect() as only:
        raw: Any = (await only.get_raw_connection()).driver_connection
        await raw.set_progress_handler(lambda: 1, 1)
        error = await attempt(only.execute(text(f"{TAKE}1")))
        await raw.set_progress_handler(None, 1)
        assert isinstance(error, DBAPIError)
        return Error(error, await next_of(only))


_MYSQL: Final = {
    "deadlock_detected": _my_deadlock,
    "lock_not_available": _my_locked,
    "lock_not_available, NOWAIT": _my_nowait,
    "serialization_failure": _my_snapshot,
    "query_canceled": _my_slow,
    "unique_violation": _duplicate,
    "connection_failure": _my_killed,
    "connection_failure, meanwhile": _my_killed_meanwhile,
    "read_only_sql_transaction": _my_read_only,
}
_POSTGRESQL: Final = {
    "serialization_failure": _pg_snapshot,
    "serialization_failure, at COMMIT": _pg_at_commit,
    "deadlock_detected": _pg_deadlock,
    "lock_not_available": _pg_locked,
    "lock_not_available, NOWAIT": _pg_nowait,
    "query_canceled": _pg_slow,
    "idle_in_transaction_session_timeout": _pg_idle,
    "transaction_timeout": _pg_transaction,
    "admin_shutdown": _pg_terminated,
    "admin_shutdown, meanwhile": _pg_terminated_meanwhile,
    "unique_violation": _duplicate,
    "read_only_sql_transaction": _pg_read_only,
}
_SQLITE: Final = {
    "lock_not_available": _lite_busy,
    "lock_not_available, at COMMIT": _lite_at_commit,
    "lock_not_available, shared cache": _lite_shared,
    "serialization_failure": _lite_snapshot,
    "unique_violation": _duplicate,
    "read_only_sql_transaction": _lite_read_only,
    "query_canceled": _lite_interrupted,
}
PROVOKED: Final = {
    "asyncpg": _POSTGRESQL,
    "psycopg": _POSTGRESQL,
    "aiomysql": _MYSQL,
    "asyncmy": _MYSQL,
    "aiosqlite": _SQLITE,
}
"""By driver and condition: what provokes it on an engine."""
