"""What differs between drivers: how control statements travel, what they tell."""

from __future__ import annotations

import abc
import sqlite3
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pytest_asyncdb.isolation._bridge import Unbroken, await_

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Dialect

__all__ = ["Driver", "SqliteConnection", "driver_for", "translate"]

_ABORTED: Final = (
    "current transaction is aborted, commands ignored until end of transaction block"
)


class Driver(abc.ABC):
    """How the sandbox speaks with one driver's connection, SQLAlchemy's adapter of it.

    Every method runs where `await_` may be called.
    """

    keeps_plans = False
    """Whether the connection remembers plans that another schema makes invalid."""
    prefers_thread = False
    """Whether the thread bridge is the faster one."""
    is_direct = False
    """Whether statements await nothing; only the driver's own connection does."""
    deferrable = ""
    """A query whose one value says how many constraints can be deferred."""
    after_rollback = ""
    """What ends the session's own state, where something touched it."""
    connect_arguments: Mapping[str, Any] = MappingProxyType({})
    """What the driver has to be told when it connects."""

    def take_over(self, dialect: Dialect, connection: Any) -> None:  # noqa: B027
        """Leave BEGIN to the sandbox; nothing to do where the driver sends none."""

    @abc.abstractmethod
    def send(self, connection: Any, statements: Sequence[str]) -> int:
        """Send control statements; returns the round trips it took."""

    @abc.abstractmethod
    def in_transaction(self, connection: Any) -> bool:
        """Whether the outer transaction still stands, as far as the driver knows."""

    @abc.abstractmethod
    def is_closed(self, connection: Any) -> bool:
        """Whether the connection is gone."""

    def defers_constraints(self, connection: Any) -> bool:
        """Whether the schema has constraints that are checked as late as at COMMIT."""
        return bool(_scalar(connection, self.deferrable))

    @abc.abstractmethod
    def check_constraints(self, connection: Any, savepoint: str) -> None:
        """Check deferred constraints, and leave them deferred; raises as COMMIT does.

        `savepoint` is a name that nobody else has.
        """

    def drop_cursor(self, cursor: Any) -> None:  # noqa: B027
        """A cursor of the server's that cannot be closed there any more."""

    def forget_plans(self, connection: Any) -> None:  # noqa: B027
        """The schema has changed: what the driver has prepared may be wrong."""

    def has_failed(self, connection: Any, error: BaseException) -> bool:
        """Whether the server, after this error, refuses all that follows."""
        del connection, error
        return False

    def aborted_error(self) -> Exception:
        """What the driver raises for a statement in a transaction that has failed."""
        raise NotImplementedError


class _PostgreSQL(Driver):
    """What the drivers for PostgreSQL have in common."""

    keeps_plans = True
    deferrable = "SELECT count(*) FROM pg_constraint WHERE condeferrable"
    after_rollback = (
        "SELECT pg_advisory_unlock_all(); UNLISTEN *; CLOSE ALL; RESET ALL; "
        "DISCARD TEMP"
    )

    def take_over(self, dialect: Dialect, connection: Any) -> None:
        dialect.set_isolation_level(connection, "AUTOCOMMIT")

    def check_constraints(self, connection: Any, savepoint: str) -> None:
        # Events fired inside a savepoint are pending again after its rollback.
        controls = [
            f"SAVEPOINT {savepoint}",
            "SET CONSTRAINTS ALL IMMEDIATE",
            f"ROLLBACK TO SAVEPOINT {savepoint}",
            f"RELEASE SAVEPOINT {savepoint}",
        ]
        try:
            self.send(connection, controls)
        except Exception as error:  # noqa: BLE001
            translate(connection, error)


