"""What a picture of a schedule shows, before it is drawn: rows, marks, the outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_asyncdb.concurrency._anomaly import anomaly, unneeded
from pytest_asyncdb.concurrency._deadlock import explained
from pytest_asyncdb.concurrency._shorten import shortened
from pytest_asyncdb.concurrency._trace import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_asyncdb.concurrency._anomaly import Anomaly
    from pytest_asyncdb.concurrency._trace import Step, Trace

__all__ = ["Picture", "Row", "picture"]


@dataclass(frozen=True, slots=True)
class Row:
    """One step: in which lane, its statement, and what came of it.

    `marked` says that it is one of those that make the anomaly, `freed` names the
    actors that go on after it.
    """

    number: int
    lane: int
    sql: str
    waits_for: str
    outcome: str
    freed: tuple[str, ...]
    marked: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """All rows, and what is said above and below them."""

    lanes: Sequence[str]
    rows: Sequence[Row]
    name: str
    """What is wrong; empty where nobody says so."""
    anomaly: Anomaly | None
    circle: Sequence[str]
    """What led to a deadlock, a line for each thing to say."""
    needless: Sequence[int]
    """Numbers of the steps that no other actor can have noticed."""
    endings: Mapping[str, str]
    replay: str

    @property
    def title(self) -> str:
        """The anomaly in a sentence, or as much as is known of it."""
        if self.anomaly is None:
            return self.name
        return f"{self.anomaly.name}: {self.anomaly.text}"

    @property
    def remarks(self) -> list[str]:
        """What is said below: needless steps, what helps, the line to paste."""
        found = [*self.circle]
        if self.needless:
            which = ", ".join(map(str, self.needless))
            found.append(f"not needed for it: {which}")
        if self.anomaly is not None and not self.circle:
            found.append(f"what helps: {self.anomaly.remedy}")
        if self.replay:
            found.append(f"replay: {self.replay}")
        return found


def picture(trace: Trace, *, name: str = "") -> Picture:
    """What there is to show of a schedule; `name` is that of the anomaly, if known."""
    found = anomaly(trace, name=name or None)
    marked = set(found.steps) if found is not None else set()
    freed = _freed(trace)
    rows = [
        Row(
            number=place + 1,
            lane=trace.actors.index(step.actor),
            sql=shortened(step.sql, step.parameters),
            waits_for=_waits_for(step),
            outcome="" if step.kind in _QUIET and step.error is None else step.outcome,
            freed=tuple(freed.get(place, ())),
            marked=place in marked,
        )
        for place, step in enumerate(trace.steps)
    ]
    needless = [] if found is None else [place + 1 for place in unneeded(trace)]
    is_deadlock = found is not None and found.name == "deadlock"
    return Picture(
        lanes=trace.actors,
        rows=rows,
        name=name,
        anomaly=found,
        circle=explained(trace) if is_deadlock else [],
        needless=needless,
        endings=trace.endings,
        replay=_replay(trace),
    )


_QUIET = (Kind.COMMIT, Kind.ROLLBACK)


def _waits_for(step: Step) -> str:
    if not step.waited:
        return ""
    return " and ".join(sorted(step.blocked_by)) or "somebody"


def _freed(trace: Trace) -> dict[int, list[str]]:
    """Which actors go on after a step, because it ended what they waited for."""
    freed: dict[int, list[str]] = {}
    for place, step in enumerate(trace.steps):
        if not step.waited or step.outcome.startswith("deadlock"):
            continue
        for later in range(place + 1, len(trace.steps)):
            other = trace.steps[later]
            ends = other.kind in _QUIET or other.error is not None
            if other.actor in step.blocked_by and ends:
                freed.setdefault(later, []).append(step.actor)
                break
    return freed


def _replay(trace: Trace) -> str:
    if not trace.schedule:
        return ""
    actors = ", ".join(f"{name}={name}" for name in trace.actors)
    return f'await db_concurrency.replay("{trace.schedule}", {actors})'
