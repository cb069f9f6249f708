"""The name of what went wrong in a schedule, read from its steps.

Names are Berenson's and others' ("A Critique of ANSI SQL Isolation Levels").
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.concurrency._remedies import remedy_of
from pytest_asyncdb.concurrency._touching import (
    locks_rows,
    may_meet,
    must_meet,
    tables_of,
)
from pytest_asyncdb.concurrency._trace import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_asyncdb.concurrency._trace import Step, Trace

__all__ = ["Anomaly", "anomaly", "unneeded"]

_ENDS: Final = (Kind.COMMIT, Kind.ROLLBACK)


@dataclass(frozen=True, slots=True)
class Anomaly:
    """What went wrong: its name, in a sentence, and the steps that make it.

    `steps` are places in the trace, counted from 0.
    """

    name: str
    text: str
    steps: tuple[int, ...]
    remedy: str = ""
    """What helps against it in general."""


@dataclass(frozen=True, slots=True)
class _Op:
    """A step whose transaction took effect, at its place in the trace.

    Others see what it wrote from `seen` on, where its transaction ended.
    """

    place: int
    step: Step
    seen: int

    @property
    def actor(self) -> str:
        return self.step.actor

    @property
    def tables(self) -> frozenset[str]:
        return tables_of(self.step)

    @property
    def inserts(self) -> bool:
        return self.step.sql.lstrip()[:6].upper() == "INSERT"

    def meets(self, other: _Op) -> bool:
        """Whether both may touch one row."""
        return may_meet(self.step, other.step)


def anomaly(trace: Trace, *, name: str | None = None) -> Anomaly | None:
    """What the schedule shows; None where no pattern is found in it.

    It tells what the steps look like, not whether the outcome is wrong: ask only where
    it is. Whoever knows more of the outcome gives the `name`, and others are not found.
    """
    found = next((each for each in _all(trace) if name in {None, each.name}), None)
    return None if found is None else replace(found, remedy=_remedy(trace, found))


def _remedy(trace: Trace, found: Anomaly) -> str:
    marked = [trace.steps[place] for place in found.steps]
    locked = any(
        locks_rows(step) and step.actor == each.actor and may_meet(step, each)
        for step in trace.steps
        for each in marked
        if each.kind is Kind.READ
    )
    return remedy_of(found.name, row_locks=trace.row_locks, locked=locked)


def _all(trace: Trace) -> Iterator[Anomaly]:
    for place, step in enumerate(trace.steps):
        if step.outcome.startswith("deadlock"):
            yield _deadlock(trace, place)
    found = _kept(trace)
    reads = [each for each in found if each.step.kind is Kind.READ]
    writes = [
        each
        for each in found
        if each.step.kind is Kind.WRITE and not locks_rows(each.step)
    ]
    looks = [
        each
        for each in found
        if each.step.kind is Kind.READ
        or (locks_rows(each.step) and not each.step.waited)
    ]
    yield from _dirty_writes(trace, writes)
    yield from _double_inserts(looks, writes)
    yield from _lost_updates(reads, writes)
    yield from _write_skews(reads, writes)
    yield from _repeated_reads(trace, reads, writes)


def unneeded(trace: Trace) -> list[int]:
    """Places of the statements that no other actor can have noticed or disturbed."""
    return [
        place
        for place, step in enumerate(trace.steps)
        if step.kind in {Kind.READ, Kind.WRITE}
        and step.tables
        and not any(_meets(step, other) for other in trace.steps)
    ]


def _meets(step: Step, other: Step) -> bool:
    if step.actor == other.actor or Kind.WRITE not in {step.kind, other.kind}:
        return False
    if other.kind not in {Kind.READ, Kind.WRITE}:
        return False
    return not other.tables or bool(step.tables & other.tables)


def _kept(trace: Trace) -> list[_Op]:
    """The statements of the transactions in which nothing failed, nor was undone."""
    kept: list[_Op] = []
    for actor in trace.actors:
        for connection in {s.connection for s in trace.steps if s.actor == actor}:
            kept += _kept_of(trace, actor, connection)
    return sorted(kept, key=lambda each: each.place)


def _kept_of(trace: Trace, actor: str, connection: int) -> Iterator[_Op]:
    current: list[_Op] = []
    for place, step in enumerate(trace.steps):
        if (step.actor, step.connection) != (actor, connection):
            continue
        current.append(_Op(place, step, len(trace.steps)))
        if step.kind in _ENDS:
            ended = [replace(each, seen=place) for each in current]
            yield from _effective(ended, undone=step.kind is Kind.ROLLBACK)
            current = []
    yield from _effective(current, undone=False)


def _effective(ops: list[_Op], *, undone: bool) -> list[_Op]:
    """Of a transaction that failed nothing; of one that was undone what it read."""
    if any(each.step.error is not None for each in ops):
        return []
    return [
        each
        for each in ops
        if each.step.kind is not Kind.WRITE
        or locks_rows(each.step)
        or not (undone or each.step.outcome.startswith("0 row"))
    ]


# -------------------------------------------------------------------------- patterns
def _deadlock(trace: Trace, place: int) -> Anomaly:
    victim = trace.steps[place]
    waits = [
        at
        for at, step in enumerate(trace.steps)
        if at != place and step.waited and step.actor != victim.actor
    ]
    others = sorted({trace.steps[at].actor for at in waits}) or ["another"]
    text = f"{victim.actor} and {_and(others)} waited for each other"
    return Anomaly("deadlock", text, (*waits, place))


def _dirty_writes(trace: Trace, writes: list[_Op]) -> Iterator[Anomaly]:
    for first, second in combinations(writes, 2):
        if first.actor == second.actor or not must_meet(first.step, second.step):
            continue
        open_still = _ended(trace, first) > second.place
        if open_still and not second.step.waited and not first.inserts:
            yield Anomaly(
                "dirty write",
                f"{second.actor} wrote over what {first.actor} had not committed",
                (first.place, second.place),
            )


def _double_inserts(reads: list[_Op], writes: list[_Op]) -> Iterator[Anomaly]:
    inserts = [each for each in writes if each.inserts]
    for first, second in permutations(inserts, 2):
        if first.actor == second.actor or not first.tables & second.tables:
            continue
        early = _read_before(reads, first, first), _read_before(reads, second, first)
        if first.place < second.place and all(early):
            yield Anomaly(
                "double insert",
                f"{first.actor} and {second.actor} both looked into "
                f"{_tables(*filter(None, early), first, second)} before either had"
                " inserted",
                _places(*early, first, second),
            )


def _lost_updates(reads: list[_Op], writes: list[_Op]) -> Iterator[Anomaly]:
    changes = [each for each in writes if not each.inserts]
    for other, own in permutations(changes, 2):
        if other.actor == own.actor or other.place > own.place:
            continue
        read = _read_before(reads, own, other)
        if read is not None and other.meets(own) and read.meets(other):
            yield Anomaly(
                "lost update",
                f"{own.actor} wrote {_tables(read, other, own)} from what it had read"
                f" before {other.actor} wrote it",
                _places(read, other, own),
            )


def _write_skews(reads: list[_Op], writes: list[_Op]) -> Iterator[Anomaly]:
    """Each has read what the other then wrote."""
    for first, second in combinations(writes, 2):
        if first.actor == second.actor:
            continue
        one = _overtaken(reads, first.actor, second)
        two = _overtaken(reads, second.actor, first)
        if one is not None and two is not None:
            yield Anomaly(
                "write skew",
                f"{first.actor} and {second.actor} each decided by what the other was"
                " about to change",
                _places(one, two, first, second),
            )


def _repeated_reads(
    trace: Trace, reads: list[_Op], writes: list[_Op]
) -> Iterator[Anomaly]:
    for first, second in combinations(reads, 2):
        if first.actor != second.actor or not first.tables & second.tables:
            continue
        for write in writes:
            ended = _ended(trace, write)
            between = first.place < write.place < ended < second.place
            if between and write.actor != first.actor and first.meets(write):
                name = "phantom" if write.inserts else "non-repeatable read"
                yield Anomaly(
                    name,
                    f"{first.actor} read {_tables(first, write, second)} before and"
                    f" after {write.actor} had changed it",
                    _places(first, write, second),
                )


# ----------------------------------------------------------------------------- rows
def _read_before(reads: list[_Op], own: _Op, other: _Op) -> _Op | None:
    """The last read of what `own` writes, by the same actor, that missed `other`."""
    found = [
        each
        for each in reads
        if each.actor == own.actor
        and each.place < other.seen
        and each.place < own.place
        and each.meets(own)
    ]
    return found[-1] if found else None


def _overtaken(reads: list[_Op], actor: str, write: _Op) -> _Op | None:
    """A read of the actor's that the other's write came after, and made out of date."""
    found = [
        each
        for each in reads
        if each.actor == actor
        and each.place < write.seen
        and each.tables & write.tables
        and (write.inserts or each.meets(write))
    ]
    return found[-1] if found else None


def _ended(trace: Trace, op: _Op) -> int:
    """The place where the step's transaction ended; behind the last, if never."""
    for place in range(op.place, len(trace.steps)):
        step = trace.steps[place]
        same = (step.actor, step.connection) == (op.actor, op.step.connection)
        if same and step.kind in _ENDS:
            return place
    return len(trace.steps)


def _places(*ops: _Op | None) -> tuple[int, ...]:
    return tuple(sorted({each.place for each in ops if each is not None}))


def _tables(*ops: _Op) -> str:
    common = frozenset.intersection(*(each.tables for each in ops))
    return _and(sorted(common or ops[0].tables))


def _and(names: list[str]) -> str:
    return " and ".join(names)
