"""Searches among the interleavings of some functions, on one database."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_asyncdb.concurrency._anomaly import anomaly
from pytest_asyncdb.concurrency._oracles import Ended
from pytest_asyncdb.concurrency._outcome import Ending, Terms
from pytest_asyncdb.concurrency._remedies import general_remedy
from pytest_asyncdb.concurrency._result import Anomaly, Result
from pytest_asyncdb.concurrency._schedule import Schedule
from pytest_asyncdb.concurrency._serial import Agreement, SerialOrders
from pytest_asyncdb.concurrency._stops import Tally
from pytest_asyncdb.concurrency._swallowed import met, swallowed
from pytest_asyncdb.concurrency._values import leaves
from pytest_asyncdb.concurrency._walks import Given
from pytest_asyncdb.errors import ExplorationRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from pytest_asyncdb.concurrency._actor import Function
    from pytest_asyncdb.concurrency._intercept import Slot
    from pytest_asyncdb.concurrency._oracles import Oracle
    from pytest_asyncdb.concurrency._search import Strategy
    from pytest_asyncdb.concurrency._start import Start
    from pytest_asyncdb.concurrency._stops import Ground
    from pytest_asyncdb.concurrency._swallowed import Met

__all__ = ["Judges", "Limits", "Search"]


@dataclass(frozen=True, slots=True)
class Limits:
    """When a search is cut: after so many schedules, or so many seconds."""

    schedules: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Judges:
    """What schedules are judged by.

    `invariants` are async functions of a fresh session; `serial`: the outcome must be
    that of a serial order.
    """

    invariants: Sequence[Callable[[AsyncSession], Any]]
    oracles: Sequence[Oracle]
    sessions: Callable[[], AsyncSession]
    serial: bool = True


class Search:
    """Schedules of some actors on one database, each from the same start."""

    def __init__(
        self,
        ground: Ground,
        start: Start,
        functions: Mapping[str, Function],
        judges: Judges,
        slot: Slot,
    ) -> None:
        self.tally = Tally()
        self.terms = Terms(start.catalog, start.rows)
        self._ground = ground
        self._start = start
        self._functions = functions
        self._judges = judges
        self._slot = slot
        self._errors: dict[str, BaseException | None] = {}
        self._met: set[Met] = set()
        """Errors of the database that actors meet in serial orders."""
        self._silent = list(functions)
        """Actors that have sent no statement in any schedule."""
        self._serial = SerialOrders(list(functions), self.terms, self._run_serial)

    async def run(
        self, strategy: Strategy, result: Result, limits: Limits, *, stops: bool = True
    ) -> Result:
        """Try what the strategy says until an anomaly is found, or nothing is left."""
        began, found = time.monotonic(), Counter[str]()
        while not self._is_cut(result, limits, began) and strategy.more():
            schedule, ending, anomaly = await self._try(strategy, result.schedules + 1)
            result.schedules += 1
            result.last = schedule.trace
            found[self.terms.summary(ending)] += 1
            result.deadlocks += _has_deadlock(schedule)
            self._note(schedule)
            result.anomaly = _graver(result.anomaly, anomaly)
            if stops and anomaly is not None and not anomaly.is_read:
                break
        else:
            result.complete = strategy.complete
        self._tell(result, strategy, found)
        self._look_for_success(result)
        self._look_for_silence(result)
        result.seconds += time.monotonic() - began
        return result

    def _note(self, schedule: Schedule) -> None:
        sent = {step.actor for step in schedule.trace.steps}
        self._silent = [name for name in self._silent if name not in sent]
        for each in schedule.actors:
            if each.error is None:
                self._errors[each.name] = None
            else:
                self._errors.setdefault(each.name, each.error)

    def _look_for_silence(self, result: Result) -> None:
        """A search without statements has found nothing, which is not "no anomaly"."""
        is_wrong = result.anomaly is not None and not result.anomaly.is_read
        if result.last is None or is_wrong:
            return
        if len(self._silent) == len(self._functions):
            failed = {
                name: repr(error) for name, error in self._errors.items() if error
            }
            endings = {**result.last.endings, **failed}
            raise ExplorationRefused.silence(endings, sorted(self.tally.unseen))
        result.notes = [
            *result.notes,
            *(f"{name} sent no statement" for name in self._silent),
        ]

    def _look_for_success(self, result: Result) -> None:
        """An actor that always fails is explored in vain, which nobody may overlook."""
        if result.anomaly is not None or result.strategy == "replay":
            return
        failed = {name: error for name, error in self._errors.items() if error}
        if failed and len(failed) == len(self._functions):
            raise ExplorationRefused.nobody(failed) from next(iter(failed.values()))
        result.notes = [
            *result.notes,
            *(f"{name} never succeeds: {error!r}" for name, error in failed.items()),
        ]

    @staticmethod
    def _is_cut(result: Result, limits: Limits, began: float) -> bool:
        passed = time.monotonic() - began
        late = limits.seconds is not None and passed >= limits.seconds
        return late or result.schedules >= limits.schedules

    def _tell(self, result: Result, strategy: Strategy, found: Counter[str]) -> None:
        tally = self.tally
        if result.strategy == "dfs":
            result.complete = strategy.complete and not strategy.divergences
        result.bound = strategy.bound
        result.reduced = strategy.reduced
        result.divergences = tuple(strategy.divergences)
        result.outcomes = dict(found)
        result.serial = self._serial.count
        result.waits = tally.waits
        result.volatile = sorted(self.terms.volatile)
        result.stalls = sorted(tally.stalls)
        result.notes = [
            *(f"not let go one by one: {sql}" for sql in sorted(tally.unseen)),
            *(f"ended in two ways when run twice: {x}" for x in self._serial.unstable),
            *(
                f"session {number} is no actor's, and held a lock"
                for number in sorted(tally.others)
            ),
        ]

    # ------------------------------------------------------------------ one schedule
    async def _try(
        self, strategy: Strategy, number: int
    ) -> tuple[Schedule, Ending, Anomaly | None]:
        schedule = Schedule(self._ground, self._functions, strategy, self.tally)
        ending, broken = await self._play(schedule)
        return schedule, ending, await self._judge(schedule, ending, broken, number)

    async def _play(
        self, schedule: Schedule, *, serially: bool = False
    ) -> tuple[Ending, BaseException | None]:
        """Run it; how it ended, and the invariant that it breaks."""
        self._slot.listener = schedule
        try:
            await schedule.run(serially=serially)
            self._slot.listener = None
            rows = await self._start.look(self._start.catalog.touched(schedule.touched))
            broken = None if serially else await self._broken()
        except BaseException:
            self._slot.listener = None
            await self.restore()
            raise
        ending = Ending(
            frozenset(each.name for each in schedule.actors if each.error is None),
            {
                each.name: leaves(each.result)
                for each in schedule.actors
                if each.error is None
            },
            rows,
        )
        await self._start.restore(rows, inserted=rows if schedule.inserted else ())
        return ending, broken

    async def restore(self) -> None:
        """Put everything back, whatever was touched."""
        tables = self._start.catalog.tables
        rows = await self._start.look(tables.values())
        await self._start.restore(rows, inserted=tables)

    async def _broken(self) -> BaseException | None:
        for invariant in self._judges.invariants:
            async with self._judges.sessions() as session:
                try:
                    if await invariant(session) is False:
                        return AssertionError(f"{_name(invariant)} is false")
                except Exception as error:  # noqa: BLE001 - it says what is wrong
                    return error
        return None

    async def _run_serial(self, order: tuple[str, ...]) -> Ending:
        functions = {name: self._functions[name] for name in order}
        schedule = Schedule(self._ground, functions, Given(()), self.tally)
        ending, _ = await self._play(schedule, serially=True)
        self._met |= met(schedule.trace)
        return ending

    # ---------------------------------------------------------------------- verdicts
    async def _judge(
        self,
        schedule: Schedule,
        ending: Ending,
        broken: BaseException | None,
        number: int,
    ) -> Anomaly | None:
        if broken is not None:
            text = f"{type(broken).__name__}: {broken}".strip()
            name = _pattern(schedule, "invariant")
            if name != "invariant":
                text = f"invariant: {text}"
            return Anomaly(name, text, schedule.trace, number, error=broken)
        for each in schedule.actors:
            if isinstance(each.error, AssertionError) or _is_outcome(each.error):
                text = f"{each.name}: {type(each.error).__name__}: {each.error}"
                return Anomaly(
                    "assertion", text, schedule.trace, number, error=each.error
                )
        agreement = None
        if self._judges.serial:
            agreement = await self._serial.judge(ending)
        ended = self._ended(schedule, agreement)
        for oracle in self._judges.oracles:
            found = oracle.verdict(ended)
            if found is not None:
                return Anomaly(*found, schedule.trace, number)
        return self._from_orders(schedule, ended, agreement, number)

    def _from_orders(
        self,
        schedule: Schedule,
        ended: Ended,
        agreement: Agreement | None,
        number: int,
    ) -> Anomaly | None:
        if agreement not in {Agreement.NONE, Agreement.ROWS}:
            return None
        is_read, trace = agreement is Agreement.ROWS, schedule.trace
        names = " and ".join(ended.results) or "nobody"
        name = "read skew" if is_read else "unserializable outcome"
        text = f"{names} succeeded, and no serial order of them leaves these rows"
        if is_read:
            text = f"{names} got results that no serial order of them gives"
        pattern, remedies = _pattern(schedule, name), []
        if pattern == name:
            reason = swallowed(trace, ended.results, self._met)
            text = "; ".join(filter(None, (text, reason)))
            remedies = [general_remedy(row_locks=trace.row_locks)]
        return Anomaly(pattern, text, trace, number, is_read=is_read, remedies=remedies)

    def _ended(self, schedule: Schedule, agreement: Agreement | None) -> Ended:
        return Ended(
            schedule.trace,
            {each.name: each.result for each in schedule.actors if each.error is None},
            {each.name: each.error for each in schedule.actors if each.error},
            None if agreement is None else agreement is not Agreement.NONE,
        )


def _is_outcome(error: BaseException | None) -> bool:
    """Whether the test itself has given up: pytest.fail() is no `Exception`."""
    known = Exception, asyncio.CancelledError
    return error is not None and not isinstance(error, known)


def _pattern(schedule: Schedule, otherwise: str) -> str:
    """The name of what the steps show."""
    found = anomaly(schedule.trace)
    return otherwise if found is None else found.name


def _graver(first: Anomaly | None, second: Anomaly | None) -> Anomaly | None:
    if first is None or (first.is_read and second is not None and not second.is_read):
        return second
    return first


def _has_deadlock(schedule: Schedule) -> bool:
    return any(step.outcome == "deadlock_detected" for step in schedule.trace.steps)


def _name(fn: object) -> str:
    return str(getattr(fn, "__name__", fn))
