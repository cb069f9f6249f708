"""Recording of statements, by the events of SQLAlchemy."""

from __future__ import annotations

import contextlib
import time
import weakref
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine

from pytest_asyncdb.errors import StatementsRefused
from pytest_asyncdb.statements import _tracing
from pytest_asyncdb.statements._budget import Budget, Expectation
from pytest_asyncdb.statements._lines import way
from pytest_asyncdb.statements._loops import Allowance, loops_in
from pytest_asyncdb.statements._plans import plans_of, with_plan
from pytest_asyncdb.statements._statement import Statement, is_control

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
    whether its statements are of interest; plans are asked for on `explains_on`.
    """

    def __init__(
        self,
        target: Engine | type[Engine],
        *,
        wanted: Callable[[Connection], bool] | None = None,
        explains_on: AsyncEngine | Engine,
    ) -> None:
        self._target = target
        self._wanted = wanted
        self._explains_on = explains_on
        self._log: list[Statement] = []
        self._allowances: list[Allowance] = []
        self._paused = 0
        self._others = 0
        self._transactions: weakref.WeakKeyDictionary[RootTransaction, int] = (
            weakref.WeakKeyDictionary()
        )
        self._count = 0
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

    def clear(self) -> None:
        """Forget what was recorded; not inside of a block of `expect()`."""
        self._log.clear()
        self._allowances.clear()

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
        event.listen(self._target, "before_cursor_execute", self._before)
        event.listen(self._target, "after_cursor_execute", self._after)
        event.listen(self._target, "handle_error", self._failed)
        self._listens = True

    def close(self) -> None:
        """Listen no more; what was recorded stays."""
        if not self._listens:
            return
        self._listens = False
        event.remove(self._target, "before_cursor_execute", self._before)
        event.remove(self._target, "after_cursor_execute", self._after)
        event.remove(self._target, "handle_error", self._failed)
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
        _cursor: object,
        sql: str,
        parameters: Any,  # noqa: ANN401 - as the driver takes them
        context: Any,  # noqa: ANN401 - attributes may be set on it
        many: bool,  # noqa: FBT001 - SQLAlchemy's signature
    ) -> None:
        # What a dialect asks a server when it first connects is in no transaction.
        if self._paused or not connection.in_transaction():
            return
        if self._wanted is not None and not self._wanted(connection):
            self._others += 1
            return
        line, flushes, factory = way()
        origin = context.execution_options.get(_tracing.ORIGIN)
        if origin is not None and origin.line is None:
            origin.line = line
        statement = Statement(
            sql,
            parameters,
            many,
            self._kind(sql, origin.kind if origin is not None else None, flushes),
            line,
            self._transaction(connection),
            factory,
            origin,
            connection.engine.hide_parameters,
            _context=context,
        )
        self._log.append(statement)
        context.asyncdb_statements = {
            **getattr(context, "asyncdb_statements", {}),
            self: (statement, time.perf_counter()),
        }

    @staticmethod
    def _kind(sql: str, said: str | None, flushes: bool) -> str:  # noqa: FBT001
        if said is not None and said != "application":
            return said
        if flushes:
            return "flush"
        return "transaction" if is_control(sql) else "application"

    def _transaction(self, connection: Connection) -> int:
        transaction = connection.get_transaction()
        if transaction is None:
            return 0
        known = self._transactions.get(transaction)
        if known is None:
            self._count += 1
            known = self._transactions[transaction] = self._count
        return known

    def _after(
        self,
        _connection: Connection,
        cursor: Any,  # noqa: ANN401 - whatever the driver gives
        _sql: str,
        _parameters: object,
        context: Any,  # noqa: ANN401 - see above
        _many: bool,  # noqa: FBT001
    ) -> None:
        ended = time.perf_counter()
        found = getattr(context, "asyncdb_statements", {}).get(self)
        if found is not None:
            statement, began = found
            statement.duration = ended - began
            rows = cursor.rowcount
            statement.rows = rows if rows is not None and rows >= 0 else None

    def _failed(self, failure: ExceptionContext) -> None:
        context = failure.execution_context
        found = getattr(context, "asyncdb_statements", {}).get(self)
        if found is not None:
            found[0].error = failure.original_exception
