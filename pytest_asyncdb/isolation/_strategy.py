"""What every way to isolate a test has in common: the strategy's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Dialect

    from pytest_asyncdb.isolation._finding import Finding
    from pytest_asyncdb.isolation._link import Answer
    from pytest_asyncdb.isolation._member import Member
    from pytest_asyncdb.isolation._places import Place

__all__ = ["EnclosedConnection", "Enclosure"]


class Enclosure(Protocol):
    """What encloses one test, from before its first fixture to after its last.

    `over` is true once it has been closed, `forgiving` while the plugin closes what it
    opened. With `is_shared` all sessions of the test are on one connection.
    """

    name: str
    over: bool
    forgiving: bool
    failure: Any
    has_begun: bool
    is_shared: bool
    link: Any
    traces: Any

    def connection(
        self,
        product: str,
        member: Member,
        current: Callable[[], Any],
        *,
        wide: bool,
    ) -> EnclosedConnection:
        """What the pool of an engine of that product hands out."""

    def restricted(self, what: str) -> AbstractContextManager[None]:
        """While a wider fixture is set up in the middle of the test: no writes."""

    def close(self) -> list[Finding]:
        """Undo the test. What is wrong is returned, never raised."""


class EnclosedConnection(Protocol):
    """A DBAPI connection in a test: what capture, cursors and the facade use of it."""

    member: Member
    connecting: bool
    place: Place | None
    refuses_control: bool

    def made_with(
        self, dialect: Dialect, arguments: Sequence[Any], parameters: Any
    ) -> None:
        """What the engine would have connected with."""

    def made_alone(self) -> None:
        """The engine has a way of its own to connect, which is not asked."""

    def connected(self) -> None:
        """The pool's `connect` listeners have run."""

    def left_open(self) -> None:
        """The test has ended without giving it back."""

    def statement(
        self, sql: str, operation: Callable[[], Any], *, awaits: bool = False
    ) -> Any:
        """Run one statement; `operation` is called on the bridge."""

    def fetch(self, operation: Callable[[], Any]) -> Any:
        """Ask a cursor of the server's for rows."""

    def answer(self, sql: str) -> Answer | None:
        """What the connection answers for the server; None for what it does not."""

    def take(self) -> Any:
        """The physical connection. Runs on the bridge."""

    def opened(self, cursor: Any) -> None:
        """A cursor of the server's has been opened."""

    def abandon_cursor(self, cursor: Any) -> None:
        """The statement on the cursor was cancelled."""

    def drop_cursor(self, cursor: Any) -> None:
        """Forget a cursor that cannot be closed on the server any more."""

    def commit(self) -> None:
        """End the transaction and keep what it wrote."""

    def is_there(self, sql: str) -> bool:
        """Whether the code that asks runs on the physical connection's loop already.

        It is about to send that statement.
        """

    def installs_itself(self, name: str, kwargs: Mapping[str, Any]) -> bool:
        """Whether SQLAlchemy sets up what the physical connection has already."""

    def changed(self) -> None:
        """A call of the driver's own connection may change it for good."""

    def commits_driver_calls(self) -> bool:
        """Whether a call of the driver's own connection is a transaction."""

    def driver_transaction(self, real: Any, *args: Any, **kwargs: Any) -> Any:
        """A transaction of the driver's own."""
