"""What an engine's pool hands out in a test: a transaction within the sandbox.

Each class lists what its driver's connection can do. What is not listed raises: a
member that reached the real connection would change it for every session and every
test.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.backends._text import classify
from pytest_asyncdb.errors import (
    EngineRefused,
    FinishedTest,
    TransactionControlRefused,
)
from pytest_asyncdb.isolation._bridge import await_, cooperates, in_greenlet
from pytest_asyncdb.isolation._cursor import BufferedCursor
from pytest_asyncdb.isolation._facade import Facade
from pytest_asyncdb.isolation._pragma import Pragma

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from sqlalchemy import Dialect

    from pytest_asyncdb.backends._text import Text
    from pytest_asyncdb.isolation._link import Answer
    from pytest_asyncdb.isolation._member import Member
    from pytest_asyncdb.isolation._places import Place
    from pytest_asyncdb.isolation._sandbox import Sandbox
    from pytest_asyncdb.isolation._transactions import Transaction

__all__ = ["SandboxConnection"]

_SETTING: Final = frozenset({"SET", "RESET"})
_PINGS: Final = frozenset({";", "SELECT 1", "select 1"})


class SandboxConnection:
    """A DBAPI connection whose BEGIN, COMMIT and ROLLBACK are savepoints.

    `connecting` is true while the pool runs its `connect` listeners; `wide` connections
    were opened by a fixture that is wider than a test; `place` is where one was taken
    from the pool, until a transaction begins.
    """

    __slots__ = (
        "__weakref__",
        "_current",
        "_cursors",
        "_sandbox",
        "_transaction",
        "_wants_autocommit",
        "_wide",
        "connecting",
        "member",
        "place",
    )

    await_ = staticmethod(await_)  # SQLAlchemy 2.0's dialects ask the connection for it

    def __init__(
        self, member: Member, current: Callable[[], Sandbox], *, wide: bool
    ) -> None:
        self._wide = wide
        self._cursors: weakref.WeakSet[BufferedCursor] | None = None
        self._transaction: Transaction | None = None
        self.member = member
        self.connecting = True
        self.place: Place | None = None
        self._current = current
        self._sandbox = current()
        self._wants_autocommit = False

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """What listeners see that ask `isinstance`, as SQLite's recipes do."""
        return self.member.connection_class or type(self)

    # ------------------------------------------------------------------ DBAPI
    def cursor(self, *args: Any, **kwargs: Any) -> BufferedCursor:
        """A cursor; with any argument that is true, one of the server's."""
        return BufferedCursor(self, args, kwargs)

    def execute(self, operation: str, parameters: Any = None) -> BufferedCursor:
        """Execute on a cursor of its own, as many drivers allow."""
        cursor = self.cursor()
        cursor.execute(operation, parameters)
        return cursor

    def commit(self) -> None:
        """End the transaction and keep what it wrote, for the rest of the test."""
        transaction = self._ending()
        if transaction is None:
            return
        sandbox = self._sandbox
        if sandbox.needs_check(transaction):
            try:
                sandbox.check_constraints(transaction, blocking=self._blocks())
            except BaseException:
                sandbox.end(transaction, commit=False)
                raise
        sandbox.end(transaction, commit=True)

    def rollback(self) -> None:
        """End the transaction and undo what it wrote; raises RollbackRefused."""
        transaction = self._ending()
        if transaction is not None:
            self._sandbox.end(transaction, commit=False)

    def _ending(self) -> Transaction | None:
        """The transaction, which is this connection's no more, nor are its cursors."""
        if self._cursors is not None:
            for cursor in tuple(self._cursors):
                cursor.drop()
            self._cursors = None
        transaction, self._transaction = self._transaction, None
        return transaction

    def made_with(
        self, dialect: Dialect, arguments: Sequence[Any], parameters: Any
    ) -> None:
        """Take over what the engine would have connected with."""
        del dialect, arguments
        self.member.apply(parameters)

    def made_alone(self) -> None:
        """The engine has a way of its own to connect, which is not asked."""

    def take(self) -> Any:
        """The physical connection, as this engine's statement needs it."""
        return self.member.take()

    def abandon_cursor(self, cursor: Any) -> None:
        """The statement on the cursor was cancelled."""
        self.member.abandon_cursor(cursor)

    def drop_cursor(self, cursor: Any) -> None:
        """Forget a cursor that cannot be closed on the server any more."""
        self.member.drop_cursor(cursor)

    def opened(self, cursor: BufferedCursor) -> None:
        """A cursor of the server's has been opened in the transaction."""
        if self._cursors is None:
            self._cursors = weakref.WeakSet()
        self._cursors.add(cursor)

    def close(self) -> None:
        """Roll back; the physical connection stays."""
        self.rollback()

    def terminate(self) -> None:
        """The engine, or the garbage collector, gave the connection up."""
        transaction = self._ending()
        if transaction is None:
            return
        if in_greenlet():
            self._sandbox.end(transaction, commit=False)
        else:
            self._sandbox.abandon(transaction)

    def __del__(self) -> None:
        """Some drivers' connections are dropped by the pool without a word."""
        transaction = self._transaction
        if transaction is not None and transaction.open:
            self._sandbox.abandon(transaction)

    def left_open(self) -> None:
        """The test has ended without giving it back; all is rolled back anyway."""

    def ping(self) -> None:
        """Whether the connection lives; asks nobody."""
        self.attend()

    # --------------------------------------------------------------- statements
    def attend(self) -> Sandbox:
        """The sandbox that this connection's next statement belongs to.

        Raises FinishedTest for a connection that a finished test has left; one that was
        opened by a fixture wider than a test belongs to whichever test runs.
        """
        now = self._current()
        if self._sandbox is now and not now.over:
            return now
        if not self._wide:
            raise FinishedTest.named(self._sandbox.name)
        if not now.is_shared:
            raise EngineRefused.wide(self.member.name, now.name)
        self._sandbox, self._transaction = now, None
        return now

    def statement(
        self, sql: str, operation: Callable[[], Any], *, awaits: bool = False
    ) -> Any:
        """Run one statement; `operation` is called on the bridge.

        `awaits` says that it is a coroutine's of the driver, not a cursor's.
        """
        sandbox = self.attend()
        text = classify(sql, mysql=self.member.is_mysql)
        if self._is_answered(sandbox, text, sql, operation):
            _breathe()
            return None
        return self._send(sandbox, sql, operation, awaits=awaits)

    def _is_answered(
        self, sandbox: Sandbox, text: Text, sql: str, operation: Callable[[], Any]
    ) -> bool:
        """Whether the statement needs none of the sandbox's own."""
        if self._wants_autocommit and sql.strip() not in _PINGS:
            raise TransactionControlRefused.autocommit(self.member.name)
        return (
            (text.savepoint is not None and self._savepoint(sandbox, text))
            or (text.control is not None and self._is_own_begin(text))
            or (self.connecting and self._is_connects(sandbox, text, sql, operation))
        )

    def transaction(self, sandbox: Sandbox) -> Transaction:
        """The open transaction, begun where there is none."""
        if self._transaction is None or not self._transaction.open:
            place, self.place = self.place, None
            self._transaction = sandbox.begin(self.member.name, place)
        return self._transaction

    def fetch(self, operation: Callable[[], Any]) -> Any:
        """Ask a cursor of the server's for rows, as a statement of its transaction."""
        return self._send(self.attend(), "FETCH", operation)

    def _send(
        self,
        sandbox: Sandbox,
        sql: str,
        operation: Callable[[], Any],
        *,
        awaits: bool = False,
    ) -> Any:
        try:
            return sandbox.execute(
                self.transaction(sandbox),
                sql,
                operation,
                settings=self.member.settings,
                blocking=self._blocks(),
                awaits=awaits,
            )
        except FinishedTest:  # before it was sent: while it stood in line
            if not self._wide or self._current() is sandbox:
                raise
        return self._send(self.attend(), sql, operation, awaits=awaits)

    def _savepoint(self, sandbox: Sandbox, text: Text) -> bool:
        """Move a savepoint; false where the server has to say that there is none."""
        assert text.savepoint is not None
        transaction = self.transaction(sandbox)
        exists = sandbox.knows(transaction, text.savepoint.name)
        if text.savepoint.verb != "SAVEPOINT" and not exists:
            return False
        sandbox.savepoint(transaction, text.savepoint)
        return True

    def _is_own_begin(self, text: Text) -> bool:
        """SQLAlchemy's recipe for SQLite sends BEGIN itself, as the sandbox does."""
        return (
            self.member.is_sqlite
            and text.control == "BEGIN"
            and self._transaction is None
        )

    def _is_connects(
        self, sandbox: Sandbox, text: Text, sql: str, operation: Callable[[], Any]
    ) -> bool:
        if self.member.is_sqlite and text.first == "PRAGMA" and not text.reads:
            Pragma(sql).run(sandbox, operation, blocking=self._blocks())
            return True
        if sandbox.is_inside or not (text.reads or text.first in _SETTING):
            return False
        sandbox.traces.note(text)
        sandbox.run_unbegun(operation, blocking=self._blocks())
        return True

    def _blocks(self) -> bool:
        return self.member.blocking

    def connected(self) -> None:
        """The pool's `connect` listeners have run."""
        for statement in self.member.first_statements:
            self.execute(statement)
        self.connecting = False
        self.commit()

    # ------------------------------------------------------- the driver's connection
    @property
    def _connection(self) -> Any:
        """What `driver_connection` shows."""
        return Facade(self, self.member.driver_connection())

    refuses_control = True
    """Whether the driver's own ways to end a transaction are refused."""

    def is_there(self, sql: str) -> bool:  # noqa: ARG002
        """Never: what runs there is one statement, which the driver sends."""
        return False

    def installs_itself(self, name: str, kwargs: Mapping[str, Any]) -> bool:
        """Whether SQLAlchemy sets up what the physical connection has already."""
        return self.member.installs_itself(name, kwargs)

    def changed(self) -> None:
        """A driver's call may change it for good: the next test gets another one."""
        if not self.connecting:
            self.attend().traces.sticky = True

    def commits_driver_calls(self) -> bool:
        """Whether a call of the driver's is on its own: asyncpg commits it at once.

        The other drivers begin a transaction by themselves.
        """
        return self.member.driver == "asyncpg" and self._transaction is None

    def answer(self, sql: str) -> Answer | None:  # noqa: ARG002
        """What the connection answers for the server; None for what it does not."""
        return None

    def driver_transaction(self, real: Any, *_: Any, **__: Any) -> Any:
        """A transaction of the driver's own, whose end the sandbox could not see.

        Drivers open one to look up types on a new connection; there it changes nothing.
        """
        del real
        if self.connecting:
            return contextlib.nullcontext()
        raise TransactionControlRefused.text("transaction()", "the driver's connection")

    def run_async(self, fn: Callable[[Any], Awaitable[Any]]) -> Any:
        """Run a coroutine function on the driver's connection."""
        return await_(fn(self._connection))

    # ------------------------------------------------------------------ autocommit
    @property
    def autocommit(self) -> bool:
        """Whether AUTOCOMMIT was asked for, which the first statement refuses."""
        return self._wants_autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self._wants_autocommit = bool(value)

    def __getattr__(self, name: str) -> Any:
        message = (
            f"{name!r} of a {self.member.driver} connection does not exist in a "
            "sandbox, where many sessions share the connection"
        )
        raise AttributeError(message)


def _breathe() -> None:
    """Let other tasks run, as every statement does; SQLAlchemy insists on it."""
    if cooperates():
        await_(asyncio.sleep(0))
