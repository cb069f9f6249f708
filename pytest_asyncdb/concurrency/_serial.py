"""Serial orders of the actors, and whether one of them explains how a schedule ended.

An actor that failed counts as not run (Burckhardt et al., "Line-up", 2010, asks the
same of data structures: does some sequential run give these results?).
"""

from __future__ import annotations

import enum
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from pytest_asyncdb.concurrency._outcome import Ending, Terms

__all__ = ["Agreement", "SerialOrders"]


class Agreement(enum.Enum):
    """What serial orders say of an ending."""

    FULL = "full"
    ROWS = "rows"
    """The rows are those of a serial order; what the actors were told is not."""
    NONE = "none"


class SerialOrders:
    """Runs serial orders when they are needed, each of them twice.

    `run` runs actors in the given order, each after the one before has ended.
    """

    def __init__(
        self,
        actors: Sequence[str],
        terms: Terms,
        run: Callable[[tuple[str, ...]], Awaitable[Ending]],
    ) -> None:
        self.unstable: list[str] = []
        """Orders that ended in two ways."""
        self._actors = actors
        self._terms = terms
        self._run = run
        self._endings: dict[tuple[str, ...], Ending] = {}
        self._known: dict[str, Agreement] = {}

    @property
    def count(self) -> int:
        """In how many ways those that were run have ended."""
        return len({self._terms.summary(each) for each in self._endings.values()})

    async def judge(self, ending: Ending) -> Agreement:
        """Whether a serial order of the actors that succeeded ends so.

        Orders with failing actors are looked at where the others do not explain it.
        """
        summary = self._terms.summary(ending)
        if summary not in self._known:
            before = len(self._terms.volatile)
            found = await self._judge(ending)
            if len(self._terms.volatile) != before:
                self._known.clear()
                summary = self._terms.summary(ending)
            self._known[summary] = found
        return self._known[summary]

    async def _judge(self, ending: Ending) -> Agreement:
        best = Agreement.NONE
        for order in self._orders(ending.succeeded):
            serial = await self._ending(order)
            if serial.succeeded != ending.succeeded:
                continue
            if self._terms.same_state(ending, serial):
                if self._terms.same_results(ending, serial):
                    return Agreement.FULL
                best = Agreement.ROWS
        return best

    def _orders(self, needed: frozenset[str]) -> Iterator[tuple[str, ...]]:
        for size in range(len(needed), len(self._actors) + 1):
            for order in itertools.permutations(self._actors, size):
                if needed <= set(order):
                    yield order

    async def _ending(self, order: tuple[str, ...]) -> Ending:
        known = self._endings.get(order)
        if known is None:
            known, twin = await self._run(order), await self._run(order)
            self._endings[order] = known
            if known.succeeded != twin.succeeded:
                self.unstable.append(" then ".join(order))
            else:
                self._terms.compare_twins(known, twin)
        return known
