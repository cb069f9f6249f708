"""The same code with a fault at each of its statements in turn, judged by the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.concurrency._fault import short
from pytest_asyncdb.concurrency._rows import Rows, differences
from pytest_asyncdb.concurrency._values import Clock
from pytest_asyncdb.errors import FaultRefused, SweepFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection
    from types import TracebackType
    from typing import Self

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pytest_asyncdb.concurrency._fault import Fault
    from pytest_asyncdb.concurrency._rows import Contents

__all__ = ["Position", "Sweep"]

OK: Final = "ok"
CLEAN: Final = "failed cleanly"
LOST: Final = "lost"
UNKNOWN: Final = "applied, and said so not"
WRONG: Final = "wrong state"


@dataclass(frozen=True, slots=True)
class Position:
    """What happened when the fault was at one statement; `number` counts from 1.

    `verdict` is "ok", "failed cleanly" (an error, and nothing was done), "applied, and
    said so not" (an error, and all was done), "lost" (no error, and nothing was done)
    or "wrong state" (neither all nor nothing), with the `differences`.
    """

    number: int
    statement: str
    verdict: str
    error: BaseException | None
    differences: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = f" ({type(self.error).__name__})" if self.error is not None else ""
        return f"{self.number:>3}  {self.statement:<40}  {self.verdict}{said}"


class Sweep:
    """An iteration over all positions of a fault: see `Faults.sweep`.

    Afterwards `positions` tells of each, and `str()` is a table of them.
    """

    def __init__(
        self,
        arm: Callable[[int], Fault],
        engine: AsyncEngine,
        *,
        title: str,
        recovers: bool,
        check: bool,
        volatile: Collection[str],
        max_positions: int,
        told: Callable[[str], None] | None,
    ) -> None:
        self.positions: list[Position] = []
        self._arm = arm
        self._rows = Rows(engine, volatile=volatile, clock=Clock())
        self._title = title
        self._recovers = recovers
        self._check = check
        self._limit = max_positions
        self._told = told
        self._start: Contents = {}
        self._nothing: Contents = {}
        self._all: Contents = {}

    def __str__(self) -> str:
        lines = [f"{self._title}, {len(self.positions)} positions"]
        for each in self.positions:
            lines.append(str(each))
            if each.verdict in self._failures:
                lines += [f"       {line}" for line in each.differences]
        return "\n".join(lines)

    @property
    def verdicts(self) -> list[str]:
        """The verdict of each position."""
        return [each.verdict for each in self.positions]

    @property
    def failed(self) -> bool:
        """Whether any position is not as it has to be."""
        return not self._failures.isdisjoint(self.verdicts)

    @property
    def _failures(self) -> frozenset[str]:
        """A lost answer to a COMMIT may end in an error, unless `recovers`."""
        wrong = frozenset({LOST, WRONG})
        return wrong | {CLEAN, UNKNOWN} if self._recovers else wrong

    async def __aiter__(self) -> AsyncIterator[Swept]:
        self._start = await self._rows.read()
        reference = Swept(self, None)
        yield reference
        if not reference.ended:
            raise FaultRefused.unused()
        for number in range(1, self._limit + 2):
            if number > self._limit:
                raise FaultRefused.endless(self._limit)
            await self._rows.put_back(self._start)
            swept = Swept(self, self._arm(number))
            yield swept
            if not swept.ended:
                raise FaultRefused.unused()
            if not swept.is_reached:
                break
        self._finish()

    def _finish(self) -> None:
        if self._told is not None:
            self._told(str(self))
        if self._check and self.failed:
            raise SweepFailed.of(str(self))

    async def _begin(self, swept: Swept) -> None:
        if swept.fault is None:
            found = await self._rows.read()
            self._nothing = self._rows.comparable(found, self._start)

    async def _end(self, swept: Swept, error: BaseException | None) -> None:
        found = self._rows.comparable(await self._rows.read(), self._start)
        if swept.fault is None:
            self._all = found
        elif swept.is_reached:
            self.positions.append(self._judged(swept.fault, found, error))

    def _judged(
        self, fault: Fault, found: Contents, error: BaseException | None
    ) -> Position:
        different: list[str] = []
        if found == self._all:
            verdict = OK if error is None else UNKNOWN
        elif found == self._nothing:
            verdict = LOST if error is None else CLEAN
        else:
            verdict, different = WRONG, differences(self._all, found)
        return Position(
            len(self.positions) + 1,
            short(fault.fired[0], width=40),
            verdict,
            error,
            tuple(different),
        )


class Swept:
    """The fault at one position, or at none the first time; entered by the loop."""

    def __init__(self, sweep: Sweep, fault: Fault | None) -> None:
        self.fault = fault
        self.ended = False
        self._sweep = sweep
        if fault is not None:
            fault.armed = False

    @property
    def is_reached(self) -> bool:
        """Whether the fault has hit a statement."""
        return self.fault is not None and bool(self.fault.fired)

    async def __aenter__(self) -> Self:
        await self._sweep._begin(self)
        if self.fault is not None:
            self.fault.armed = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if self.fault is not None:
            self.fault.armed = False
        self.ended = True
        if error is not None and not (self.is_reached and isinstance(error, Exception)):
            return False
        await self._sweep._end(self, error)
        return True
