"""A test whose sessions commit for real; what they changed is undone afterwards."""

from __future__ import annotations

import collections
import contextlib
from typing import TYPE_CHECKING, Any

from pytest_asyncdb.errors import FinishedTest, TransactionControlRefused
from pytest_asyncdb.isolation._ferry import FerriedConnection
from pytest_asyncdb.isolation._finding import Finding
from pytest_asyncdb.isolation._stock import Stock, close
from pytest_asyncdb.isolation._traces import Traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Dialect

    from pytest_asyncdb.backends._text import Text
    from pytest_asyncdb.errors import IsolationError
    from pytest_asyncdb.isolation._member import Member
    from pytest_asyncdb.isolation._stock import Physical

__all__ = ["RealCommits"]


class RealCommits:
    """One test on real connections to `stock`'s database.

    `restore` is called at its end, with what the test did, and calls `end`.
    """

    is_shared = False
    has_begun = False
    forgiving = False
    failure: IsolationError | None = None

    def __init__(
        self,
        stock: Stock,
        name: str,
        restore: Callable[[RealCommits], list[Finding]],
        *,
        flush: Sequence[str] = (),
    ) -> None:
        self.link = stock.link
        self.name = name
        self.over = False
        self.connected = False
        """Whether an engine has taken a connection."""
        self.wrote = False
        """Whether a statement ran that is not known to be a read."""
        self.traces = Traces(resets=bool(stock.driver.after_rollback))
        self.unknown = False
        """Whether a connection was closed that may have had something to tell."""
        self.stock = stock
        self._restore = restore
        self._flush = flush
        self._prepares = False
        self._out: list[Physical] = []
        self._abandoned: collections.deque[Physical] = collections.deque()

    def connection(
        self,
        product: str,
        member: Member,
        current: Callable[[], Any],
        *,
        wide: bool,
    ) -> FerriedConnection:
        """What an engine's pool hands out: a real connection."""
        del product, current, wide
        return FerriedConnection(member, self)

    @contextlib.contextmanager
    def restricted(self, what: str) -> Iterator[None]:
        """Wider fixtures have a connection of their own."""
        del what
        yield

    # ------------------------------------------------------- connections, both ways
    def take(
        self, dialect: Dialect, parameters: Mapping[str, Any], *, blocking: bool
    ) -> Physical:
        """A connection for an engine of that dialect."""
        self._end_abandoned(blocking=blocking)
        order = self.stock.order(dialect, parameters)
        physical = self.stock.take(order, blocking=blocking)
        if self.over:  # meanwhile
            self.link.bridge.call(close, physical.real, blocking=blocking)
            raise FinishedTest.named(self.name)
        self._out.append(physical)
        self.connected = True
        return physical

    def give(self, physical: Physical, *, blocking: bool) -> None:
        """An engine closes its connection: roll back what is open."""
        self._out.remove(physical)
        self.link.bridge.call(self._end, physical, blocking=blocking)

    def abandon(self, physical: Physical) -> None:
        """From the garbage collector, which may strike anywhere."""
        self._abandoned.append(physical)

    def _end_abandoned(self, *, blocking: bool) -> None:
        while self._abandoned:
            self.give(self._abandoned.popleft(), blocking=blocking)

    def _end(self, physical: Physical) -> None:
        """Clean a connection and keep it, or close it. Runs on the bridge."""
        wrote = physical.wrote
        if self.stock.clean(physical, self._flush if wrote else ()):
            self.stock.keep(physical)
        else:
            self.unknown |= wrote
            close(physical.real)

    def note(
        self, physical: Physical, text: Text, sql: str, *, connecting: bool
    ) -> None:
        """A statement is about to be sent.

        Raises TransactionControlRefused for XA: a prepared transaction of MySQL's does
        not say which database it is of, so nobody could end it afterwards.
        """
        if text.control is not None and text.control.startswith("XA"):
            raise TransactionControlRefused.nameless()
        if text.control == "PREPARE TRANSACTION":
            self.prepares()
        if connecting and text.first == "SET" and "NAMES" in sql.upper():
            return  # each new connection says so
        resets = bool(self.stock.driver.after_rollback)
        physical.session |= text.session and resets
        physical.lost |= text.sticky or (text.session and not resets)
        if not text.reads:
            physical.wrote = self.wrote = True
        self.traces.note(text)

    def prepares(self) -> None:
        """A transaction is about to be prepared, and may outlive its connection."""
        self._prepares = self.wrote = True

    # --------------------------------------------------------------------- the end
    def close(self) -> list[Finding]:
        """End the connections and undo what was committed."""
        self.over = True
        findings = list(self._in_flight())
        self._abandoned.clear()
        self.link.bridge.leave()
        return findings + self._restore(self)

    def end(self) -> None:
        """End what is still open, for `restore`. Runs on the bridge."""
        out, self._out = self._out, []
        for physical in out:
            self._end(physical)
        if self._prepares:
            self._end_prepared()

    def _end_prepared(self) -> None:
        """Roll back what was prepared and never ended; it would hold its locks."""
        how = self.stock.database.backend.restoration
        if how is None:
            return
        real = self.stock.order(self.link.engine.dialect, {}).connect()
        cursor = real.cursor()
        cursor.execute(how.prepared)
        statements = [statement for (statement,) in cursor.fetchall()]
        cursor.close()
        real.rollback()
        for statement in statements:
            self.stock.driver.send_alone(real, [statement])
        close(real)

    def _in_flight(self) -> Iterator[Finding]:
        running = [each for each in self._out if each.running is not None]
        for physical in running:
            physical.lost = True
            yield Finding(
                fatal=True,
                text=f"a task is still inside a statement: {physical.running},"
                f" on a connection taken at {physical.place}\n"
                "  what helps:\n    - await or cancel the task before the test ends",
            )
        if running or self.link.bridge.orphans:
            self.link.bridge.orphans = False
            self.link.bridge.drain()
        for physical in running:
            if not self.stock.driver.is_closed(physical.real):
                self.link.bridge.block(self.stock.driver.interrupt, physical.real)
