"""Answers to sessions that cannot be used: failed, begun already, or in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import (
    DBAPIError,
    IllegalStateChangeError,
    InvalidRequestError,
    PendingRollbackError,
)

from pytest_asyncdb.statements._clues import in_sqlalchemy, told
from pytest_asyncdb.statements._lines import line_of

if TYPE_CHECKING:
    from pytest_asyncdb.statements._clues import Clues
    from pytest_asyncdb.statements._statement import Line

__all__ = ["begun", "busy", "rolled_back"]

_BEGUN: Final = (
    "A transaction is already begun on this Session",
    "already initialized a SQLAlchemy Transaction() object via begin() or autobegin",
)
_CONCURRENT: Final = "concurrent operations are not permitted"
_BUSY: Final = "another operation is in progress"


# -------------------------------------------------------------- PendingRollbackError
def rolled_back(error: BaseException, _clues: Clues) -> str | None:
    """Which flush had failed before, and where."""
    if not isinstance(error, PendingRollbackError):
        return None
    for _, values in in_sqlalchemy(error, "orm.session"):
        cause = getattr(values.get("self"), "_rollback_exception", None)
        if cause is not None:
            failed, used = line_of(cause.__traceback__), line_of(error.__traceback__)
            if failed is not None and used is not None:
                return _of_flush(failed, used, cause)
    return None


def _of_flush(failed: Line, used: Line, cause: BaseException) -> str:
    reason = str(getattr(cause, "orig", None) or cause).partition("\n")[0]
    return told(
        f"the session was used at {used}, but its flush at {failed} had failed before"
        f" ({type(cause).__name__}: {reason}) and nothing has rolled it back",
        [
            f"await session.rollback() where the error of {failed} is caught",
            (
                "or put what may fail into `async with session.begin_nested():`, which"
                " rolls back its own part only"
            ),
        ],
    )


# --------------------------------------------------------- a transaction begun twice
def begun(error: BaseException, clues: Clues) -> str | None:
    """What had begun the transaction; where, if somebody records."""
    is_it = isinstance(error, InvalidRequestError)
    if not is_it or not any(text in str(error) for text in _BEGUN):
        return None
    used = line_of(error.__traceback__)
    for name, values in in_sqlalchemy(error, ""):
        if name == "begin" and used is not None:
            holder = values["self"]
            first = _first(holder, values.get("trans"), clues)
            what = "session" if hasattr(holder, "identity_map") else "connection"
            return _of_begun(what, used, first)
    return None


def _first(holder: Any, transaction: Any, clues: Clues) -> Line | None:  # noqa: ANN401
    """The line of the first statement in the transaction that is open."""
    if clues.recorder is None:
        return None
    connections = getattr(transaction, "_connections", {})
    holders = {each[0] for each in connections.values()} or {holder}
    sent = [each for one in holders for each in clues.recorder.sent_on(one)]
    return sent[0].line if sent else None


def _of_begun(what: str, used: Line, first: Line | None) -> str:
    by = (
        f"it was in one since the statement at {first}"
        if first is not None
        else "it was in one already"
    )
    return told(
        f"begin() of a {what} at {used}, but {by}: whatever is sent begins one",
        [
            f"leave the begin() out, and await {what}.commit() at the end",
            f"or begin before the first statement; or await {what}.commit() before",
            f"or `async with {what}.begin_nested():`, for a part that may fail",
        ],
    )


# ---------------------------------------------------- two tasks that use one of them
def busy(error: BaseException, clues: Clues) -> str | None:
    """Which statement was sent while another one had not ended."""
    text = str(error)
    is_session = isinstance(error, InvalidRequestError) and _CONCURRENT in text
    is_session |= isinstance(error, IllegalStateChangeError)
    is_driver = isinstance(error, DBAPIError) and _BUSY in text
    used = line_of(error.__traceback__)
    if used is None or not (is_session or is_driver):
        return None
    return told(
        f"a session or connection was used at {used} while it was in use by another"
        f" task{_other(error, clues)}",
        [
            "give each task a session of its own, made by the sessionmaker in the task",
            "or await one after the other: gather() is of no use on one connection",
        ],
    )


def _other(error: BaseException, clues: Clues) -> str:
    reason = getattr(error, "orig", None)
    found = clues.recorder.during(reason) if clues.recorder is not None else None
    return f", whose statement at {found.line} had not ended" if found else ""
