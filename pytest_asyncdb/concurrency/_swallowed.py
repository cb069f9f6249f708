"""Errors of the database that an actor has met and that its code has swallowed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.concurrency._touching import tables_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pytest_asyncdb.concurrency._trace import Step, Trace

__all__ = ["Met", "met", "swallowed"]

Met = tuple[str, str]
"""An actor, and the condition with which a statement of its own failed."""

_KEY: Final = re.compile(r"Key \(([^)]*)\)=")
_FAILED: Final = re.compile(r"constraint failed: ([\w.]+)")


def met(trace: Trace) -> set[Met]:
    """What the actors have met in a schedule, whatever became of it."""
    return {(each.actor, each.outcome) for each in trace.steps if each.error}


def swallowed(
    trace: Trace, succeeded: Collection[str], serially: Collection[Met]
) -> str | None:
    """The first error of an actor that succeeded nevertheless, in a sentence.

    `serially` are those that actors meet in serial orders as well.
    """
    for step in trace.steps:
        is_news = step.error and (step.actor, step.outcome) not in serially
        if is_news and step.actor in succeeded:
            where = _place(step)
            on = f" on {where}" if where else ""
            names = " and ".join(succeeded)
            return (
                f"{step.actor} met {step.outcome}{on};"
                f" in no serial order of {names} does it"
            )
    return None


def _place(step: Step) -> str:
    """The table with the columns, where the server or SQLite says which."""
    for told in _told(step.error):
        detail = getattr(told, "message_detail", None) or getattr(told, "detail", None)
        key, table = _KEY.match(str(detail)), getattr(told, "table_name", None)
        if key is not None and table is not None:
            return f"{table}.{key[1]}"
    failed = _FAILED.search(str(step.error))
    return failed[1] if failed else " and ".join(sorted(tables_of(step)))


def _told(error: BaseException | None) -> Iterator[object]:
    """What may hold PostgreSQL's words: the error, and the driver's behind it."""
    for each in (
        error,
        getattr(error, "orig", None),
        getattr(error, "__cause__", None),
    ):
        yield getattr(each, "diag", each)
