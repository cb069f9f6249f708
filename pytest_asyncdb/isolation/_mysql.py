"""aiomysql and asyncmy: how control statements travel, what they tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from pytest_asyncdb.isolation._bridge import Unbroken, await_
from pytest_asyncdb.isolation._driver import Driver, scalar
from pytest_asyncdb.isolation._shelter import Shelter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

__all__ = ["Aiomysql", "Asyncmy"]

_THERE: Final = (
    "SELECT count(*) FROM information_schema.schemata WHERE schema_name = database()"
)


class _MySQL(Driver):
    """What the drivers for MySQL and MariaDB have in common.

    Both let one string hold many statements. An error carries no state of the
    transaction, and a failed statement is undone by itself.
    """

    is_mysql = True

    def take_over(self, engine: Engine, connection: Any) -> None:
        """With autocommit off, a statement after the end would begin another."""
        engine.dialect.set_isolation_level(connection, "AUTOCOMMIT")
        Shelter(connection._connection, AsyncEngine(engine))

    def send(self, connection: Any, statements: Sequence[str]) -> int:
        await_(Unbroken(_query_all(connection._connection, "; ".join(statements))))
        return 1

    def in_transaction(self, connection: Any) -> bool:
        return bool(connection._connection.get_transaction_status())

    def defers_constraints(self, connection: Any) -> bool:
        del connection
        return False

    def check_constraints(self, connection: Any, savepoint: str) -> None:
        """Neither product defers constraints."""

    def ends_transaction(self, error: BaseException) -> bool:
        """A deadlock, or a snapshot that is too old (innodb_snapshot_isolation)."""
        return bool(error.args) and error.args[0] in {1213, 1020}

    def may_be_gone(self, error: BaseException) -> bool:
        """Unknown database, no database selected, no such table."""
        return bool(error.args) and error.args[0] in {1046, 1049, 1146}

    def is_there(self, connection: Any) -> bool:
        return bool(scalar(connection, _THERE))

    def has_kept_rows(self, connection: Any) -> bool:
        """Tables of engines such as MyISAM: ROLLBACK warns of them (error 1196)."""
        return bool(connection._connection._result.warning_count)


class Aiomysql(_MySQL):
    """aiomysql."""

    def is_closed(self, connection: Any) -> bool:
        return bool(connection._connection.closed)


class Asyncmy(_MySQL):
    """asyncmy."""

    def is_closed(self, connection: Any) -> bool:
        return not connection._connection.connected


async def _query_all(connection: Any, sql: str) -> None:
    """Send statements in one packet, and read the answer to each."""
    await connection.query(sql)
    while connection._result.has_next:
        await connection.next_result()
