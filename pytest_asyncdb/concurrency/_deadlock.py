"""A deadlock explained: who held what, who wanted what, and in which order to lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_asyncdb.concurrency._shorten import shortened
from pytest_asyncdb.concurrency._touching import values_of
from pytest_asyncdb.concurrency._trace import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_asyncdb.concurrency._trace import Step, Trace

__all__ = ["explained"]

_ENDS = (Kind.COMMIT, Kind.ROLLBACK)


def explained(trace: Trace) -> list[str]:
    """What led to the first deadlock of the schedule, a line for each thing to say.

    Each transaction in the circle with the statement that took the lock and the one
    that had to wait, then the server's own words. Empty where there was none.
    """
    for place, step in enumerate(trace.steps):
        if step.outcome.startswith("deadlock"):
            return list(_lines(trace, place))
    return []


def _lines(trace: Trace, place: int) -> Iterator[str]:
    circle = [*_waiting(trace, place), place]
    for at in circle:
        wanted = trace.steps[at]
        holder = _holder(trace, circle, at)
        taken = _taken(trace, holder, wanted, before=place)
        held = (
            f"; {holder} had that since step {taken + 1}, {_said(trace.steps[taken])}"
            if taken is not None
            else f"; {holder} had that"
        )
        yield f"step {at + 1}: {wanted.actor} wanted {_said(wanted)}{held}"
    yield f"the server ended {trace.steps[place].actor}, which closed the circle"
    for words in _server_says(trace.steps[place].error):
        yield f"the server says: {words}"
    yield f"in one order for all: {_order(trace, circle)}"


def _said(step: Step) -> str:
    return shortened(step.sql, step.parameters)


def _waiting(trace: Trace, place: int) -> list[int]:
    """The last step of each other actor before the deadlock, if it waits."""
    last: dict[str, int] = {}
    for at, step in enumerate(trace.steps[:place]):
        last[step.actor] = at
    last.pop(trace.steps[place].actor, None)
    return sorted(at for at in last.values() if trace.steps[at].waited)


def _holder(trace: Trace, circle: Sequence[int], at: int) -> str:
    """For whom a step of the circle waits.

    The one that closed it failed too soon to be asked: nobody else waits for its own.
    """
    step = trace.steps[at]
    actors = [trace.steps[each].actor for each in circle]
    named = [name for name in sorted(step.blocked_by) if name in actors]
    if named:
        return named[0]
    awaited = {
        name for each in circle if each != at for name in trace.steps[each].blocked_by
    }
    left = [name for name in actors if name not in awaited and name != step.actor]
    others = [name for name in actors if name != step.actor]
    return (left or others or ["another session"])[0]


def _taken(trace: Trace, actor: str, wanted: Step, *, before: int) -> int | None:
    """The step by which the actor, in its open transaction, took what is wanted."""
    own: list[int] = []
    for at, step in enumerate(trace.steps[:before]):
        if step.actor == actor:
            own = [] if step.kind in _ENDS else [*own, at]
    locking = [at for at in own if not trace.steps[at].waited and _locks(trace, at)]
    close = [at for at in locking if _meet(trace.steps[at], wanted)]
    return next(iter(close or locking), None)


def _locks(trace: Trace, at: int) -> bool:
    return trace.steps[at].kind is Kind.WRITE


def _meet(step: Step, wanted: Step) -> bool:
    """Whether both may lock one thing, by their tables and values."""
    if step.tables and wanted.tables and not step.tables & wanted.tables:
        return False
    return bool(values_of(step) & values_of(wanted))


def _order(trace: Trace, circle: Sequence[int]) -> str:
    tables = {table for at in circle for table in trace.steps[at].tables}
    if len(tables) == 1:
        return (
            f"lock rows of {tables.pop()} by ascending primary key, such as"
            " SELECT ... ORDER BY id FOR UPDATE before the first UPDATE"
        )
    if tables:
        return f"touch {' before '.join(sorted(tables))} in every transaction"
    return "take the locks sorted by their key"


def _server_says(error: BaseException | None) -> Iterator[str]:
    """PostgreSQL's detail and context, which name its processes and the row."""
    driver: Any = getattr(error, "orig", None)
    said: list[str] = []
    for each in (driver, getattr(driver, "__cause__", None)):
        told = getattr(each, "diag", each)
        for name in ("message_detail", "detail", "context"):
            text = getattr(told, name, None)
            said += text.splitlines() if isinstance(text, str) else []
    yield from dict.fromkeys(said)
