"""Interleavings written by hand: transactions side by side, one step after the other.

The model of PostgreSQL's isolation tester: each step ends, or waits in the database,
before the next one is taken.
"""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from pytest_asyncdb.concurrency._aside import Aside
from pytest_asyncdb.concurrency._diagram import diagram
from pytest_asyncdb.concurrency._lane import Lane, Step
from pytest_asyncdb.concurrency._lane_session import LaneSession
from pytest_asyncdb.concurrency._probe import SOMEBODY
from pytest_asyncdb.concurrency._probes import open_probe
from pytest_asyncdb.concurrency._trace import Trace
from pytest_asyncdb.errors import LaneBusy, LanesRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from types import TracebackType

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pytest_asyncdb.concurrency._lane import Work
    from pytest_asyncdb.concurrency._probe import Probe

__all__ = ["Lanes", "lanes"]

_PATIENCE: Final = 10.0
"""Seconds that a step may take that neither ends nor waits for a lock."""
_GRACE: Final = 0.02
"""Seconds after which a wait that was only foretold is taken for one."""
_STRANGERS: Final = 0.2
"""Seconds after which somebody else's lock is taken for one that will stay."""
_FIRST: Final = 0.001
_LONGEST: Final = 0.01
_BEGINS: Final = ("DEFERRED", "IMMEDIATE", "EXCLUSIVE")
"""SQLite's ways to begin, given in the place of an isolation level."""


def lanes(engine: AsyncEngine, number: int, *, isolation: str | None = None) -> Lanes:
    """That many transactions on connections of their own, on the engine's database.

    To be entered by `async with`, which gives the `Lane` objects t1, t2, and so on.
    What is open at the end is rolled back. `isolation` is a level as SQLAlchemy names
    it, and for SQLite also "DEFERRED", "IMMEDIATE" or "EXCLUSIVE", what BEGIN says.

    Raises `LanesRefused` for arguments that make no sense, `ProbeRefused` where the
    database does not tell who waits for whom.
    """
    own = _separate(engine)
    return Lanes(number, connect=own.connect, dispose=own.dispose, isolation=isolation)


def _separate(engine: AsyncEngine) -> AsyncEngine:
    """The engine with another pool: connections belong to the loop that made them."""
    other = copy.copy(engine.sync_engine)
    other.pool = engine.sync_engine.pool.recreate()
    return AsyncEngine(other)


