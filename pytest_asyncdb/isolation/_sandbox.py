"""One test's transaction: the statements of all its sessions, and its end."""

from __future__ import annotations

import collections
import contextlib
import contextvars
import itertools
import secrets
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_asyncdb.backends._text import classify
from pytest_asyncdb.errors import (
    FinishedTest,
    IsolationError,
    RollbackRefused,
    SandboxBroken,
    TransactionControlRefused,
    WriteOutsideTest,
)
from pytest_asyncdb.isolation._connections import connection_class
from pytest_asyncdb.isolation._driver import translate
from pytest_asyncdb.isolation._finding import Finding
from pytest_asyncdb.isolation._places import here, leaving_with
from pytest_asyncdb.isolation._traces import Locals, Settings, Traces
from pytest_asyncdb.isolation._transactions import Conflict, Stack, Transaction
from pytest_asyncdb.isolation._writers import Writers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_asyncdb.backends._text import SavepointText, Text
    from pytest_asyncdb.isolation._link import Link
    from pytest_asyncdb.isolation._member import Member
    from pytest_asyncdb.isolation._places import Place
    from pytest_asyncdb.isolation._strategy import EnclosedConnection
    from pytest_asyncdb.isolation._transactions import Savepoint

__all__ = ["Sandbox", "current_transaction"]

T = TypeVar("T")

_RUN: Final = secrets.token_hex(4)
_SHOWN: Final = 200
_HARMLESS: Final = frozenset({"SET", "RESET"})
_numbers = itertools.count(1)

current_transaction: contextvars.ContextVar[Transaction | None] = (
    contextvars.ContextVar("asyncdb_transaction", default=None)
)


