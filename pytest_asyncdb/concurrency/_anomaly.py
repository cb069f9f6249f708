"""The name of what went wrong in a schedule, read from its steps.

Names are Berenson's and others' ("A Critique of ANSI SQL Isolation Levels"). Rows are
told apart by the values after WHERE; without these, tables are all that is known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.concurrency._shorten import filled
from pytest_asyncdb.concurrency._trace import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_asyncdb.concurrency._trace import Step, Trace

__all__ = ["Anomaly", "anomaly", "unneeded", "values_of"]

_WHERE: Final = re.compile(r"\bWHERE\b(.*)", re.IGNORECASE | re.DOTALL)
_VALUE: Final = re.compile(r"'(?:[^']|'')*'|(?<![\w.$])\d+(?:\.\d+)?")
_ENDS: Final = (Kind.COMMIT, Kind.ROLLBACK)

_REMEDIES: Final = {
    "deadlock": "take locks in one order everywhere, such as by primary key",
    "dirty write": "use an isolation level above READ UNCOMMITTED",
    "double insert": "let a unique constraint decide, and INSERT ... ON CONFLICT",
    "lost update": (
        "lock the row when it is read (with_for_update()), compute in SQL"
        " (SET n = n + 1), or count versions (version_id_col)"
    ),
    "write skew": (
        "use SERIALIZABLE with a retry, or lock what is read (with_for_update())"
    ),
    "phantom": "use REPEATABLE READ or SERIALIZABLE, or read once",
    "non-repeatable read": "use REPEATABLE READ or SERIALIZABLE, or read once",
}


@dataclass(frozen=True, slots=True)
class Anomaly:
    """What went wrong: its name, in a sentence, and the steps that make it.

    `steps` are places in the trace, counted from 0.
    """

    name: str
    text: str
    steps: tuple[int, ...]

    @property
    def remedy(self) -> str:
        """What helps against it in general."""
        return _REMEDIES[self.name]


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
    def inserts(self) -> bool:
        return self.step.sql.lstrip()[:6].upper() == "INSERT"


def anomaly(trace: Trace, *, name: str | None = None) -> Anomaly | None:
    """What the schedule shows; None where no pattern is found in it.

    It tells what the steps look like, not whether the outcome is wrong: ask only where
    it is. Whoever knows more of the outcome gives the `name`, and others are not found.
    """
    found = (each for each in _all(trace) if name in {None, each.name})
    return next(found, None)


def _all(trace: Trace) -> Iterator[Anomaly]:
    for place, step in enumerate(trace.steps):
        if step.outcome.startswith("deadlock"):
            yield _deadlock(trace, place)
    found = _kept(trace)
    reads = [each for each in found if each.step.kind is Kind.READ]
    writes = [each for each in found if each.step.kind is Kind.WRITE]
    yield from _dirty_writes(trace, writes)
    yield from _double_inserts(reads, writes)
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
        if first.actor == second.actor or not _same_rows(first, second):
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
        if first.actor == second.actor or not first.step.tables & second.step.tables:
            continue
        early = _read_before(reads, first, first), _read_before(reads, second, first)
        if first.place < second.place and all(early):
            yield Anomaly(
                "double insert",
                f"{first.actor} and {second.actor} both looked into "
                f"{_tables(first, second)} before either had inserted",
                _places(*early, first, second),
            )


def _lost_updates(reads: list[_Op], writes: list[_Op]) -> Iterator[Anomaly]:
    changes = [each for each in writes if not each.inserts]
    for other, own in permutations(changes, 2):
        if other.actor == own.actor or other.place > own.place:
            continue
        read = _read_before(reads, own, other)
        if read is not None and _same_rows(other, own) and _same_rows(read, other):
            yield Anomaly(
                "lost update",
                f"{own.actor} wrote {_tables(other, own)} from what it had read before"
                f" {other.actor} wrote it",
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
        if first.actor != second.actor or not first.step.tables & second.step.tables:
            continue
        for write in writes:
            ended = _ended(trace, write)
            between = first.place < write.place < ended < second.place
            if between and write.actor != first.actor and _same_rows(first, write):
                name = "phantom" if write.inserts else "non-repeatable read"
                yield Anomaly(
                    name,
                    f"{first.actor} read {_tables(first, second)} before and after"
                    f" {write.actor} had changed it",
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
        and each.step.tables & own.step.tables
    ]
    return found[-1] if found else None


def _overtaken(reads: list[_Op], actor: str, write: _Op) -> _Op | None:
    """A read of the actor's that the other's write came after, and made out of date."""
    found = [
        each
        for each in reads
        if each.actor == actor
        and each.place < write.seen
        and (_same_rows(each, write) or write.inserts)
        and each.step.tables & write.step.tables
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


def _same_rows(one: _Op, two: _Op) -> bool:
    """Whether both may touch one row, by their tables and the values after WHERE."""
    if not one.step.tables & two.step.tables:
        return False
    first, second = _keys(one.step), _keys(two.step)
    return not first or not second or bool(first & second)


def _keys(step: Step) -> set[str]:
    """The values after WHERE."""
    found = _WHERE.search(filled(step.sql, step.parameters))
    return set(_VALUE.findall(found[1])) if found else set()


def values_of(step: Step) -> set[str]:
    """The values after WHERE; where there is none, all."""
    return _keys(step) or set(_VALUE.findall(filled(step.sql, step.parameters)))


def _places(*ops: _Op | None) -> tuple[int, ...]:
    return tuple(sorted({each.place for each in ops if each is not None}))


def _tables(*ops: _Op) -> str:
    common = frozenset.intersection(*(each.step.tables for each in ops))
    return _and(sorted(common or ops[0].step.tables))


def _and(names: list[str]) -> str:
    return " and ".join(names)
