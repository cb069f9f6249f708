"""What must be true when a test ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.isolation._finding import Finding

if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Iterable, Iterator
    from typing import Any

    from pytest_asyncdb.isolation._places import Place

__all__ = ["leaks", "tasks", "threads"]


def leaks(connections: Iterable[tuple[str, Place]]) -> Iterator[Finding]:
    """A finding for each connection that the test did not give back."""
    for engine, place in connections:
        yield Finding(
            fatal=False,
            text=f"a connection of {engine} was left open, taken at {place}\n"
            "  what helps:\n    - close the session or connection, or use `async with`",
        )


def tasks(running: Iterable[asyncio.Task[Any]]) -> Iterator[Finding]:
    """A finding for each task of the test that used the database and goes on."""
    for task in running:
        yield Finding(
            fatal=False,
            text=f"a task that used the database is still running: {task.get_name()} "
            f"of {getattr(task.get_coro(), '__qualname__', '?')}\n"
            "  what helps:\n    - await or cancel the task before the test ends",
        )


def threads(running: Iterable[threading.Thread]) -> Iterator[Finding]:
    """A finding for each thread of the test that used the database and goes on."""
    for thread in running:
        yield Finding(
            fatal=False,
            text=f"a thread that used the database is still running: {thread.name}\n"
            "  what helps:\n    - end and join the thread before the test ends",
        )