class Sandbox:
    """The transaction around one test, on the kept connection.

    With `outside` it is what stands between tests, named by what is being done: reads
    pass, writes are refused. `forgiving` is true while the plugin closes what it
    opened. One that is `inside` of another is an example of its test: it goes back to a
    savepoint.
    """

    is_shared = True

    def __init__(
        self,
        link: Link,
        name: str,
        *,
        outside: bool = False,
        inside: Sandbox | None = None,
    ) -> None:
        self.link = link
        self.name = name
        self._outside = name if outside else None
        self.over = False
        self.forgiving = False
        self.failure: IsolationError | None = None
        self.traces = Traces(resets=bool(link.driver.after_rollback))
        self.has_begun = False
        self._doubts = False
        self._inside = inside
        self._settings = Settings()
        self._locals = Locals()
        if inside is not None:
            self._settings, self._locals = inside._settings, inside._locals  # noqa: SLF001
            self.traces.defers = inside.traces.defers
        self._root = f"asyncdb_{_RUN}_{next(_numbers)}"
        self._stack = Stack(f"{self._root}_")
        self._writers = Writers(self._stack, link.lock)
        self._abandoned: collections.deque[Transaction] = collections.deque()

    def connection(
        self,
        product: str,
        member: Member,
        current: Callable[[], Any],
        *,
        wide: bool,
    ) -> EnclosedConnection:
        """What an engine's pool hands out: a transaction of the test's own."""
        return connection_class(product)(member, current, wide=wide)

    @contextlib.contextmanager
    def restricted(self, what: str) -> Iterator[None]:
        """While a wider fixture is set up in the middle of the test: no writes."""
        before, self._outside = self._outside, what
        try:
            yield
        finally:
            self._outside = before

    @property
    def is_inside(self) -> bool:
        """Whether a transaction stands on the connection: its own, or its test's."""
        outer = self._inside
        return self.has_begun or (outer is not None and outer.has_begun)

    def begin(self, engine: str, place: Place | None = None) -> Transaction:
        """A new transaction, begun here; it holds nothing until its first statement."""
        parent = current_transaction.get()
        while parent is not None and not parent.open:
            parent = parent.parent
        if parent is not None and parent.sandbox is not self:
            parent = None
        transaction = Transaction(engine, place or here(), parent, self)
        with self.link.lock:
            self._stack.begin(transaction)
        current_transaction.set(transaction)
        return transaction

    # ----------------------------------------------------------------- statements
    def execute(
        self,
        transaction: Transaction,
        sql: str,
        operation: Callable[[], T],
        *,
        settings: Mapping[str, str],
        blocking: bool,
        awaits: bool = False,
    ) -> T:
        """Send one statement of a transaction; `operation` runs on the bridge.

        Raises what the driver raises, and IsolationError for what the sandbox refuses.
        """
        text = classify(sql, mysql=self.link.driver.is_mysql)
        self._refuse(text, sql)
        self.traces.note(text)
        try:
            if not text.reads:
                self._writers.wait(transaction)
            flight = self.link.turns.take(transaction)
            self.link.bridge.settle()
        except BaseException:
            self._writers.written(transaction)
            raise
        try:
            return self._send(
                transaction,
                sql,
                operation,
                text=text,
                settings=settings,
                blocking=blocking,
                awaits=awaits,
            )
        finally:
            self._writers.written(transaction)
            self.link.turns.give(flight)

    def _refuse(self, text: Text, sql: str) -> None:
        if text.control is not None and _is_two_phase(text.control, sql):
            raise TransactionControlRefused.two_phase()
        if text.control is not None:
            raise TransactionControlRefused.text(text.control, _shortened(sql))
        if self._outside and not text.reads and text.first not in _HARMLESS:
            raise WriteOutsideTest.by(self._outside, _shortened(sql))
        if text.commits is not None:
            raise TransactionControlRefused.implicit_commit(
                text.commits, _shortened(sql)
            )

    def _send(
        self,
        transaction: Transaction,
        sql: str,
        operation: Callable[[], T],
        *,
        text: Text,
        settings: Mapping[str, str],
        blocking: bool,
        awaits: bool,
    ) -> T:
        segments: list[Savepoint] = []

        def statement() -> T:
            with self.link.lock:
                self._admit(transaction)
                self._stack.prepare(transaction, writes=not text.reads)
                segments.append(self._stack.top())
                local = self._locals.keep(text.local, transaction.local)
                controls = self._travelling(settings) + self._locals.statements(local)
            self._send_controls(controls)
            if controls and self.over:  # meanwhile, for a thread that the test has left
                raise FinishedTest.named(self.name)
            self.link.round_trips += 1
            answer = operation()
            transaction.local.update(local)
            if text.defines:
                self.link.driver.forget_plans(self.link.real())
            return answer

        try:
            answer: T = self.link.call(statement, blocking=blocking, awaits=awaits)
        except FinishedTest:
            raise
        except BaseException as error:
            if segments:  # it has set out
                with self.link.lock:
                    self._failed(transaction, segments[0], sql, error)
            raise
        self._check_transaction(sql)
        return answer

    def _send_controls(self, controls: list[str]) -> None:
        """Send them; a connection that died between two tests is replaced."""
        real = self.link.real()
        try:
            self.link.send(controls)
        except Exception as error:  # noqa: BLE001 - in the driver's words
            if controls[:1] != ["BEGIN"] or self.link.is_usable():
                translate(real, error)
            self.link.forget()
            self.link.send(controls)

    def _travelling(self, settings: Mapping[str, str]) -> list[str]:
        """The control statements that have to be sent before the next real one."""
        return self._due() + self._settings.statements(settings)

    def _due(self) -> list[str]:
        """Those that begin the test or the example, and what is pending."""
        controls = [] if self.has_begun else self._first()
        self.has_begun = True
        pending, self._stack.pending = self._stack.pending, []
        if any(control.startswith("ROLLBACK") for control in pending):
            self._settings.unknown()
        return controls + pending

    def _first(self) -> list[str]:
        outer = self._inside
        before = ["BEGIN"] if outer is None else outer._due()  # noqa: SLF001
        return [*before, f"SAVEPOINT {self._root}"]

    def _admit(self, transaction: Transaction) -> None:
        """Refuse what may not be sent any more. Under the lock."""
        self._admit_end()
        if transaction.aborted:
            self._raise_aborted()

    def _admit_end(self) -> None:
        self._end_abandoned()
        if self.over:
            raise FinishedTest.named(self.name)
        if self.failure is not None:
            raise _again(self.failure)

    def _raise_aborted(self) -> None:
        translate(self.link.real(), self.link.driver.aborted_error())

    def _failed(
        self,
        transaction: Transaction,
        segment: Savepoint,
        sql: str,
        error: BaseException,
    ) -> None:
        """After an error: what is left of the connection, the test, the transaction."""
        link = self.link
        self._doubts |= link.driver.may_be_gone(error)
        if not link.is_usable():
            self._fail(SandboxBroken.lost(link.database.shown, _reason(error)))
        elif not self._stands(error):
            self._fail(SandboxBroken.ended_by(_shortened(sql)))
        elif link.driver.has_failed(link.real(), error):
            transaction.aborted = True
            self._stack.failed(segment)

    def _stands(self, error: BaseException) -> bool:
        """Whether the outer transaction has outlived the error."""
        driver = self.link.driver
        if driver.ends_transaction(error):
            return False
        return driver.in_transaction(self.link.real())

    def _check_transaction(self, sql: str) -> None:
        link = self.link
        if self.over or not link.is_usable():
            return
        if not link.driver.in_transaction(link.real()):
            raise self._fail(SandboxBroken.ended_by(_shortened(sql)))

    def _fail(self, error: IsolationError) -> IsolationError:
        if self.failure is None:
            self.failure = error
        return error

    # ----------------------------------------------------------------- savepoints
    def knows(self, transaction: Transaction, name: str) -> bool:
        """Whether the transaction has set a savepoint of that name."""
        with self.link.lock:
            return self._stack.knows(transaction, name)

    def savepoint(self, transaction: Transaction, text: SavepointText) -> None:
        """SAVEPOINT, RELEASE or ROLLBACK TO of the application; travels later."""
        with self.link.lock:
            if text.verb == "ROLLBACK":
                self._admit_end()
                self._guarded(transaction, self._stack.rollback_to, text.name)
                return
            self._admit(transaction)
            release = text.verb == "RELEASE"
            move = self._stack.release if release else self._stack.savepoint
            move(transaction, text.name)

    # ----------------------------------------------------------------------- ends
    def end(self, transaction: Transaction, *, commit: bool) -> None:
        """COMMIT or ROLLBACK of a transaction; sends nothing.

        Raises RollbackRefused where rows of others would vanish.
        """
        with self.link.lock:
            if not transaction.open:
                return
            if self.over or self.failure is not None:
                self._stack.end(transaction, commit=True, forced=True)
                return
            self._end_abandoned()
            self._guarded(transaction, self._end, commit=commit)
            self._writers.wake()

    def _end(self, transaction: Transaction, *, commit: bool) -> None:
        self._stack.end(transaction, commit=commit, forced=self.forgiving)
        if commit and not transaction.aborted:
            self._stack.then(self._locals.restoring(transaction.local))

    def abandon(self, transaction: Transaction) -> None:
        """ROLLBACK from the garbage collector, which may strike anywhere."""
        self._abandoned.append(transaction)

    def _end_abandoned(self) -> None:
        while self._abandoned:
            transaction = self._abandoned.popleft()
            if transaction.open:
                with contextlib.suppress(RollbackRefused):  # all statements will say it
                    self._guarded(transaction, self._end, commit=False)

    def _guarded(
        self,
        transaction: Transaction,
        move: Callable[..., None],
        *args: object,
        **keywords: object,
    ) -> None:
        try:
            move(transaction, *args, **keywords)
        except Conflict as conflict:
            refusal = RollbackRefused.of(conflict.transaction, conflict.others)
        else:
            return
        self._fail(refusal)
        self._stack.end(transaction, commit=True, forced=True)
        refusal.__context__ = leaving_with()
        raise refusal

    def needs_check(self, transaction: Transaction) -> bool:
        """Whether COMMIT would check constraints that nothing has checked yet."""
        deferred = self.traces.defers or self.link.checks_at_commit
        if not deferred or transaction.aborted or self.over:
            return False
        with self.link.lock:
            return self._stack.has_written(transaction)

    def check_constraints(self, transaction: Transaction, *, blocking: bool) -> None:
        """Check deferred constraints as COMMIT would, and leave them deferred.

        Raises the driver's error; the caller then rolls back, as COMMIT would.
        """

        def check() -> None:
            driver = self.link.driver
            try:
                driver.check_constraints(self.link.real(), f"{self._root}_check")
            except Exception as error:
                self._name_others(transaction, error)
                raise

        self.execute(transaction, "SELECT 1", check, settings={}, blocking=blocking)

    def _name_others(self, transaction: Transaction, error: Exception) -> None:
        """The row may be another transaction's, which is open and wrote as well."""
        others = [each for each in self._stack.writers() if each is not transaction]
        for other in others:
            error.add_note(f"the row may also be one of {other}")

    # ----------------------------------------------------- statements of `connect`
    def run_unbegun(self, operation: Callable[[], T], *, blocking: bool) -> T:
        """A statement of a `connect` listener, outside of any transaction."""
        transaction = Transaction("a connect listener", here(), None, self)
        flight = self.link.turns.take(transaction)
        try:
            return self.link.bridge.call(operation, blocking=blocking)
        finally:
            self.link.turns.give(flight)

    def restart(self, *, blocking: bool) -> bool:
        """Commit the test's transaction and begin it anew; false while one is open.

        For SQLite alone: the database is made anew from its template when the test
        ends.
        """
        with self.link.lock:
            self._end_abandoned()
            self._stack.give_way(None)
            if self._inside is not None or not self._stack.is_empty():
                return False
            controls, self._stack.pending = [*self._stack.pending, "COMMIT"], []
            self.has_begun = False
            self.traces.committed = True
        self.run_unbegun(lambda: self.link.send(controls), blocking=blocking)
        return True

    # --------------------------------------------------------------------- the end
    def close(self) -> list[Finding]:
        """Roll everything back. What is wrong is returned, never raised."""
        with self.link.lock:
            self.over = True
        findings = list(self._in_flight())
        if self._inside is not None:
            self._step_back(self._inside)
        elif self.has_begun or self.traces:
            self._roll_back()
        if self.failure is not None:
            findings.append(Finding(fatal=True, text=str(self.failure)))
        return findings

    def _in_flight(self) -> Iterator[Finding]:
        flight = self.link.turns.flight
        if flight is None or flight.transaction.sandbox is not self:
            return
        if self._outside:  # a task that goes on in the tests
            self.link.bridge.finish()
            self.link.turns.give(flight)
            return
        yield Finding(
            fatal=True,
            text=f"a task is still inside a statement: {flight.transaction}\n"
            "  what helps:\n    - await or cancel the task before the test ends",
        )
        if not self.link.bridge.drain():
            reason = "a statement could not be ended"
            self._fail(SandboxBroken.lost(self.link.database.shown, reason))
        self.link.interrupt()
        self.link.turns.give(flight)

    def _roll_back(self) -> None:
        link = self.link
        if not link.is_usable():
            link.heal()
            return
        try:
            link.block(self._send_rollback)
        except Exception as error:  # noqa: BLE001
            self._fail(SandboxBroken.ended_by(f"not known; the end: {_reason(error)}"))
            link.replace_database()
            return
        if self.has_begun and link.driver.has_kept_rows(link.real()):
            self._fail(SandboxBroken.not_transactional())
        if self._doubts and not link.has_database():
            self._fail(SandboxBroken.lost(link.database.shown, "no such database"))
        if self.traces.committed or isinstance(self.failure, SandboxBroken):
            link.replace_database()
        elif self.traces.sticky or (self.traces.schema and link.driver.keeps_plans):
            link.forget()

    def _step_back(self, test: Sandbox) -> None:
        """Undo an example, with the test's next statement; no round trip is its own.

        Where that cannot be, the whole test is over.
        """
        test.traces.add(self.traces)
        if isinstance(self.failure, SandboxBroken):
            test._fail(self.failure)
        elif self.has_begun:
            test._stack.pending += [
                f"{verb} SAVEPOINT {self._root}" for verb in ("ROLLBACK TO", "RELEASE")
            ]
        self._settings.unknown()

    def _send_rollback(self) -> None:
        driver, controls = self.link.driver, []
        if self.has_begun:
            controls = [f"ROLLBACK TO SAVEPOINT {self._root}", "ROLLBACK"]
        if self.traces.session and driver.after_rollback:
            controls.append(driver.after_rollback)
        self.link.send(controls + self.traces.pragmas)


def _is_two_phase(control: str, sql: str) -> bool:
    return control.startswith("XA") or "PREPARE" in sql.upper()


def _again(error: IsolationError) -> IsolationError:
    """The same error for another statement, without the first one's traceback."""
    return type(error)(error.cause, tried=error.tried, remedies=error.remedies)


def _shortened(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]} …"


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {_shortened(str(error))}"
