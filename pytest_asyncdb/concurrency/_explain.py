"""What a passing error of the database means for the code that has met it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_asyncdb.concurrency._classify import classify

if TYPE_CHECKING:
    from pytest_asyncdb.backends._condition import Condition

__all__ = ["explain"]

_RETRY: Final = "retry_transaction(sessionmaker, fn), around the whole transaction"


def explain(error: BaseException) -> str | None:
    """The condition, what it means and what helps; None for one that does not pass."""
    condition = classify(error)
    if condition is None or not (condition.transient or condition.outcome_unknown):
        return None
    meaning, remedies = _meaning(condition)
    named = f"{condition.name} ({condition.code})" if condition.code else condition.name
    lines = [f"{named}: {meaning}; what helps:", *remedies]
    return "\n  - ".join(lines)


def _meaning(condition: Condition) -> tuple[str, list[str]]:
    if condition.outcome_unknown:
        return "the connection was lost in a COMMIT, which may have been done", [
            "look it up before it is repeated: retry_transaction(..., was_applied=...)"
        ]
    if condition.disconnected:
        return "the connection is gone, and with it the transaction", [
            "pool_pre_ping=True: the pool looks before it lends a connection",
            _RETRY,
        ]
    if condition.rolled_back == "statement":
        return "the statement was undone, what came before it was not", [
            "roll back, and repeat all of the transaction",
            _RETRY,
        ]
    return "the whole transaction was undone, and may succeed another time", [_RETRY]
