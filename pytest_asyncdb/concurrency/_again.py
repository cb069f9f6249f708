"""What is searched once more: for what was missed, or for a shorter schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_asyncdb.concurrency._result import Result
from pytest_asyncdb.concurrency._search import DepthFirst
from pytest_asyncdb.concurrency._searching import Limits
from pytest_asyncdb.errors import ReductionUnsound

if TYPE_CHECKING:
    from pytest_asyncdb.concurrency._exploring import Options
    from pytest_asyncdb.concurrency._searching import Search

__all__ = ["compare", "shorten"]

_PREEMPTIONS: Final = 2
_SCHEDULES: Final = 200


async def compare(search: Search, result: Result, options: Options) -> None:
    """Run every schedule; raises `ReductionUnsound` for what was missed before."""
    full = DepthFirst(options.preemption_bound, reduces=False)
    everything = Result("dfs", options.seed)
    limits = Limits(options.max_schedules)
    await search.run(full, everything, limits, stops=False)
    missed = sorted(everything.outcomes.keys() - result.outcomes.keys())
    if missed and result.complete:
        raise ReductionUnsound.of(missed)
    result.notes = [
        *result.notes,
        f"self-check: no more outcomes in {everything.schedules}, unreduced",
    ]


async def shorten(search: Search, result: Result, options: Options) -> None:
    """Put an anomaly of few preemptions in the place of one that was met by chance.

    It may take as long as the search itself, at the most.
    """
    if result.anomaly is None or result.has_fewest_preemptions:
        return
    shorter = Result("dfs", result.seed)
    limits = Limits(min(_SCHEDULES, options.max_schedules), options.max_seconds)
    await search.run(DepthFirst(_PREEMPTIONS), shorter, limits)
    if shorter.anomaly is None or shorter.anomaly.is_read:
        return
    note = (
        f"met by chance in {result.anomaly.schedule}; one with the fewest preemptions"
        f" is shown, after {shorter.schedules} schedules more"
    )
    result.notes = [*result.notes, note]
    result.anomaly = shorter.anomaly
