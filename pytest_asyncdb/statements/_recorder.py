"""Recording of statements, by the events of SQLAlchemy."""

from __future__ import annotations

import contextlib
import time
import weakref
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from pytest_asyncdb.errors import StatementsRefused
from pytest_asyncdb.statements import _tracing
from pytest_asyncdb.statements._budget import Budget, Expectation
from pytest_asyncdb.statements._lines import way
from pytest_asyncdb.statements._listeners import Ears, Listeners, everywhere
from pytest_asyncdb.statements._loops import Allowance, loops_in
from pytest_asyncdb.statements._plans import plans_of, with_plan
from pytest_asyncdb.statements._statement import Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from sqlalchemy import Connection, ExceptionContext, RootTransaction

    from pytest_asyncdb.statements._loops import Loop
    from pytest_asyncdb.statements._plans import Plans

__all__ = ["Recorder", "record"]


def record(engine: AsyncEngine | Engine) -> Recorder:
    """Record what is sent on `engine` from here on.

    Ends with `close()`, or with the `with` block that the recorder is used in.
    Raises `StatementsRefused` for what is no engine.
    """
    if isinstance(engine, AsyncEngine):
        return Recorder(engine.sync_engine, explains_on=engine)
    if isinstance(engine, Engine):
        return Recorder(engine, explains_on=engine)
    raise StatementsRefused.engine(engine)


