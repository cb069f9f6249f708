"""`explore()`: what is asked for, checked, and run on a database."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from typing import TYPE_CHECKING, Any, Never

from pytest_asyncdb.concurrency._actor import check_actors
from pytest_asyncdb.concurrency._again import compare, shorten
from pytest_asyncdb.concurrency._catalog import read_catalog
from pytest_asyncdb.concurrency._exploring import Options
from pytest_asyncdb.concurrency._intercept import listening
from pytest_asyncdb.concurrency._pairs import Pairs, name_functions
from pytest_asyncdb.concurrency._probes import open_probe
from pytest_asyncdb.concurrency._result import Result
from pytest_asyncdb.concurrency._rules import Rules
from pytest_asyncdb.concurrency._searching import Judges, Limits, Search
from pytest_asyncdb.concurrency._start import Start
from pytest_asyncdb.concurrency._stops import Ground
from pytest_asyncdb.concurrency._walks import read_schedule
from pytest_asyncdb.errors import (
    ExplorationRefused,
    IncompleteSearch,
    ReadAnomaly,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

    from pytest_asyncdb.concurrency._actor import Function
    from pytest_asyncdb.concurrency._catalog import Catalog
    from pytest_asyncdb.concurrency._probe import Probe

__all__ = ["Explorer"]


class Explorer:
    """Explores on the database of one engine.

    `wanted` says of a connection of SQLAlchemy's whether it leads there; `sessions`
    makes the sessions that invariants are given, `observe` the connection on which the
    server is asked who waits.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        sessions: Callable[[], AsyncSession] | None = None,
        wanted: Callable[[Connection], bool] | None = None,
        observe: Callable[[], Awaitable[AsyncConnection]] | None = None,
    ) -> None:
        self._engine = engine
        self._sessions = sessions or self._session
        self._wanted = wanted or self._is_of_engine
        self._observe = observe or self._connect
        self._catalog: Catalog | None = None

    async def _connect(self) -> AsyncConnection:
        return await self._engine.connect()

    def _session(self) -> AsyncSession:
        from sqlalchemy.ext.asyncio import AsyncSession

        return AsyncSession(self._engine)

    def _is_of_engine(self, connection: Connection) -> bool:
        mine, its = self._engine.url, connection.engine.url
        return (mine.host, mine.port, mine.database, mine.query) == (
            its.host,
            its.port,
            its.database,
            its.query,
        )

    # ------------------------------------------------------------------- for everybody
    async def explore(
        self,
        actors: Mapping[str, Function] | None = None,
        /,
        *others: Never,
        invariant: Any = None,
        strategy: str = "dfs",
        preemption_bound: int | None = 2,
        max_schedules: int = 1000,
        max_seconds: float | None = None,
        seed: int = 0,
        isolation: str | Sequence[str] | None = None,
        volatile: Sequence[str] = (),
        check: bool = True,
        require_complete: bool = False,
        serializable: bool = True,
        self_check: bool = False,
        patience: float = 10.0,
        **named: Function,
    ) -> Result:
        """Try interleavings of async functions, those with few preemptions first.

        Actors are callables without arguments, as keywords or as one mapping. The rows
        that are there now are the start of each schedule, and are there afterwards.
        The outcome, final rows and results, must be that of some serial order of the
        actors that succeeded, unless `serializable` is False.

        `invariant`: async functions of a fresh session, or oracles such as
        `no_deadlock`, one or a list. `strategy`: "dfs", "random" or "pct" (with
        `seed`). `preemption_bound` None tries every schedule. `isolation`: a level for
        connections that name none, or several to try in turn. `volatile`: columns
        ("table.column") and results ("actor.path") that are not compared. `check`:
        raise for an anomaly. `require_complete`: raise if the search was cut.
        `self_check`: run all schedules besides, to see that none was left out wrongly.
        `patience`: seconds after which an actor that does nothing is given up.

        Raises `AnomalyFound`, `ExplorationRefused` for what cannot be explored,
        `ActorStuck` where a schedule does not end, `ProbeRefused` where nobody can say
        who waits. Warns of an `IncompleteSearch` and of a `ReadAnomaly`.
        """
        options = Options(
            invariant=invariant,
            strategy=strategy,
            preemption_bound=preemption_bound,
            max_schedules=max_schedules,
            max_seconds=max_seconds,
            seed=seed,
            isolation=isolation,
            volatile=volatile,
            check=check,
            require_complete=require_complete,
            serializable=serializable,
            self_check=self_check,
            patience=patience,
        )
        return await self._explore(check_actors(actors, named, others), options)

    async def replay(
        self,
        schedule: str,
        actors: Mapping[str, Function] | None = None,
        /,
        *others: Never,
        invariant: Any = None,
        isolation: str | None = None,
        volatile: Sequence[str] = (),
        check: bool = True,
        serializable: bool = True,
        patience: float = 10.0,
        **named: Function,
    ) -> Result:
        """Run one schedule, such as "AABB": a letter for each step of each actor.

        A number follows where an actor has several connections ("A2"). Everything else
        is as with `explore`; raises `ExplorationRefused` for what is no schedule.
        """
        functions = check_actors(actors, named, others)
        steps = None
        if isinstance(schedule, str):
            steps = read_schedule(schedule, len(functions))
        if steps is None:
            raise ExplorationRefused.schedule(schedule, list(functions))
        options = Options(
            invariant=invariant,
            isolation=isolation,
            volatile=volatile,
            check=check,
            serializable=serializable,
            patience=patience,
            replayed=steps,
        )
        return await self._explore(functions, options)

    async def explore_pairs(
        self,
        functions: Sequence[Function],
        /,
        *others: Never,
        check: bool = True,
        **options: Any,
    ) -> Pairs:
        """Explore every function against every other one, and against itself.

        `options` are those of `explore`. Raises `AnomalyFound` with the whole table.
        """
        if others:
            raise ExplorationRefused.no_list((functions, *others))
        named = check_actors(name_functions(functions), {})
        found = {}
        for first, second in itertools.combinations_with_replacement(named, 2):
            pair = {first: named[first], _other(first, second): named[second]}
            found[first, second] = await self.explore(pair, check=False, **options)
        pairs = Pairs(found)
        if check and pairs.bad:
            raise pairs.failure()
        return pairs

    async def _prepare(self) -> None:
        """Before the start is read."""

    # ---------------------------------------------------------------------- searches
    async def _explore(
        self, functions: Mapping[str, Function], options: Options
    ) -> Result:
        results: dict[str, Result] = {}
        with listening() as slot:
            await self._prepare()
            async with self._started(options.levels) as (start, probe):
                for level in options.levels:
                    ground = self._ground(start, probe, level, options)
                    search = Search(
                        ground, start, functions, self._judges(options), slot
                    )
                    search.terms.volatile.update(options.volatile)
                    found = await self._search(search, options)
                    found.notes = [*found.notes, *probe.deadlocks.remarks]
                    results[level or ""] = found
        return self._conclude(results, options)

    @contextlib.asynccontextmanager
    async def _started(
        self, levels: Sequence[str | None]
    ) -> AsyncIterator[tuple[Start, Probe]]:
        """The start of every schedule, and who asks the server; on two connections."""
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            _check_levels(connection, levels)
            probe = await open_probe(await self._observe())
            try:
                if self._catalog is None:
                    self._catalog = await connection.run_sync(read_catalog)
                start = Start(connection, self._catalog)
                await start.read()
                yield start, probe
            finally:
                await probe.close()

    def _ground(
        self, start: Start, probe: Probe, level: str | None, options: Options
    ) -> Ground:
        return Ground(
            probe,
            start.catalog.footprints,
            Rules(start.catalog.product, journal=start.is_journal),
            self._wanted,
            level,
            options.patience,
        )

    def _judges(self, options: Options) -> Judges:
        given = options.invariant
        several = [] if given is None else [given]
        if isinstance(given, list | tuple):
            several = list(given)
        oracles = [each for each in several if hasattr(each, "verdict")]
        others = [each for each in several if not hasattr(each, "verdict")]
        for each in others:
            if not callable(each):
                raise ExplorationRefused.option("invariant", each, "an async function")
        return Judges(others, oracles, self._sessions, serial=options.serializable)

    async def _search(self, search: Search, options: Options) -> Result:
        strategy = options.search
        name = "replay" if options.replayed is not None else options.strategy
        limits = Limits(options.max_schedules, options.max_seconds)
        result = Result(name, options.seed)
        await search.run(strategy, result, limits, stops=not options.self_check)
        if options.self_check:
            await compare(search, result, options)
        elif options.replayed is None:
            await shorten(search, result, options)
        return result

    # --------------------------------------------------------------------- verdicts
    def _conclude(self, results: Mapping[str, Result], options: Options) -> Result:
        """One result for all levels: the first with an anomaly, or the last."""
        result = next(
            (each for each in results.values() if each.anomaly is not None),
            list(results.values())[-1],
        )
        result.by_isolation = results
        anomaly = result.anomaly
        if options.check and anomaly is not None and not anomaly.is_read:
            raise result.failure() from anomaly.error
        for each in results.values():
            self._warn(each, options)
        return result

    @staticmethod
    def _warn(result: Result, options: Options) -> None:
        anomaly = result.anomaly
        if anomaly is not None:
            if anomaly.is_read and options.check:
                lines = [f"{anomaly} (schedule {anomaly.schedule})", result.diagram()]
                lines += [f"what helps: {remedy}" for remedy in anomaly.remedies]
                warnings.warn("\n".join(lines), ReadAnomaly, stacklevel=5)
            return
        if result.complete or result.strategy != "dfs":
            return
        if options.require_complete:
            raise ExplorationRefused.incomplete(result.verdict)
        warnings.warn(str(result), IncompleteSearch, stacklevel=5)


def _check_levels(connection: AsyncConnection, levels: Sequence[str | None]) -> None:
    """Refuse a level that the database does not have."""
    driver: Any = connection.sync_connection
    known = connection.dialect.get_isolation_level_values(
        driver.connection.dbapi_connection
    )
    for level in levels:
        if level is not None and level not in known:
            names = ", ".join(known)
            raise ExplorationRefused.option("isolation", level, f"one of {names}")


def _other(first: str, second: str) -> str:
    return second if second != first else f"{second}_2"
