"""Where env.py runs: a worker thread with an event loop that nobody runs."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import importlib.util
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any

__all__ = ["block", "in_thread"]

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """The result of `work()` in a thread, in a copy of this context.

    It is a thread of AnyIO's where that is installed, so that both `asyncio.run` and
    `anyio.from_thread.run` work in it. The caller waits for its end even if cancelled.
    """

    def alone() -> T:
        with _loop():
            return work()

    if importlib.util.find_spec("anyio") is not None:
        import anyio.to_thread

        return await anyio.to_thread.run_sync(alone)
    return await asyncio.shield(asyncio.to_thread(alone))


@contextlib.contextmanager
def _loop() -> Iterator[None]:
    """A loop that is set but does not run, for `get_event_loop()` in env.py."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def block(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result of a coroutine function, for sync code, also inside a running loop."""
    results: list[T] = []
    errors: list[BaseException] = []
    context = contextvars.copy_context()

    def run() -> None:
        try:
            results.append(context.run(asyncio.run, work()))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            errors.append(error)

    thread = threading.Thread(target=run, name="asyncdb-migrations", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
