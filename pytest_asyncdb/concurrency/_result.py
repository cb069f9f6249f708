"""What a search has found, and how it says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_asyncdb.concurrency._diagram import diagram
from pytest_asyncdb.errors import AnomalyFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_asyncdb.concurrency._search import Divergence
    from pytest_asyncdb.concurrency._trace import Trace

__all__ = ["Anomaly", "Result"]


@dataclass(frozen=True, slots=True)
class Anomaly:
    """What is wrong with a schedule.

    `name` is the field's word for it, such as "lost update"; `schedule` replays it.
    `is_read`: what was written is right, but an actor was told what no serial order of
    the actors tells. `number` counts the schedules tried until then. `remedies` are
    what helps where the diagram does not say it.
    """

    name: str
    text: str
    trace: Trace
    number: int
    is_read: bool = False
    error: BaseException | None = None
    remedies: Sequence[str] = ()

    @property
    def schedule(self) -> str:
        """One letter for each step."""
        return self.trace.schedule

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


@dataclass(slots=True)
class Result:
    """What a search has found.

    `complete`: every schedule of at most `bound` preemptions was tried, all there are
    where `bound` is None. `outcomes` counts the schedules by how they ended. `serial`
    is the number of ways in which serial orders can end, `reduced` that of schedules
    which proved to be like another one, `volatile` what was not compared.
    """

    strategy: str
    seed: int
    anomaly: Anomaly | None = None
    complete: bool = False
    bound: int | None = None
    schedules: int = 0
    reduced: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    serial: int = 0
    waits: int = 0
    deadlocks: int = 0
    volatile: Sequence[str] = ()
    divergences: Sequence[Divergence] = ()
    stalls: Sequence[str] = ()
    notes: Sequence[str] = ()
    seconds: float = 0.0
    last: Trace | None = None
    by_isolation: Mapping[str, Result] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """In one line: what was found, and how far the search has gone."""
        if self.anomaly is not None:
            return f"{self.anomaly.name}, {self.extent}"
        return f"no anomaly {self.extent}"

    @property
    def extent(self) -> str:
        """How far the search has gone."""
        count = f"{self.schedules:,} schedule{'' if self.schedules == 1 else 's'}"
        if self.anomaly is not None and not self.complete:
            return f"after {count}"
        if self.complete and self.bound is None:
            return f"in all {count}"
        if self.complete:
            some = f"{self.bound} preemption{'' if self.bound == 1 else 's'}"
            return f"up to {some}, {count}"
        if self.strategy == "replay":
            return "in the schedule that was replayed"
        if self.strategy != "dfs":
            return f"in {count} ({self.strategy}, seed {self.seed})"
        return f"cut after {count}"

    @property
    def has_fewest_preemptions(self) -> bool:
        """Whether schedules of fewer preemptions were all tried before the last one."""
        return self.strategy == "dfs" and self.bound is not None

    def diagram(self) -> str:
        """The schedule of the anomaly as text, or else the last one."""
        trace = self.anomaly.trace if self.anomaly is not None else self.last
        return "" if trace is None else diagram(trace)

    def report(self) -> list[str]:
        """What else there is to say, a line for each."""
        first = (
            f"{self.strategy}: {self.schedules} schedules in {self.seconds:.2f} s,"
            f" {self.reduced} of them like another one; {len(self.outcomes)} outcomes,"
            f" {self.serial} of serial orders; {self.waits} waits in the database"
        )
        lines = [first]
        if self.deadlocks:
            lines.append(f"schedules with a deadlock: {self.deadlocks}")
        if self.volatile:
            lines.append(f"not compared, volatile: {', '.join(self.volatile)}")
        lines += [
            f"divergences: {len(self.divergences)}; the code is not deterministic:"
            f" after {each.depth} steps {each.expected!r} was {each.found!r}"
            for each in self.divergences[:1]
        ]
        lines += [
            f"waits for something that is not the database: {x}" for x in self.stalls
        ]
        return [*lines, *self.notes]

    def __str__(self) -> str:
        return "\n".join([self.verdict, *(f"  {line}" for line in self.report())])

    def failure(self) -> AnomalyFound:
        """The error that tells of the anomaly, with a line that replays it."""
        assert self.anomaly is not None
        text = "\n".join(
            [
                f"{self.anomaly}",
                f"  found {self.extent}, with the fewest preemptions"
                if self.has_fewest_preemptions
                else f"  found {self.extent}",
                "",
                *(f"  {line}" for line in self.diagram().splitlines()),
                "",
                *(f"  {line}" for line in self.report()),
            ]
        )
        return AnomalyFound.of(self, text, remedies=self.anomaly.remedies)
