"""A real connection that is used from any loop: each call goes over the bridge.

Unlike in a sandbox nothing is refused or rewritten. What SQLAlchemy's adapter of the
driver can do, this can.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.backends._text import classify
from pytest_asyncdb.errors import FinishedTest
from pytest_asyncdb.isolation._bridge import await_, in_greenlet
from pytest_asyncdb.isolation._cursor import BufferedCursor
from pytest_asyncdb.isolation._facade import Facade
from pytest_asyncdb.isolation._stock import modes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from sqlalchemy import Dialect

    from pytest_asyncdb.isolation._commit import RealCommits
    from pytest_asyncdb.isolation._link import Answer
    from pytest_asyncdb.isolation._member import Member
    from pytest_asyncdb.isolation._places import Place
    from pytest_asyncdb.isolation._stock import Physical

__all__ = ["FerriedConnection"]


class FerriedConnection:
    """A DBAPI connection of one test, over a physical one that outlives it."""

    __slots__ = ("__weakref__", "_physical", "_test", "connecting", "member")

    await_ = staticmethod(await_)  # SQLAlchemy 2.0's dialects ask the connection for it
    refuses_control = False

    def __init__(self, member: Member, test: RealCommits) -> None:
        self.member = member
        self.connecting = True
        self._test = test
        self._physical: Physical | None = None

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """What listeners see that ask `isinstance`, as SQLite's recipes do."""
        return self.member.connection_class or type(self)

    # -------------------------------------------------------------------- connecting
    def made_with(
        self, dialect: Dialect, arguments: Sequence[Any], parameters: Mapping[str, Any]
    ) -> None:
        """Connect as the engine would, to the test's database."""
        del arguments
        self._physical = self._test.take(dialect, parameters, blocking=self._blocks())

    def made_alone(self) -> None:
        """Connect as the plugin does; the engine's own way leads elsewhere."""
        self.made_with(self._test.link.engine.dialect, (), {})

    def connected(self) -> None:
        """The pool's `connect` listeners have run."""
        physical = self._real_one()
        if not physical.dressed:
            physical.dressed, physical.modes = True, modes(physical.real)
        self.connecting = False

    @property
    def place(self) -> Place | None:
        """Where the application has taken it from its pool."""
        return self._physical.place if self._physical is not None else None

    @place.setter
    def place(self, place: Place | None) -> None:
        self._real_one().place = place

    def _real_one(self) -> Physical:
        """The physical connection; raises FinishedTest for a finished test's."""
        if self._physical is None or self._test.over:
            raise FinishedTest.named(self._test.name)
        return self._physical

    def _blocks(self) -> bool:
        return self.member.blocking or self._test.forgiving

    # ------------------------------------------------------------------------- DBAPI
    def cursor(self, *args: Any, **kwargs: Any) -> BufferedCursor:
        """A cursor; with any argument that is true, one of the server's."""
        return BufferedCursor(self, args, kwargs)

    def execute(self, operation: str, parameters: Any = None) -> BufferedCursor:
        """Execute on a cursor of its own, as many drivers allow."""
        cursor = self.cursor()
        cursor.execute(operation, parameters)
        return cursor

    def commit(self) -> None:
        """COMMIT."""
        self._ferry(self._real_one().real.commit, "COMMIT")

    def rollback(self) -> None:
        """ROLLBACK; what a finished test left has been rolled back already."""
        if self._physical is not None and not self._test.over:
            self._ferry(self._physical.real.rollback, "ROLLBACK")

    def close(self) -> None:
        """Roll back, and give the physical connection back."""
        physical, self._physical = self._physical, None
        if physical is not None and not self._test.over:
            self._test.give(physical, blocking=self._blocks())

    def terminate(self) -> None:
        """The engine, or the garbage collector, gave the connection up."""
        physical, self._physical = self._physical, None
        if physical is None or self._test.over:
            return
        physical.lost = True
        if in_greenlet():
            self._test.give(physical, blocking=self._blocks())
        else:
            self._test.abandon(physical)

    def __del__(self) -> None:
        """Some pools drop connections without a word."""
        if self._physical is not None and not self._test.over:
            self._test.abandon(self._physical)

    def left_open(self) -> None:
        """The test has ended without giving it back: its modes may be set."""
        if self._physical is not None:
            self._physical.lost = True

    # -------------------------------------------------------------------- statements
    def statement(
        self, sql: str, operation: Callable[[], Any], *, awaits: bool = False
    ) -> Any:
        """Run one statement; `operation` is called on the bridge."""
        del awaits
        self._note(sql)
        return self._ferry(operation, sql)

    def fetch(self, operation: Callable[[], Any]) -> Any:
        """Ask a cursor of the server's for rows."""
        return self._ferry(operation, "FETCH")

    def _ferry(self, operation: Callable[[], Any], sql: str) -> Any:
        physical, link = self._real_one(), self._test.link
        physical.running = sql
        link.round_trips += 1
        try:
            return link.bridge.call(operation, blocking=self._blocks())
        except BaseException as error:
            # Cancelled: the server may still be at it.
            physical.lost |= not isinstance(error, Exception)
            raise
        finally:
            physical.running = None

    def take(self) -> Any:
        """The physical connection. Runs on the bridge."""
        return self._real_one().real

    def answer(self, sql: str) -> Answer | None:  # noqa: ARG002
        """Nothing: the server answers."""
        return None

    def opened(self, cursor: BufferedCursor) -> None:
        """A cursor of the server's has been opened; it closes itself."""

    def abandon_cursor(self, cursor: Any) -> None:
        """The statement on it was cancelled; the connection is closed, so it is too."""

    def drop_cursor(self, cursor: Any) -> None:
        """Forget a cursor that cannot be closed on the server any more."""
        self._test.stock.driver.drop_cursor(cursor)

    # ------------------------------------------------------- the driver's connection
    @property
    def _connection(self) -> Any:
        """What `driver_connection` shows."""
        return Facade(self, self._real_one().real._connection)

    def run_async(self, fn: Callable[[Any], Awaitable[Any]]) -> Any:
        """Run a coroutine function on the driver's connection."""
        return await_(fn(self._connection))

    def is_there(self, sql: str) -> bool:
        """Whether the code that asks runs on the physical connection's loop already."""
        if not self._test.link.bridge.is_running():
            return False
        self._note(sql)
        return True

    def _note(self, sql: str) -> None:
        text = classify(sql, mysql=self.member.is_mysql)
        self._test.note(self._real_one(), text, sql, connecting=self.connecting)

    def installs_itself(self, name: str, kwargs: Mapping[str, Any]) -> bool:
        """Whether SQLAlchemy sets up what the physical connection has already."""
        return self._real_one().dressed and self.member.installs_itself(name, kwargs)

    def changed(self) -> None:
        """A driver's call may change it for good: the next test gets another one."""
        if not self.connecting:
            self._real_one().lost = True
            self._test.link.bridge.linger()

    def commits_driver_calls(self) -> bool:
        """The driver's calls are what they are."""
        return False

    def driver_transaction(self, real: Any, *args: Any, **kwargs: Any) -> Any:
        """A transaction of the driver's own."""
        return Facade(self, real.transaction(*args, **kwargs))

    # ------------------------------------------- all else that adapters have
    def add_notice_handler(self, handler: Any) -> None:
        """Psycopg's; a dialect adds the same one in every test."""
        physical = self._real_one()
        if handler not in physical.listeners:
            physical.listeners.add(handler)
            physical.real.add_notice_handler(handler)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real_one().real, name)
        if not callable(value):
            return value

        if name.startswith("tpc_"):
            self._test.prepares()

        def method(*args: Any, **kwargs: Any) -> Any:
            return self._ferry(partial(value, *args, **kwargs), name)

        return method

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            real, driver = self._real_one().real, self._test.stock.driver
            self._ferry(partial(driver.set_attribute, real, name, value), name)


_OWN: Final = frozenset({"_physical", "_test", "connecting", "member", "place"})
