"""asyncpg and psycopg: how control statements travel, what they tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.isolation._bridge import Unbroken, await_
from pytest_asyncdb.isolation._driver import Driver, translate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

__all__ = ["Asyncpg", "Psycopg"]

_ABORTED: Final = (
    "current transaction is aborted, commands ignored until end of transaction block"
)


class _PostgreSQL(Driver):
    """What the drivers for PostgreSQL have in common."""

    keeps_plans = True
    deferrable = "SELECT count(*) FROM pg_constraint WHERE condeferrable"
    after_rollback = (
        "SELECT pg_advisory_unlock_all(); UNLISTEN *; CLOSE ALL; RESET ALL; "
        "DISCARD TEMP"
    )

    def take_over(self, engine: Engine, connection: Any) -> None:
        engine.dialect.set_isolation_level(connection, "AUTOCOMMIT")

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

    def send_alone(self, connection: Any, statements: Sequence[str]) -> None:
        before = connection.autocommit
        connection.set_autocommit(True)
        try:
            self.send(connection, statements)
        finally:
            connection.set_autocommit(before)

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
