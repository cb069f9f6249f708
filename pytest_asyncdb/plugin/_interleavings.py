"""What `db_concurrency` gives: searches and lanes on the running test's database."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pytest_asyncdb.concurrency import Explorer, Lanes
from pytest_asyncdb.errors import ExplorationRefused
from pytest_asyncdb.isolation._ferry import FerriedConnection
from pytest_asyncdb.plugin._statements import unrecorded

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from sqlalchemy import Connection

    from pytest_asyncdb.concurrency import Result
    from pytest_asyncdb.concurrency._actor import Function
    from pytest_asyncdb.concurrency._exploring import Options
    from pytest_asyncdb.concurrency._trace import Trace
    from pytest_asyncdb.isolation import Isolation

__all__ = ["Concurrency"]

F = TypeVar("F", bound="Callable[..., Coroutine[Any, Any, Any]]")


def _kept(method: F) -> F:
    """The same method, whose coroutines are kept until the end of the test."""

    @functools.wraps(method)
    def call(
        self: Concurrency, *args: object, **options: object
    ) -> Coroutine[Any, Any, Any]:
        search = method(self, *args, **options)
        self._searches.append((method.__name__, search))
        return search

    return cast("F", call)


class Concurrency(Explorer):
    """What a test can run side by side, on the run's database.

    What the test's fixtures have written is committed before a search, and is the start
    of each schedule.
    """

    def __init__(
        self, isolation: Isolation, draw: Callable[[Trace, str], None]
    ) -> None:
        super().__init__(
            isolation.another_engine(),
            sessions=isolation.sessionmaker,
            wanted=_is_isolated,
            observe=isolation.observe,
        )
        self._isolation = isolation
        self._draw = draw
        self._searches: list[tuple[str, Coroutine[Any, Any, Any]]] = []

    explore = _kept(Explorer.explore)
    replay = _kept(Explorer.replay)
    explore_pairs = _kept(Explorer.explore_pairs)

    def close(self) -> None:
        """Raise `ExplorationRefused` where a search was asked for and never begun."""
        idle = []
        for name, search in self._searches:
            if inspect.getcoroutinestate(search) == inspect.CORO_CREATED:
                search.close()
                idle.append(name)
        if idle:
            raise ExplorationRefused.not_awaited(idle[0])

    async def _prepare(self) -> None:
        await self._isolation.publish()

    async def _explore(
        self, functions: Mapping[str, Function], options: Options
    ) -> Result:
        with unrecorded():
            return await super()._explore(functions, options)

    def lanes(self, number: int, *, isolation: str | None = None) -> Lanes:
        """That many transactions on connections of their own, for `async with`.

        It gives the `Lane` objects t1, t2, and so on. What they commit is undone with
        the test, what they leave open at the end of the block is rolled back.
        `isolation` is a level as SQLAlchemy names it, and for SQLite also "DEFERRED",
        "IMMEDIATE" or "EXCLUSIVE", what BEGIN says.

        Raises `LanesRefused` for arguments that make no sense, `ProbeRefused` where the
        database does not tell who waits for whom.
        """
        return Lanes(
            number,
            connect=self._isolation.engine.connect,
            observe=self._isolation.observe,
            isolation=isolation,
            failed=lambda trace: self._draw(trace, ""),
        )

    def _conclude(self, results: Mapping[str, Result], options: Options) -> Result:
        for each in results.values():
            if each.anomaly is not None:
                self._draw(each.anomaly.trace, each.anomaly.name)
        return super()._conclude(results, options)


def _is_isolated(connection: Connection) -> bool:
    """Whether it is one of the running test's."""
    return isinstance(connection.connection.dbapi_connection, FerriedConnection)
