"""An event loop in a thread of its own, for blocking calls from anywhere."""

from __future__ import annotations

import asyncio
import os
from contextvars import Context
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_asyncdb.errors import RunEnded
from pytest_asyncdb.provisioning._guard import unguarded

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["LoopThread"]

T = TypeVar("T")


class LoopThread:
    """Runs coroutine functions on a loop that nobody else uses.

    The thread starts with the first call. Nothing of the caller's loop or context is
    seen in it.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._pid = os.getpid()

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of `work()`; blocks, and cancels it when interrupted.

        Raises `RunEnded` in a process that was forked from the thread's own.
        """
        if os.getpid() != self._pid:
            raise RunEnded.forked()
        ended = Event()
        future = Context().run(
            asyncio.run_coroutine_threadsafe, _alone(work, ended), self._started()
        )
        try:
            return future.result()
        except BaseException:
            future.cancel()
            ended.wait()
            raise

    def close(self) -> None:
        """End the thread; a later `run` starts another one."""
        if self._loop is None or self._thread is None or os.getpid() != self._pid:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop = self._thread = None

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.SelectorEventLoop()
            self._thread = Thread(
                target=_serve,
                args=(self._loop,),
                name="asyncdb-provisioning",
                daemon=True,
            )
            self._thread.start()
        return self._loop


async def _alone(work: Callable[[], Coroutine[Any, Any, T]], ended: Event) -> T:
    try:
        with unguarded():
            return await work()
    finally:
        ended.set()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