class Recorder:
    """Statements of one engine, or of all engines of the process.

    `target` is an engine, or the class of all of them; `wanted` says of a connection
    whether its transaction is of interest, or None where it is not even to be counted;
    plans are asked for on `explains_on`.
    """

    def __init__(
        self,
        target: Engine | type[Engine],
        *,
        wanted: Callable[[Connection], bool | None] | None = None,
        explains_on: AsyncEngine | Engine,
    ) -> None:
        self._listeners = everywhere if target is Engine else Listeners(target)
        self._ears = Ears(self._before, self._after, self._failed)
        self._wanted = wanted
        self._explains_on = explains_on
        self._log: list[Statement] = []
        self._allowances: list[Allowance] = []
        self._paused = 0
        self._others = 0
        self._transactions: dict[int, tuple[weakref.ref[RootTransaction], int]] = {}
        self._during: list[tuple[BaseException, Statement]] = []
        self._holders: dict[int, int] = {}
        self._last: weakref.ref[RootTransaction] | None = None
        self._number = self._count = 0
        self._key = f"asyncdb_statement_{id(self)}"
        self._listens = False
        self.resume()

    # ----------------------------------------------------------------- what there is
    @property
    def log(self) -> Sequence[Statement]:
        """Statements in the order in which they were sent."""
        return tuple(self._log)

    @property
    def allowances(self) -> Sequence[Allowance]:
        """Where loads in a loop were allowed."""
        return tuple(self._allowances)

    @property
    def unseen(self) -> int:
        """How many statements went to engines that are not recorded."""
        return self._others

    def sent_on(self, connection: Connection) -> Sequence[Statement]:
        """Statements of the last transaction that a connection had."""
        ours = [each for each, one in self._holders.items() if one == id(connection)]
        last = max(ours, default=None)
        return [each for each in self._log if each.transaction == last]

    def during(self, error: BaseException | None) -> Statement | None:
        """A statement that ran when a driver raised that, in the same transaction."""
        found = (statement for each, statement in self._during if each is error)
        return next(found, None)

    def clear(self) -> None:
        """Forget what was recorded; not inside of a block of `expect()`."""
        self._log.clear()
        self._allowances.clear()
        self._during.clear()
        self._others = 0

    def n_plus_one(self, *, start: int = 0) -> list[Loop]:
        """Loads that were sent for one object after the other, worst first.

        Looked for in the log from its statement number `start` on.
        """
        return loops_in(self._log[start:], self._allowances, start=start)

    # ------------------------------------------------------------------ expectations
    def expect(
        self,
        *,
        at_most: int | None = None,
        exactly: int | None = None,
        reads: int | None = None,
        writes: int | None = None,
        tables: Collection[str] | None = None,
        no_n_plus_one: bool = False,
    ) -> Expectation:
        """A block, `async with` or `with`, whose statements have to keep to a budget.

        `reads` and `writes` are exact numbers, `tables` the names that statements may
        touch. Savepoints and statements of factories do not count. Raises
        `StatementsRefused` for numbers that contradict each other, `BudgetExceeded`
        at the end of the block.
        """
        budget = Budget(at_most, exactly, reads, writes, tables, no_n_plus_one)
        return Expectation(self, budget)

    @contextlib.contextmanager
    def allow_n_plus_one(self, *relationships: str) -> Iterator[None]:
        """Loads in a loop are wanted here: of these relationships, or of any."""
        if not self._listens:
            raise StatementsRefused.closed()
        allowance = Allowance(len(self._log), frozenset(relationships))
        self._allowances.append(allowance)
        try:
            yield
        finally:
            allowance.end = len(self._log)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """What is sent in this block is not recorded."""
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1

    # ------------------------------------------------------------------------- plans
    async def explain(self, *statements: Statement) -> Plans:
        """Plans of these statements, or of all in the log that have one.

        The server is told to avoid reading whole tables, so that one which it reads
        nevertheless lacks an index. Raises `StatementsRefused` for a statement without
        a plan, and for an empty log.
        """
        wanted = with_plan(statements or self._log, named=bool(statements))
        with self.paused():
            if isinstance(self._explains_on, AsyncEngine):
                async with self._explains_on.connect() as connection:
                    return await connection.run_sync(plans_of, wanted)
            with self._explains_on.connect() as blocking:
                return plans_of(blocking, wanted)

    # ---------------------------------------------------------------------- lifetime
    @property
    def is_recording(self) -> bool:
        """Whether it listens; before `close()`."""
        return self._listens

    def resume(self) -> None:
        """Listen, after `close()` again."""
        if self._listens:
            return
        _tracing.start()
        self._listeners.add(self._ears)
        self._listens = True

    def close(self) -> None:
        """Listen no more; what was recorded stays."""
        if not self._listens:
            return
        self._listens = False
        self._listeners.remove(self._ears)
        _tracing.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.close()

    # ------------------------------------------------------------------------ events
    def _before(
        self,
        connection: Connection,
        sql: str,
        parameters: Any,  # noqa: ANN401 - as the driver takes them
        context: Any,  # noqa: ANN401 - attributes may be set on it
        many: bool,  # noqa: FBT001 - by position, which is faster
    ) -> None:
        # What a dialect asks a server when it first connects is in no transaction.
        transaction = connection.get_transaction()
        if self._paused or transaction is None:
            return
        last = self._last
        if last is None or last() is not transaction:
            self._see(connection, transaction)
        if self._number <= 0:
            self._others += self._number == 0
            return
        sender = way()
        statement = Statement(
            sql,
            parameters,
            many,
            self._number,
            _tracing.origin_of(context, sender),
            connection.engine.hide_parameters,
            sender,
            context.compiled,
            time.perf_counter(),
        )
        self._log.append(statement)
        setattr(context, self._key, statement)

    def _see(self, connection: Connection, transaction: RootTransaction) -> None:
        """Another transaction than the last one's.

        The number of one that is unwanted is 0, or -1 where it is not to be counted.
        """
        known = self._transactions.get(id(transaction))
        if known is None or known[0]() is not transaction:
            known = weakref.ref(transaction), self._new_number(connection)
            self._transactions[id(transaction)] = known
            self._holders[known[1]] = id(connection)
        self._last, self._number = known

    def _new_number(self, connection: Connection) -> int:
        wanted = True if self._wanted is None else self._wanted(connection)
        if not wanted:
            return -1 if wanted is None else 0
        self._count += 1
        return self._count

    def _after(self, cursor: Any, context: Any) -> None:  # noqa: ANN401 - see above
        statement: Statement | None = getattr(context, self._key, None)
        if statement is not None:
            statement.duration = time.perf_counter() - statement.began
            rows = cursor.rowcount
            statement.rows = rows if rows is not None and rows >= 0 else None

    def _failed(self, failure: ExceptionContext) -> None:
        error, connection = failure.original_exception, failure.connection
        statement = getattr(failure.execution_context, self._key, None)
        if statement is not None:
            statement.error = error
        transaction = connection.get_transaction() if connection is not None else None
        known = self._transactions.get(id(transaction))
        number = known[1] if known is not None and known[0]() is transaction else 0
        for each in self._log:
            runs = each.duration is None and each.error is None
            if runs and each.transaction == number:
                self._during.append((error, each))
