"""aiosqlite, and sqlite3 called directly: how control statements travel."""

from __future__ import annotations

import asyncio
import sqlite3
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.isolation._bridge import Unbroken, await_
from pytest_asyncdb.isolation._driver import Driver, scalar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Aiosqlite", "Sqlite", "SqliteConnection", "WatchedConnection"]

_PAUSE: Final = 0.005
"""Seconds between two interruptions; one of nothing that runs yet has no effect."""


class _Sqlite(Driver):
    """What the two ways to SQLite have in common."""

    deferrable = (
        "SELECT count(*) FROM sqlite_master WHERE sql LIKE '%INITIALLY DEFERRED%'"
    )

    def check_constraints(self, connection: Any, savepoint: str) -> None:
        del savepoint
        if not scalar(connection, "PRAGMA foreign_keys"):
            return
        if scalar(connection, "PRAGMA foreign_key_check") is not None:
            raise sqlite3.IntegrityError("FOREIGN KEY constraint failed")


class WatchedConnection(sqlite3.Connection):
    """Knows the cursor that was opened last."""

    newest: sqlite3.Cursor | None = None

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Open a cursor."""
        self.newest = cursor = super().cursor(*args, **kwargs)
        return cursor


class Aiosqlite(_Sqlite):
    """aiosqlite, with its thread: for databases in files."""

    prefers_thread = True
    connect_arguments: Mapping[str, Any] = MappingProxyType({"isolation_level": None})
    connect_defaults: Mapping[str, Any] = MappingProxyType(
        {"factory": WatchedConnection}
    )

    def __init__(self) -> None:
        self._abandoned: list[sqlite3.Cursor] = []

    def send(self, connection: Any, statements: Sequence[str]) -> int:
        abandoned, self._abandoned = self._abandoned, []
        driver = connection._connection
        await_(Unbroken(_execute_all(driver, statements, abandoned)))
        return len(statements)

    def set_attribute(self, connection: Any, name: str, value: Any) -> None:
        """The adapter would make a future of the loop that runs here, the caller's."""
        driver = connection._connection
        await_(driver._execute(setattr, driver._conn, name, value))

    def watch_cursors(self, connection: Any) -> None:
        connected = connection._connection._conn
        if isinstance(connected, WatchedConnection):
            connected.newest = None

    def abandon_cursor(self, cursor: Any) -> None:
        """Close it later, in the driver's thread, where its statement may still run.

        SQLite releases no savepoint while a statement has rows that were not read, and
        the traceback of the cancellation keeps the cursor.
        """
        newest = getattr(cursor._connection._conn, "newest", None)
        if newest is not None:
            self._abandoned.append(newest)

    def may_be_gone(self, error: BaseException) -> bool:
        """SQLite goes on with a file that has been unlinked, and writes no more."""
        return "readonly" in str(error) or "no such table" in str(error)

    def interrupt(self, connection: Any) -> None:
        await_(_interrupt(connection._connection))

    def in_transaction(self, connection: Any) -> bool:
        return bool(connection._connection.in_transaction)

    def is_closed(self, connection: Any) -> bool:
        return connection._connection._connection is None


class Sqlite(_Sqlite):
    """sqlite3 called directly, for databases in memory: no thread, no waiting."""

    is_direct = True

    def send(self, connection: Any, statements: Sequence[str]) -> int:
        for statement in statements:
            connection.raw.execute(statement)
        return len(statements)

    def in_transaction(self, connection: Any) -> bool:
        return bool(connection.raw.in_transaction)

    def is_closed(self, connection: Any) -> bool:
        return bool(connection.closed)


class SqliteConnection:
    """An in-memory database in the shape of SQLAlchemy's adapter of aiosqlite."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self.closed = False
        self._aiosqlite: Any = None

    def cursor(self, server_side: bool = False) -> sqlite3.Cursor:  # noqa: FBT001, FBT002
        """A cursor; rows are read from memory, so none is the server's."""
        del server_side
        return self.raw.cursor()

    @property
    def _connection(self) -> Any:
        """An aiosqlite connection on the same handle, for who asks for the driver's.

        Its thread is started by the first use and ends with the handle.
        """
        if self._aiosqlite is None:
            import aiosqlite

            self._aiosqlite = aiosqlite.Connection(lambda: self.raw, 64)
            self._aiosqlite._thread.daemon = True
            await_(self._aiosqlite.__aenter__())
        return self._aiosqlite

    def create_function(self, *args: Any, **kwargs: Any) -> None:
        """Register a function with the database."""
        self.raw.create_function(*args, **kwargs)

    def close(self) -> None:
        """Close the handle, and the thread that looked after it."""
        self.closed = True
        driver, self._aiosqlite = self._aiosqlite, None
        if driver is None:
            self.raw.close()
        else:
            await_(driver.close())


async def _execute_all(
    connection: Any, statements: Sequence[str], abandoned: Sequence[sqlite3.Cursor]
) -> None:
    for cursor in abandoned:
        await connection._execute(cursor.close)
    for statement in statements:
        await connection.execute(statement)


async def _interrupt(connection: Any) -> None:
    """Until the driver's thread has come to the end of its queue."""
    idle = asyncio.ensure_future(connection._execute(_nothing))
    while not idle.done():
        connection._conn.interrupt()
        await asyncio.wait([idle], timeout=_PAUSE)


def _nothing() -> None:
    """What an idle thread answers at once."""
