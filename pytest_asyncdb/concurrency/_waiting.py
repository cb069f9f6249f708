"""Waiting until nobody moves: who waits in the database, or for something else."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.concurrency._probe import SOMEBODY
from pytest_asyncdb.concurrency._stops import Stops, shortened
from pytest_asyncdb.concurrency._trace import Kind
from pytest_asyncdb.errors import ActorStuck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_asyncdb.concurrency._actor import Actor, Lane
    from pytest_asyncdb.concurrency._op import Op

__all__ = ["Waiting"]

_SOON: Final = 0.001
"""How long a step that may wait in the database has before the server is asked."""
_LATER: Final = 0.02
_LONGEST: Final = 0.01
_STALL: Final = 0.05
"""How long an actor may do something else before the others go on without it."""
_STALL_TURNS: Final = 8
"""And how many turns of the loop, since a busy machine must not count."""
_END: Final = 1.0
"""How long a COMMIT may take whose answer does not show."""
_TURNS: Final = 2
_STATEMENTS: Final = frozenset({Kind.READ, Kind.WRITE})


class Waiting(Stops):
    """Actors that are let go, until each has stopped again, ended, or waits."""

    async def _let_others_look(self, lane: Lane, op: Op) -> None:
        """Before a step that may close a circle: see `Deadlocks`."""
        settle = self._probe.deadlocks.settle
        if not settle or op.kind is not Kind.WRITE:
            return
        since = max(
            (each.waits_since for each in self._lanes() if each.waits), default=0
        )
        if since and any(lane.session in each.blockers for each in self._lanes()):
            await asyncio.sleep(since + settle - time.monotonic())

    # -------------------------------------------------------------------- what waits
    async def _settle(self) -> None:
        """Wait until nobody moves: each has come to a step, ended, or waits."""
        began, delay, turns = time.monotonic(), self._first_delay(), 0
        while self._moving():
            if await self._arrives(delay):
                await self._breathe()
                continue
            await self._ask()
            passed, turns = time.monotonic() - began, turns + 1
            for actor in self._moving():
                idle = passed > _STALL and turns > _STALL_TURNS
                if idle and not self._is_in_database(actor, passed):
                    actor.stalled, actor.moves = True, False
                    self._tally.stalls.add(f"{actor.name} at {actor.place}")
            if passed > self._ground.patience and self._moving():
                raise self._stuck(self._moving())
            delay = min(delay * 1.5, _LONGEST) if delay < _LATER else _LONGEST
        if self._refusal is not None:
            raise self._refusal

    async def _breathe(self) -> None:
        """Other tasks of the actor may arrive with the first one."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def _moving(self) -> list[Actor]:
        if self._refusal is not None:
            raise self._refusal
        return [actor for actor in self.actors if actor.moves]

    def _first_delay(self) -> float:
        """Ask early only where a step touches what others have written."""
        lanes = self._lanes()
        for lane in lanes:
            if lane.flies and lane.step is not None:
                mine = lane.step.tables
                others = (each.transaction.wrote for each in lanes if each is not lane)
                if any(
                    mine & other or "*" in mine | other for other in others if other
                ):
                    return _SOON
        return _LATER

    async def _arrives(self, seconds: float) -> bool:
        """Wait until somebody arrives, for so long at the most."""
        loop = asyncio.get_running_loop()
        self._arrival = arrival = loop.create_future()
        if self._refusal is not None or not self._moving_or_waiting():
            return True
        timer = loop.call_later(seconds, _expire, arrival)
        try:
            return await arrival is None
        except TimeoutError:
            return False
        finally:
            timer.cancel()
            self._arrival = None

    def _moving_or_waiting(self) -> bool:
        return any(actor.task is not None and not actor.done for actor in self.actors)

    def _is_in_database(self, actor: Actor, passed: float) -> bool:
        """Whether the server has not answered; the answer to an end may be unseen."""
        return actor.in_driver > 0 or any(
            lane.is_quiet
            or (
                lane.flies
                and lane.step is not None
                and (lane.step.kind in _STATEMENTS or passed < _END)
            )
            for lane in actor.lanes.values()
        )

    async def _ask(self) -> None:
        """Ask the server which of those that move wait in it."""
        flying = {lane.session: lane for lane in self._lanes() if lane.flies}
        if not flying:
            return
        found = await self._probe.blocking(list(flying))
        ours = {lane.session for lane in self._lanes()} | {SOMEBODY}
        for session, lane in flying.items():
            if not lane.flies:
                continue
            self._tally.others |= found.get(session, frozenset()) - ours
            self._judge(lane, found.get(session, frozenset()) & ours)

    def _judge(self, lane: Lane, blockers: frozenset[int]) -> None:
        """Whether the lane waits for another one of ours, and so its actor."""
        if blockers and not lane.waits:
            lane.waits, lane.waits_since = True, time.monotonic()
            self._tally.waits += 1
            if lane.step is not None:
                lane.step.waited = True
                lane.step.blocked_by |= self._names(lane, blockers)
        actor = self._actor_of(lane)
        if lane.waits and not blockers:
            actor.moves = True
        lane.blockers, lane.waits = blockers, bool(blockers)
        flying = [each for each in actor.lanes.values() if each.flies]
        if all(each.waits for each in flying):
            actor.moves = False

    def _names(self, lane: Lane, blockers: frozenset[int]) -> frozenset[str]:
        holders = {
            actor.name
            for actor in self.actors
            for each in actor.lanes.values()
            if each is not lane
            and (
                each.session in blockers
                or (SOMEBODY in blockers and each.transaction.wrote)
            )
        }
        return frozenset(holders)

    async def _look_again(self) -> None:
        """After a step that may have let others go on."""
        moved = True
        while moved:
            moved = await self._release() or bool(self._moving())
            await self._settle()

    async def _release(self) -> bool:
        """Find those that wait no more; whether there are any."""
        waiting = {lane.session: lane for lane in self._lanes() if lane.waits}
        if not waiting:
            return False
        found = await self._probe.blocking(list(waiting))
        ours = {lane.session for lane in self._lanes()} | {SOMEBODY}
        free = [
            lane
            for session, lane in waiting.items()
            if lane.waits and not (found.get(session, frozenset()) & ours)
        ]
        for lane in free:
            lane.waits, lane.blockers = False, frozenset()
            self._actor_of(lane).moves = True
        return bool(free)

    async def _wait_for_anybody(self) -> None:
        """All wait: in a deadlock, which the server ends, or for something else."""
        deadline = time.monotonic() + self._ground.patience
        while not await self._arrives(_LONGEST):
            waiting = [lane for lane in self._lanes() if lane.waits]
            if waiting:
                await self._look_again()
            if any(lane.pending is not None for lane in self._lanes()):
                return
            if time.monotonic() > deadline:
                left = [actor for actor in self.actors if not actor.done]
                raise self._stuck(left)
        await self._look_again()

    def _stuck(self, actors: Sequence[Actor]) -> ActorStuck:
        where = []
        for actor in actors:
            flying = [lane for lane in actor.lanes.values() if lane.flies]
            sql = next((each.step.sql for each in flying if each.step), None)
            doing = f"in {shortened(sql)}" if sql is not None else f"at {actor.place}"
            where.append(f"{actor.name} is {doing}")
        return ActorStuck.waiting(
            where,
            self._ground.patience,
            self.trace.schedule,
            sorted(self._tally.others),
        )


def _expire(arrival: asyncio.Future[None]) -> None:
    if not arrival.done():
        arrival.set_exception(TimeoutError())