class _Sqlite(Driver):
    """What the two ways to SQLite have in common."""

    deferrable = (
        "SELECT count(*) FROM sqlite_master WHERE sql LIKE '%INITIALLY DEFERRED%'"
    )

    def check_constraints(self, connection: Any, savepoint: str) -> None:
        del savepoint
        if not _scalar(connection, "PRAGMA foreign_keys"):
            return
        if _scalar(connection, "PRAGMA foreign_key_check") is not None:
            raise sqlite3.IntegrityError("FOREIGN KEY constraint failed")


class Asyncpg(_PostgreSQL):
    """asyncpg: many control statements in one string, by the simple protocol."""

    def send(self, connection: Any, statements: Sequence[str]) -> int:
        await_(Unbroken(connection._connection.execute("; ".join(statements))))
        return 1

    def in_transaction(self, connection: Any) -> bool:
        return bool(connection._connection.is_in_transaction())

    def is_closed(self, connection: Any) -> bool:
        return bool(connection._connection.is_closed())

    def has_failed(self, connection: Any, error: BaseException) -> bool:
        del connection
        # What asyncpg refuses by itself, a value of the wrong type, says no severity.
        cause = error.__cause__ or error
        broken_off = not isinstance(error, Exception) or isinstance(error, TimeoutError)
        return broken_off or "severity" in vars(cause)

    def forget_plans(self, connection: Any) -> None:
        if connection._prepared_statement_cache is not None:
            connection._prepared_statement_cache.clear()
        await_(connection._connection.reload_schema_state())

    def aborted_error(self) -> Exception:
        from asyncpg.exceptions import InFailedSQLTransactionError

        return InFailedSQLTransactionError(_ABORTED)


class Psycopg(_PostgreSQL):
    """psycopg: a query without parameters and not prepared may hold many statements."""

    def send(self, connection: Any, statements: Sequence[str]) -> int:
        query = "; ".join(statements)
        await_(Unbroken(connection._connection.execute(query, prepare=False)))
        return 1

    def in_transaction(self, connection: Any) -> bool:
        return bool(connection._connection.info.transaction_status.name != "IDLE")

    def is_closed(self, connection: Any) -> bool:
        return bool(connection._connection.closed)

    def has_failed(self, connection: Any, error: BaseException) -> bool:
        status = connection._connection.info.transaction_status.name
        return not isinstance(error, Exception) or bool(status == "INERROR")

    def drop_cursor(self, cursor: Any) -> None:
        cursor._cursor._closed = True  # or it warns when it is collected

    def forget_plans(self, connection: Any) -> None:
        await_(connection._connection.execute("DEALLOCATE ALL", prepare=False))

    def aborted_error(self) -> Exception:
        from psycopg.errors import InFailedSqlTransaction

        return InFailedSqlTransaction(_ABORTED)


class Aiosqlite(_Sqlite):
    """aiosqlite, with its thread: for databases in files."""

    prefers_thread = True
    connect_arguments: Mapping[str, Any] = MappingProxyType({"isolation_level": None})

    def send(self, connection: Any, statements: Sequence[str]) -> int:
        await_(Unbroken(_execute_all(connection._connection, statements)))
        return len(statements)

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


_DRIVERS: Final[Mapping[str, type[Driver]]] = {
    "asyncpg": Asyncpg,
    "psycopg": Psycopg,
    "aiosqlite": Aiosqlite,
}


def driver_for(name: str, *, direct: bool = False) -> Driver:
    """The driver of that name; `direct` calls sqlite3 without aiosqlite's thread."""
    return Sqlite() if direct else _DRIVERS[name]()


async def _execute_all(connection: Any, statements: Sequence[str]) -> None:
    for statement in statements:
        await connection.execute(statement)


def translate(connection: Any, error: Exception) -> NoReturn:
    """Raise a driver's error as SQLAlchemy's adapter would."""
    handle = getattr(connection, "_handle_exception", None)
    if handle is not None:
        handle(error)
    raise error


def _scalar(connection: Any, query: str) -> Any:
    cursor = connection.cursor()
    try:
        cursor.execute(query)
        row = cursor.fetchone()
        return row[0] if row else None
    finally:
        cursor.close()
