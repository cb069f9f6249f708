"""Answers to connections: of another loop, and those that never came back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pytest_asyncdb.statements._clues import in_sqlalchemy, told
from pytest_asyncdb.statements._lines import line_of

if TYPE_CHECKING:
    from pytest_asyncdb.statements._clues import Clues

__all__ = ["exhausted", "other_loop"]

_OTHER_LOOP: Final = "attached to a different loop"


def exhausted(error: BaseException, clues: Clues) -> str | None:
    """Where the connections had been taken that did not come back."""
    if not isinstance(error, PoolTimeout) or clues.held is None:
        return None
    held, used = clues.held(error), line_of(error.__traceback__)
    if not held or used is None:
        return None
    counted = "a connection" if len(held) == 1 else f"each of {len(held)} connections"
    return told(
        f"a connection was waited for at {used}, but {counted} of the pool had been"
        f" taken and was not given back: {'; '.join(held)}",
        [
            "close the session or connection, or use `async with`",
            (
                "where a task needs a second one while it holds the first: give it that"
                " one, or the engine a larger pool_size"
            ),
        ],
    )


def other_loop(error: BaseException, clues: Clues) -> str | None:
    """Where the connection had been opened, on a loop that is not the running one."""
    if not isinstance(error, RuntimeError) or _OTHER_LOOP not in str(error):
        return None
    used, engine = line_of(error.__traceback__), _engine(error)
    if used is None or engine is None or clues.opened is None:
        return None
    opened = clues.opened(engine)
    if len(opened) != 1:
        return None
    name = engine.url.render_as_string()
    return told(
        f"a connection of {name} was used at {used}, but belongs to the loop on which"
        f" it was opened: {opened[0]}",
        [
            (
                "let the engine join the tests, whose connections work on every loop:"
                " asyncdb_capture returns True for it"
            ),
            (
                "or give it poolclass=NullPool, or await engine.dispose() where each"
                " test ends"
            ),
        ],
    )


def _engine(error: BaseException) -> Engine | None:
    """The engine of the connection that an error came through, if it is one only."""
    found: set[Any] = set()
    for _, values in in_sqlalchemy(error, "engine."):
        each = values.get("self")
        if isinstance(each, Connection):
            found.add(each.engine)
        elif isinstance(each, Engine):
            found.add(each)
    return found.pop() if len(found) == 1 else None
