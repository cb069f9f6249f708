"""Faults of the database, injected into unmodified code."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, get_args

from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine

from pytest_asyncdb.concurrency._fault import Fault, compiled
from pytest_asyncdb.concurrency._inflict import (
    Moment,
    at_commit as inflict_at_commit,
    at_statement as inflict,
    check_name,
    is_loss,
)
from pytest_asyncdb.concurrency._real import check_real
from pytest_asyncdb.concurrency._sweep import Sweep
from pytest_asyncdb.errors import FaultRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy import URL, Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["Faults", "Server"]


class Server(Protocol):
    """A server that a test may restart."""

    @property
    def url(self) -> URL:
        """A database on it."""

    async def restart(self) -> None:
        """Stop it, which ends all sessions, and start it on the same data."""


class Faults:
    """Injects faults into what engines send, until it is closed.

    `engine` is one engine, or for the plugin every one; `wanted` says of a connection
    whether it takes part. `rows_of` is the engine by which a sweep looks at the tables.
    """

    def __init__(
        self,
        engine: AsyncEngine | type[Engine],
        *,
        rows_of: AsyncEngine | None = None,
        wanted: Callable[[Connection], bool] | None = None,
        told: Callable[[str], None] | None = None,
        private_server: Callable[[], AbstractAsyncContextManager[Server]] | None = None,
    ) -> None:
        one = engine if isinstance(engine, AsyncEngine) else None
        self._rows_of = rows_of or one
        self._target: Any = one.sync_engine if one is not None else engine
        self._wanted = wanted
        self._told = told
        self._private_server = private_server
        self._faults: list[Fault] = []
        self._refused: FaultRefused | None = None
        self._product = self._rows_of.dialect.name if self._rows_of else None
        self._listeners: list[tuple[str, Callable[..., Any]]] = [
            ("do_execute", self._execute),
            ("do_executemany", self._execute),
            ("do_execute_no_params", self._execute_bare),
            ("commit", self._commit),
        ]
        for name, listener in self._listeners:
            event.listen(self._target, name, listener)

    @property
    def product(self) -> str:
        """Name of the product, as SQLAlchemy's dialect has it."""
        return self.rows_of.dialect.name

    @property
    def rows_of(self) -> AsyncEngine:
        """The engine by which the tables are looked at."""
        if self._rows_of is None:
            raise FaultRefused.option("rows_of", None, "an AsyncEngine")
        return self._rows_of

    def inject(
        self,
        condition: str,
        *,
        at_statement: int | None = None,
        at_commit: bool | Moment = False,
        matching: str | None = None,
        times: int = 1,
        actor: str | None = None,
        seconds: float = 1.0,
    ) -> Fault:
        """Let a statement, or a COMMIT, fail as `condition` says, from now on.

        Counted are the statements that fit from here on; `at_statement` is the number
        of the one that fails, the first one by default, and the `times - 1` arrivals
        after it fail, too. `matching` is a regular expression that is looked for in the
        statement, whatever its case; `actor` the name of the task that sends it.
        `at_commit` is True, or for a connection that is lost "before" the COMMIT (and
        the driver knows), "during" it (what True means: it is not done), or "after" it:
        it is done, and its answer lost. `seconds` is for "slow_statement".

        The fault may be entered as a context; it then ends with its block. Raises
        `FaultRefused` for what cannot be; a fault that is never reached is an error.
        """
        check_name(condition, self._product)
        _check(times=times, seconds=seconds, at_statement=at_statement)
        if at_commit in ("before", "after") and not is_loss(condition):
            expected = "True: only connections are lost before or after"
            raise FaultRefused.option("at_commit", at_commit, expected)
        if at_commit and (at_statement is not None or matching is not None):
            raise FaultRefused.place()
        fault = Fault(
            condition,
            at=at_statement or 1,
            times=times,
            moment=_moment(at_commit),
            pattern=compiled(matching),
            actor=actor,
            seconds=seconds,
        )
        self._faults.append(fault)
        return fault

    def sweep(
        self,
        condition: str,
        *,
        at_commit: Moment = "during",
        recovers: bool = False,
        check: bool = True,
        volatile: Collection[str] = (),
        times: int = 1,
        seconds: float = 0.1,
        max_positions: int = 500,
    ) -> Sweep:
        """A fault at each statement and COMMIT of some code in turn.

        Iterate over it with `async for`, and run the code inside of `async with fault`.
        The first time nothing fails: what the tables hold then is what is right. Each
        time the tables are put back before. An error of the code ends its block, and is
        judged by what the tables hold; `recovers` says that the code is to succeed all
        the same. At the end raises `SweepFailed`, unless `check` is False.

        `volatile` names columns that differ each time, such as "created_at". Raises
        `FaultRefused` where `max_positions` are not enough.
        """
        check_name(condition, self._product)
        _check(times=times, seconds=seconds, at_statement=max_positions)
        return Sweep(
            partial(
                self.arm,
                condition=condition,
                moment=_moment(at_commit),
                times=times,
                seconds=seconds,
            ),
            self.rows_of,
            title=condition,
            recovers=recovers,
            check=check,
            volatile=volatile,
            max_positions=max_positions,
            told=self._told,
        )

    def arm(self, position: int, **options: Any) -> Fault:
        """A fault at that position among statements and COMMITs, reached or not."""
        fault = Fault(at=position, anywhere=True, **options)
        self._faults = [*(each for each in self._faults if each.armed), fault]
        return fault

    @contextlib.asynccontextmanager
    async def pool_exhausted(self, engine: AsyncEngine) -> AsyncIterator[None]:
        """While others hold all connections of an engine's pool.

        Who asks for one waits as long as the engine's `pool_timeout` says, and is given
        SQLAlchemy's `TimeoutError`. Raises `FaultRefused` for a pool without a limit.
        """
        pool: Any = engine.pool
        limit = pool.size() + pool._max_overflow if hasattr(pool, "size") else 0
        if limit <= 0 or pool._max_overflow < 0 or pool.size() == 0:
            raise FaultRefused.unlimited(type(pool).__name__)
        async with contextlib.AsyncExitStack() as stack:
            held: list[AsyncConnection] = []
            while len(held) < limit:
                held.append(await stack.enter_async_context(engine.connect()))
            yield

    def private_server(self) -> AbstractAsyncContextManager[Server]:
        """A server of the test's own, with the schema of the run's: `url`, `restart()`.

        Engines that the test makes for its URL have real connections and real pools,
        which `await server.restart()` breaks. Raises `FaultRefused` where the run does
        not start servers itself.
        """
        if self._private_server is None:
            raise FaultRefused.restart("an engine")
        return self._private_server()

    def close(self) -> None:
        """Inject nothing any more.

        Raises `FaultNotReached` for a fault that still waits for its statement, and
        `FaultRefused` where two were due at one, also if somebody has swallowed it.
        """
        for name, listener in self._listeners:
            event.remove(self._target, name, listener)
        if self._refused is not None:
            raise self._refused
        for fault in self._faults:
            if fault.armed and not fault.anywhere:
                fault.close()

    # -------------------------------------------------------------------- arrivals
    def _execute(
        self, cursor: object, statement: str, parameters: object, context: Any
    ) -> None:
        del cursor, parameters
        self._arrive(statement, context.root_connection)

    def _execute_bare(self, cursor: object, statement: str, context: Any) -> None:
        del cursor
        self._arrive(statement, context.root_connection)

    def _arrive(self, statement: str, connection: Connection) -> None:
        fault = self._due(statement, connection, commits=False)
        if fault is not None:
            inflict(fault.condition, connection, fault.seconds)

    def _commit(self, connection: Connection) -> None:
        """SQLAlchemy will send COMMIT next, and wraps what that raises."""
        fault = self._due("COMMIT", connection, commits=True)
        if fault is None:
            return
        dialect: Any = connection.dialect

        def do_commit(dbapi_connection: Any) -> None:
            del dialect.do_commit
            inflict_at_commit(
                fault.condition,
                connection,
                fault.moment or "during",
                fault.seconds,
                partial(dialect.do_commit, dbapi_connection),
            )

        dialect.do_commit = do_commit

    def _due(
        self, statement: str, connection: Connection, *, commits: bool
    ) -> Fault | None:
        if self._wanted is not None and not self._wanted(connection):
            return None
        said = " ".join(statement.split())
        due = [each for each in self._faults if each.hits(said, commits=commits)]
        for fault in due:
            fault.fired.append(said)
        try:
            if due:
                check_real(connection)
            if len(due) > 1:
                raise FaultRefused.together(due[0], due[1], said)
        except FaultRefused as refused:
            self._refused = refused
            raise
        return due[0] if due else None


def _moment(at_commit: bool | Moment) -> Moment | None:  # noqa: FBT001 - both are said
    if isinstance(at_commit, bool):
        return "during" if at_commit else None
    if at_commit not in get_args(Moment):
        expected = "True, 'before', 'during' or 'after'"
        raise FaultRefused.option("at_commit", at_commit, expected)
    return at_commit


def _check(*, times: int, seconds: float, at_statement: int | None) -> None:
    for name, value in (("times", times), ("at_statement", at_statement or 1)):
        if value < 1:
            raise FaultRefused.option(name, value, "1 or more")
    if at_statement == 0:
        raise FaultRefused.option("at_statement", 0, "1 or more")
    if seconds < 0:
        raise FaultRefused.option("seconds", seconds, "0 or more")
