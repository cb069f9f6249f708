"""A loop in a background thread: one hop for each call, whatever it awaits."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_asyncdb.isolation._bridge import (
    DRAIN_SECONDS,
    SLICE_SECONDS,
    Bridge,
    await_,
    greenlet_spawn,
    patiently,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["ThreadLoop"]

T = TypeVar("T")


class ThreadLoop(Bridge):
    """A loop in a background thread: one hop for each call, whatever it awaits."""

    name = "thread"

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="asyncdb-connection", daemon=True
        )
        self._thread.start()

    def _cooperate(self, fn: Callable[..., T], args: tuple[Any, ...]) -> T:
        return await_(self._wait(fn, args))

    async def _wait(self, fn: Callable[..., T], args: tuple[Any, ...]) -> T:
        host = asyncio.get_running_loop()
        answer: asyncio.Future[T] = host.create_future()
        tasks: collections.deque[asyncio.Task[T]] = collections.deque()

        def start() -> None:
            task = self._loop.create_task(_spawn(fn, args))
            tasks.append(task)
            task.add_done_callback(lambda done: _hand_over(host, done, answer))

        def cancel() -> None:
            self._loop.call_soon_threadsafe(_cancel_all, tasks)

        self._loop.call_soon_threadsafe(start)
        try:
            return await _settled(answer, cancel)
        except GeneratorExit:  # the garbage collector throws the task away
            self.orphans = True
            cancel()
            raise

    def block(self, fn: Callable[..., T], *args: Any) -> T:
        if threading.current_thread() is self._thread:
            return fn(*args)
        ended = threading.Event()
        tasks: list[asyncio.Task[T]] = []

        def start() -> None:
            tasks.append(self._loop.create_task(_spawn(fn, args)))
            tasks[0].add_done_callback(lambda _: ended.set())

        def cancel() -> None:
            _cancel_all(tasks)
            if not tasks:
                ended.set()

        try:  # Ctrl-C may strike as soon as it has been started
            self._loop.call_soon_threadsafe(start)
            ended.wait()
        except BaseException:
            self._loop.call_soon_threadsafe(cancel)
            ended.wait(DRAIN_SECONDS)
            raise
        return tasks[0].result()

    def finish(self) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        while asyncio.all_tasks(self._loop) and time.monotonic() < deadline:
            time.sleep(SLICE_SECONDS)

    def drain(self) -> bool:
        left = [task for task in asyncio.all_tasks(self._loop) if not task.done()]
        for task in left:
            self._loop.call_soon_threadsafe(task.cancel)
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline and not all(task.done() for task in left):
            time.sleep(SLICE_SECONDS)
        return all(task.done() for task in left)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DRAIN_SECONDS)
        self._loop.close()


def _cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()


async def _spawn(fn: Callable[..., T], args: tuple[Any, ...]) -> T:
    return await greenlet_spawn(fn, *args)


def _hand_over(
    host: asyncio.AbstractEventLoop, done: asyncio.Task[T], answer: asyncio.Future[T]
) -> None:
    def settle() -> None:
        if answer.done():
            return
        if done.cancelled():
            answer.cancel()
        elif (error := done.exception()) is not None:
            answer.set_exception(error)
        else:
            answer.set_result(done.result())

    with contextlib.suppress(RuntimeError):  # the host loop was closed meanwhile
        host.call_soon_threadsafe(settle)


async def _settled(answer: asyncio.Future[T], cancel: Callable[[], object]) -> T:
    """Wait for the answer; when cancelled, cancel the work and wait for its end."""
    try:
        return await asyncio.shield(answer)
    except asyncio.CancelledError:
        if not answer.done():
            cancel()
            await patiently(answer)
        if answer.done() and not answer.cancelled():
            answer.exception()
        raise
