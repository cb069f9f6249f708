"""How the sandbox speaks with one driver's connection."""

from __future__ import annotations

import abc
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Engine

__all__ = ["Driver", "scalar", "translate"]


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
    connect_defaults: Mapping[str, Any] = MappingProxyType({})
    """What it is told where the project says nothing else."""
    is_mysql = False
    """Whether SQL is read as MySQL and MariaDB do."""

    def take_over(self, engine: Engine, connection: Any) -> None:  # noqa: B027
        """Leave BEGIN to the sandbox; nothing to do where the driver sends none.

        `engine` has made the connection, and could make others.
        """

    @abc.abstractmethod
    def send(self, connection: Any, statements: Sequence[str]) -> int:
        """Send control statements; returns the round trips it took."""

    def send_alone(self, connection: Any, statements: Sequence[str]) -> None:
        """Send statements on a connection of an engine's that is in no transaction.

        None is left open.
        """
        self.send(connection, statements)

    def set_attribute(self, connection: Any, name: str, value: Any) -> None:
        """Set what SQLAlchemy's dialect sets on its adapter."""
        setattr(connection, name, value)

    @abc.abstractmethod
    def in_transaction(self, connection: Any) -> bool:
        """Whether the outer transaction still stands, as far as the driver knows."""

    @abc.abstractmethod
    def is_closed(self, connection: Any) -> bool:
        """Whether the connection is gone."""

    def defers_constraints(self, connection: Any) -> bool:
        """Whether the schema has constraints that are checked as late as at COMMIT."""
        return bool(scalar(connection, self.deferrable))

    @abc.abstractmethod
    def check_constraints(self, connection: Any, savepoint: str) -> None:
        """Check deferred constraints, and leave them deferred; raises as COMMIT does.

        `savepoint` is a name that nobody else has.
        """

    def drop_cursor(self, cursor: Any) -> None:  # noqa: B027
        """A cursor of the server's that cannot be closed there any more."""

    def watch_cursors(self, connection: Any) -> None:  # noqa: B027
        """A statement begins: what it opens may have to be closed in its place."""

    def abandon_cursor(self, cursor: Any) -> None:
        """The statement on the cursor was cancelled, and nobody will read its rows."""
        cursor.close()

    def forget_plans(self, connection: Any) -> None:  # noqa: B027
        """The schema has changed: what the driver has prepared may be wrong."""

    def has_failed(self, connection: Any, error: BaseException) -> bool:
        """Whether the server, after this error, refuses all that follows."""
        del connection, error
        return False

    def ends_transaction(self, error: BaseException) -> bool:
        """Whether the server, with this error, has rolled back the whole transaction.

        For servers whose errors do not tell the state of the transaction.
        """
        del error
        return False

    def may_be_gone(self, error: BaseException) -> bool:
        """Whether the error may be the first sign that the database is gone.

        For drivers whose connection outlives it.
        """
        del error
        return False

    def is_there(self, connection: Any) -> bool:
        """Whether the connection's database is; asked after such an error."""
        del connection
        return True

    def interrupt(self, connection: Any) -> None:  # noqa: B027
        """End the statement that runs, where cancelling its task does not."""

    def has_kept_rows(self, connection: Any) -> bool:
        """Whether the rollback that was just sent could not undo everything."""
        del connection
        return False

    def aborted_error(self) -> Exception:
        """What the driver raises for a statement in a transaction that has failed."""
        raise NotImplementedError


def translate(connection: Any, error: Exception) -> NoReturn:
    """Raise a driver's error as SQLAlchemy's adapter would."""
    handle = getattr(connection, "_handle_exception", None)
    if handle is not None:
        handle(error)
    raise error


def scalar(connection: Any, query: str) -> Any:
    """The first value of a query's first row, or None."""
    cursor = connection.cursor()
    try:
        cursor.execute(query)
        row = cursor.fetchone()
        return row[0] if row else None
    finally:
        cursor.close()