class Lanes:
    """The lanes of one `async with`, and who waits for whom among them.

    `connect` makes the connection of a lane, `observe` that of the probe; `dispose` is
    called when all have been closed. All three are called on the lanes' own loop.
    `failed` is told what was done, when the block ends with an error.
    """

    def __init__(
        self,
        number: int,
        *,
        connect: Callable[[], Awaitable[AsyncConnection]],
        observe: Callable[[], Awaitable[AsyncConnection]] | None = None,
        dispose: Callable[[], Awaitable[None]] | None = None,
        failed: Callable[[Trace], None] | None = None,
        isolation: str | None = None,
    ) -> None:
        if not _counts(number):
            raise LanesRefused.number(number)
        self.trace = Trace(tuple(f"t{place}" for place in range(1, number + 1)))
        self._connect, self._observe = connect, observe or connect
        self._dispose, self._failed = dispose, failed
        self._isolation = isolation
        self._lanes = tuple(Lane(name, self) for name in self.trace.actors)
        self._sessions: dict[Lane, LaneSession] = {}
        self._aside: Aside | None = None
        self._probe: Probe | None = None
        self._steps: list[Step] = []

    # -------------------------------------------------------------- begin and end
    async def __aenter__(self) -> tuple[Lane, ...]:
        """Connect; no lane has sent anything yet."""
        __tracebackhide__ = True
        self._aside = aside = Aside()
        try:
            await aside.run(self._open())
        except BaseException:
            await self._end()
            raise
        return self._lanes

    async def _open(self) -> None:
        self._probe = probe = await open_probe(await self._observe())
        self.trace.row_locks = not probe.foretells
        for lane in self._lanes:
            connection = await self._connect()
            session = LaneSession(
                lane.name,
                connection,
                probe,
                self.trace.steps,
                begin=_begin(connection, self._isolation),
            )
            self._sessions[lane] = session
            await self._prepare(connection)
            await session.open()

    async def _prepare(self, connection: AsyncConnection) -> None:
        assert self._probe is not None
        hurry = self._probe.deadlocks.hurry
        if hurry is not None:
            await connection.exec_driver_sql(hurry)
            await connection.commit()
        if self._isolation is None or _begin(connection, self._isolation):
            return
        try:
            await connection.execution_options(isolation_level=self._isolation)
        except ArgumentError as error:
            known = await connection.run_sync(_levels)
            raise LanesRefused.isolation(self._isolation, known) from error

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Roll back what is open; an error that nobody awaited is raised now."""
        __tracebackhide__ = True
        taken = len(self.trace.steps)
        await self._end()
        if error is not None:
            shown = replace(self.trace, steps=self.trace.steps[:taken])
            error.add_note(diagram(shown))
            if self._failed is not None:
                self._failed(shown)
            return
        for step in self._steps:
            if not step.retrieved and step.task is not None:
                step.task.result()

    def diagram(self) -> str:
        """What the lanes have done so far, as text."""
        return diagram(self.trace)

    async def _end(self) -> None:
        aside, self._aside = self._aside, None
        if aside is None:
            return
        try:
            await aside.run(self._close())
        finally:
            aside.close()

    async def _close(self) -> None:
        """Roll back those that wait for nobody, which lets the others go on."""
        async with asyncio.timeout(_PATIENCE):
            left = dict(self._sessions)
            while left and self._probe is not None:
                free = [lane for lane in left if not _is_busy(lane)]
                for lane in free:
                    await left.pop(lane).close()
                if not free:
                    await self._cancel(left)
                await self._settle()
        if self._probe is not None:
            await self._probe.close()
        if self._dispose is not None:
            await self._dispose()

    async def _cancel(self, left: Mapping[Lane, LaneSession]) -> None:
        """They wait for somebody who is none of ours."""
        for lane, session in left.items():
            if lane.current is not None and lane.current.task is not None:
                lane.current.task.cancel()
                lane.current.retrieved = True
                await asyncio.wait([lane.current.task])
                await session.connection.invalidate()

    # ------------------------------------------------------------------------ steps
    def begin(self, lane: Lane, work: Work, parameters: object) -> Step:
        """Begin a step, and block until it has ended or waits."""
        return self._thread().block(self._begun(lane, work, parameters))

    async def began(self, lane: Lane, work: Work, parameters: object) -> Step:
        """The same, while the caller's loop goes on."""
        return await self._thread().run(self._begun(lane, work, parameters))

    def settle(self) -> None:
        """Block until every step has ended or waits for a lock."""
        if self._aside is not None:
            self._aside.block(self._settle())

    async def settled(self) -> None:
        """The same, while the caller's loop goes on."""
        if self._aside is not None:
            await self._aside.run(self._settle())

    def named(self, sessions: Iterable[int]) -> frozenset[Lane | int]:
        """Sessions as the lanes they are; others stay numbers."""
        lanes = {each.number: lane for lane, each in self._sessions.items()}
        return frozenset(lanes.get(number, number) for number in sessions)

    def _thread(self) -> Aside:
        if self._aside is None:
            raise LanesRefused.outside()
        return self._aside

    async def _begun(self, lane: Lane, work: Work, parameters: object) -> Step:
        await self._settle()
        if lane.current is not None and not lane.current.has_ended:
            raise LaneBusy.of(lane.current, self.named(lane.current.holders))
        step = Step(lane, work, self)
        step.task = asyncio.ensure_future(self._sessions[lane].do(work, parameters))
        lane.current = step
        self._steps.append(step)
        await self._settle()
        return step

    # ---------------------------------------------------------------------- settling
    async def _settle(self) -> None:
        """Wait until every step has ended, or waits for a lock as far as is known."""
        loop = asyncio.get_running_loop()
        deadline, interval = loop.time() + _PATIENCE, _FIRST
        while (flying := self._flying()) and loop.time() < deadline:
            if await _any_ends(flying, interval):
                interval = _FIRST
                continue
            interval = min(interval * 1.5, _LONGEST)
            if await self._all_wait(flying):
                return

    def _flying(self) -> list[Step]:
        return [each for each in self._steps if not each.has_ended]

    async def _all_wait(self, flying: list[Step]) -> bool:
        """Whether every step waits, none of them in a circle; notes for whom."""
        assert self._probe is not None
        numbers = {self._sessions[step.lane].number: step for step in flying}
        found = await self._probe.blocking(numbers)
        if found.keys() != numbers.keys() or _has_circle(found):
            return False
        is_new = any(not step.holders for step in flying)
        if is_new and await _any_ends(flying, self._grace(found.values())):
            return False
        found = await self._probe.blocking(numbers, exact=True)
        if found.keys() != numbers.keys() or any(step.has_ended for step in flying):
            return False
        for number, step in numbers.items():
            self._note(step, found[number])
        return True

    def _grace(self, holders: Iterable[frozenset[int]]) -> float:
        """Seconds until a wait that was just seen is one that stays."""
        assert self._probe is not None
        ours = {SOMEBODY, *(each.number for each in self._sessions.values())}
        if any(not ours & each for each in holders):
            return _STRANGERS
        if self._probe.foretells:
            return _GRACE
        deadlocks = self._probe.deadlocks
        return 0.0 if deadlocks.slow else deadlocks.settle

    def _note(self, step: Step, holders: frozenset[int]) -> None:
        step.holders = holders
        names = self.named(holders)
        step.waited_for |= names
        for line in reversed(self.trace.steps):
            if line.actor == step.lane.name:
                line.waited = True
                line.blocked_by |= {
                    each.name for each in names if isinstance(each, Lane)
                }
                return


async def _any_ends(steps: Iterable[Step], seconds: float) -> bool:
    tasks = [step.task for step in steps if step.task is not None]
    done, _ = await asyncio.wait(
        tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
    )
    return bool(done)


def _has_circle(found: Mapping[int, frozenset[int]]) -> bool:
    """Whether somebody waits for somebody who waits for the first: a deadlock."""
    for start in found:
        seen, front = set[int](), set(found[start])
        while front:
            if start in front:
                return True
            seen |= front
            front = {each for one in front for each in found.get(one, ())} - seen
    return False


def _is_busy(lane: Lane) -> bool:
    return lane.current is not None and not lane.current.has_ended


def _begin(connection: AsyncConnection, isolation: str | None) -> str | None:
    word = (isolation or "").strip().upper()
    is_sqlite = connection.dialect.name == "sqlite"
    return f"BEGIN {word}" if is_sqlite and word in _BEGINS else None


def _levels(connection: Any) -> list[str]:
    dialect = connection.dialect
    known = list(dialect.get_isolation_level_values(connection.connection))
    return known + (list(_BEGINS) if dialect.name == "sqlite" else [])


def _counts(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1
