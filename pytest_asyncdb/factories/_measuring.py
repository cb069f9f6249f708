"""What a call sends to the database, for who wants to know."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from sqlalchemy import event

from pytest_asyncdb.factories._running import Measure, recorder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sized

    from sqlalchemy.orm import Session

__all__ = ["measured"]


@contextlib.contextmanager
def measured(session: Session, factory: str, made: Sized) -> Iterator[None]:
    """Count flushes, and the statements of the session's engine, while this lasts."""
    tell = recorder()
    if tell is None:
        yield
        return
    flushes: list[None] = []
    statements: list[None] = []
    bind = session.get_bind()

    def flushed(*_: object) -> None:
        flushes.append(None)

    def executed(*_: object) -> None:
        statements.append(None)

    event.listen(session, "after_flush", flushed)
    event.listen(bind, "before_cursor_execute", executed)
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - start
        event.remove(session, "after_flush", flushed)
        event.remove(bind, "before_cursor_execute", executed)
        tell(Measure(factory, len(made), len(statements), len(flushes), seconds))
