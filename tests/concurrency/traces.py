"""Traces of schedules, written as one line a step."""

from __future__ import annotations

import re
from typing import Any, Final

from pytest_asyncdb.concurrency._trace import Kind, Step, Trace

__all__ = ["trace"]

_STATEMENT: Final = re.compile(r"\b(?:FROM|INTO|UPDATE) (\w+)")


def trace(*lines: str, endings: Any = None, schedule: str = "") -> Trace:
    """Steps such as "a: SELECT * FROM account -- waits for b -- 1 row"."""
    steps = [_step(line) for line in lines]
    actors = tuple(sorted({step.actor for step in steps}))
    return Trace(actors, steps, endings or {}, schedule)


def _step(line: str) -> Step:
    said, *notes = line.split(" -- ")
    actor, _, sql = said.partition(": ")
    waits = [each.split()[-1] for each in notes if each.startswith("waits")]
    outcome = next((each for each in notes if not each.startswith("waits")), "")
    table = _STATEMENT.search(sql)
    return Step(
        actor,
        _kind(sql),
        sql,
        tables=frozenset({table[1]} if table else ()),
        waited=bool(waits),
        blocked_by=frozenset(waits),
        outcome=outcome,
        error=ValueError() if "_" in outcome else None,
    )


def _kind(sql: str) -> Kind:
    if sql in {"COMMIT", "ROLLBACK"}:
        return Kind[sql]
    reads = sql.startswith("SELECT") and "FOR UPDATE" not in sql
    return Kind.READ if reads else Kind.WRITE
