"""One schedule: actors are let go one step at a time, as a strategy chooses."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.concurrency._classify import classify
from pytest_asyncdb.concurrency._search import Point
from pytest_asyncdb.concurrency._waiting import Waiting
from pytest_asyncdb.concurrency._walks import spell
from pytest_asyncdb.errors import ActorStuck, ExplorationRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asyncdb.concurrency._actor import Actor, Function, Lane
    from pytest_asyncdb.concurrency._op import Op, Unit
    from pytest_asyncdb.concurrency._search import Strategy
    from pytest_asyncdb.concurrency._stops import Ground, Tally

__all__ = ["Schedule"]

_MOST_STEPS: Final = 2_000
_CLEANING: Final = 5.0


class Schedule(Waiting):
    """One run of some actors."""

    def __init__(
        self,
        ground: Ground,
        functions: Mapping[str, Function],
        strategy: Strategy,
        tally: Tally,
    ) -> None:
        super().__init__(ground, functions, tally)
        self._strategy = strategy
        self._previous: Unit | None = None
        self._contested = False

    async def run(self, *, serially: bool = False) -> None:
        """Run all actors to their ends; `serially`, each after the one before.

        Raises `ActorStuck` where one never ends, and `ExplorationRefused` for what
        cannot be explored; no actor is left running.
        """
        try:
            for actor in self.actors:
                actor.moves = True
                actor.start(self._wake)
                await self._settle()
                while serially and await self._step():
                    pass
            while await self._step():
                pass
        finally:
            await self._clean()
        self._finish()

    async def _step(self) -> bool:
        """Let one go; whether there was one."""
        point = self._point()
        if not point.ops:
            if all(actor.done or actor.task is None for actor in self.actors):
                return False
            await self._wait_for_anybody()
            return True
        if len(self.trace.steps) >= _MOST_STEPS:
            raise ActorStuck.endless(self._busiest(), _MOST_STEPS)
        unit = self._strategy.choose(point)
        self.trace.schedule += spell(unit, point)
        await self._let_go(unit)
        self._previous = unit
        return True

    def _point(self) -> Point:
        waiting = {
            (actor.number, lane.number): (lane, lane.pending)
            for actor in self.actors
            for lane in actor.lanes.values()
            if lane.pending is not None
        }
        free = {
            unit: op
            for unit, (lane, op) in waiting.items()
            if not self._foretold(lane, op)
        }
        ops = free or {unit: op for unit, (_, op) in waiting.items()}
        return Point(ops, self._previous, self._contested)

    def _foretold(self, lane: Lane, op: Op) -> bool:
        if not self._probe.foretells:
            return False
        holders = self._probe.foretell(lane.session, op.kind, op.sql)
        return bool(holders & {each.session for each in self._lanes()})

    async def _let_go(self, unit: Unit) -> None:
        actor = self.actors[unit[0]]
        lane = next(each for each in actor.lanes.values() if each.number == unit[1])
        op = lane.pending
        assert op is not None
        assert lane.resume is not None
        await self._let_others_look(lane, op)
        self._contested = sum(each.waits for each in self._lanes()) > 1
        actor.moves = True
        lane.resume.set_result(None)
        await self._settle()
        failed = lane.step is not None and lane.step.error is not None
        if op.ends or op.atomic or failed or actor.done:
            await self._look_again()
        elif any(each.stalled for each in self.actors):
            await self._settle()

    def _busiest(self) -> str:
        names = [step.actor for step in self.trace.steps]
        return max(self.trace.actors, key=names.count)

    # ------------------------------------------------------------------------ the end
    async def _clean(self) -> None:
        """Let nobody run on, whatever has happened."""
        self._over = True
        left = [each.task for each in self.actors if each.task and not each.task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_CLEANING)
        for actor in self.actors:
            if actor.task is not None and actor.task.done():
                with contextlib.suppress(asyncio.CancelledError):
                    actor.task.result()

    def _finish(self) -> None:
        self._strategy.end()
        for actor in self.actors:
            if isinstance(actor.error, ExplorationRefused):
                raise actor.error
            for session in actor.refused_by:
                self.began(actor.number, session)
            self.trace.endings[actor.name] = _ending(actor)


def _ending(actor: Actor) -> str:
    if actor.error is None:
        return repr(actor.result)
    condition = classify(actor.error)
    name = type(actor.error).__name__
    return f"{name} ({condition.name})" if condition is not None else name
