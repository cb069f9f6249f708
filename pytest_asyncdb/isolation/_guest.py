"""A loop that runs in no thread: whoever waits for it turns it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from greenlet import getcurrent, greenlet

from pytest_asyncdb.isolation._bridge import (
    DRAIN_SECONDS,
    SLICE_SECONDS,
    Bridge,
    Unbroken,
    await_,
    patiently,
)
from pytest_asyncdb.isolation._places import running_loop
from pytest_asyncdb.isolation._selector import GuestSelector
from pytest_asyncdb.isolation._signals import held_signals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pytest_asyncdb.isolation._signals import HeldSignal

__all__ = ["GuestLoop"]

T = TypeVar("T")

_HEARTBEAT_SECONDS: Final = 0.05
_SPIN_SECONDS: Final = 0.0002
"""How long a statement's answer is looked for before the thread may sleep."""


class _Provider(greenlet):
    """A greenlet where `await_` may be called; SQLAlchemy knows it by the attribute."""

    __sqlalchemy_greenlet_provider__ = True

    def __init__(
        self, fn: Callable[..., Any], parent: greenlet, *, blocks: bool
    ) -> None:
        super().__init__(fn, parent)
        self.gr_context = parent.gr_context
        self.blocks = blocks


class _Watch:
    """One host loop that turns the guest loop when its selector is ready."""

    def __init__(self, host: asyncio.AbstractEventLoop) -> None:
        self.host = host
        self.users = 0
        self.timer: asyncio.TimerHandle | None = None


class GuestLoop(Bridge):
    """A loop that is turned by its callers.

    Its selector is a file descriptor itself; the loop of whoever waits for a statement
    watches it, and turns the guest loop when something is ready. Nothing blocks, so
    timeouts, cancellation and other tasks go on as with a connection of one's own.
    """

    name = "guest"

    def __init__(self) -> None:
        self._selector = GuestSelector()
        self._loop = self._selector.loop = asyncio.SelectorEventLoop(self._selector)
        self._turning = threading.RLock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._hurries = False
        self._held: list[HeldSignal] = []
        self._kept: list[_Watch] = []
        self._watches: dict[asyncio.AbstractEventLoop, _Watch] = {}

    def _cooperate(self, fn: Callable[..., T], args: tuple[Any, ...]) -> T:
        watch: _Watch | None = None

        def wait(awaitable: Any) -> Any:
            nonlocal watch
            unbroken = type(awaitable) is Unbroken
            coroutine = awaitable.coroutine if unbroken else awaitable
            task = self._start(coroutine, mine=0 if watch is None else 1)
            if not task.done():
                if watch is None:
                    watch = self._watch_from(asyncio.get_running_loop())
                try:
                    await_(self._watch(task, watch.host, cancels=not unbroken))
                except GeneratorExit:  # the garbage collector throws the caller away
                    self.orphans = True
                    raise
            return task.result()

        try:
            result: T = self._drive(fn, args, wait, blocks=False)
        finally:
            if watch is not None:
                self._leave(watch)
        if watch is None:  # a statement lets other tasks run
            await_(asyncio.sleep(0))
        return result

    def block(self, fn: Callable[..., T], *args: Any) -> T:
        with held_signals() as held:
            if held:
                self._held = held
            result = self._drive(fn, args, self._wait_blocking, blocks=True)
            self._handle_signals()
        return result

    def _handle_signals(self) -> None:
        for each in self._held:
            each.handle()

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self._loop

    def linger(self) -> None:
        host = running_loop()
        if host is not None and all(watch.host is not host for watch in self._kept):
            self._kept.append(self._watch_from(host))

    def leave(self) -> None:
        kept, self._kept = self._kept, []
        for watch in kept:
            with contextlib.suppress(RuntimeError):  # its loop was closed meanwhile
                self._leave(watch)

    def finish(self) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        while asyncio.all_tasks(self._loop) and time.monotonic() < deadline:
            with self._turning:
                self._turn(SLICE_SECONDS)
                self._poke()

    def drain(self) -> bool:
        with self._turning:  # what another thread has begun has set out by then
            left = [task for task in asyncio.all_tasks(self._loop) if not task.done()]
            for task in left:
                task.cancel()
        for task in left:
            self._drain(task, cancels=False)
        return all(task.done() for task in left)

    def close(self) -> None:
        with self._turning:
            self._turn()
            self._loop.close()

    def _drive(
        self,
        fn: Callable[..., T],
        args: tuple[Any, ...],
        wait: Callable[[Any], Any],
        *,
        blocks: bool,
    ) -> T:
        """Run `fn` in this thread; what it awaits goes to the guest loop.

        Greenlets cannot change threads, tasks can.
        """
        provider = _Provider(fn, getcurrent(), blocks=blocks)
        result = provider.switch(*args)
        thrown_away = False
        while not provider.dead:
            try:
                value = _refuse(result) if thrown_away else wait(result)
            except BaseException as error:  # noqa: BLE001
                thrown_away |= isinstance(error, GeneratorExit)
                result = provider.throw(type(error), error, error.__traceback__)
            else:
                result = provider.switch(value)
        return result  # type: ignore[no-any-return]

    def _start(
        self, awaitable: Awaitable[Any], *, mine: int = 0
    ) -> asyncio.Future[Any]:
        """Begin it; `mine` is how many of those who watch the loop are the caller."""
        with self._turning:
            task = self._loop.create_task(self._run(awaitable))
            self._selector.spins_until = time.monotonic() + _SPIN_SECONDS
            try:
                self._turn(hurries=True)
            except BaseException:
                self._drain(task)
                raise
            if self._waiting > mine:
                self._poke()
        return task

    async def _run(self, awaitable: Awaitable[T]) -> T:
        try:
            return await awaitable
        finally:
            if self._hurries:
                self._loop.stop()

    def _wait_blocking(self, awaitable: Any) -> Any:
        unbroken = type(awaitable) is Unbroken
        task = self._start(awaitable.coroutine if unbroken else awaitable)
        try:
            while not task.done():
                with self._turning:
                    self._turn(SLICE_SECONDS, hurries=True)
                    self._poke()
                self._handle_signals()
        except BaseException:
            self._drain(task, cancels=not unbroken)
            raise
        return task.result()

    def _drain(self, task: asyncio.Future[Any], *, cancels: bool = True) -> None:
        """Something like Ctrl-C came out of a turn: the statement must not go on."""
        if cancels:
            task.cancel()
        deadline = time.monotonic() + DRAIN_SECONDS
        while not task.done() and time.monotonic() < deadline:
            with self._turning:
                self._turn(SLICE_SECONDS, hurries=True)
        if task.done() and not task.cancelled():
            task.exception()

    def _turn(self, seconds: float = 0.0, *, hurries: bool = False) -> None:
        """Run the guest loop until it idles for so long, or one is done if it hurries.

        To that loop it is as if the one that runs here did not.
        """
        self._selector.sleeps_until = time.monotonic() + seconds if seconds else 0.0
        self._hurries = hurries
        host = asyncio._get_running_loop()
        task = None if host is None else asyncio.current_task(host)
        if host is not None and task is not None:
            asyncio.tasks._leave_task(host, task)
        asyncio._set_running_loop(None)
        try:
            self._loop.run_forever()
        finally:
            asyncio._set_running_loop(host)
            if host is not None and task is not None:
                asyncio.tasks._enter_task(host, task)

    def _poke(self) -> None:
        """Wake those who watch the loop: a turn may have left callbacks behind."""
        if self._waiting:
            self._loop.call_soon_threadsafe(_nothing)

    async def _watch(
        self,
        task: asyncio.Future[Any],
        host: asyncio.AbstractEventLoop,
        *,
        cancels: bool,
    ) -> None:
        """Wait on the caller's loop until the guest's task is done.

        When cancelled, cancel the task, and wait until it has ended.
        """
        answer = self._answer(task, host)
        if answer is None:
            return
        try:
            await answer
        except asyncio.CancelledError:
            await self._end(task, host, cancels=cancels)
            raise

    def _answer(
        self, task: asyncio.Future[Any], host: asyncio.AbstractEventLoop
    ) -> asyncio.Future[None] | None:
        """A future of the host's for the end of the task, or None if it has ended."""
        with self._turning:
            if task.done():
                return None
            answer: asyncio.Future[None] = host.create_future()
            thread = threading.get_ident()
            task.add_done_callback(lambda _: _resolve(host, thread, answer))
            return answer

    async def _end(
        self,
        task: asyncio.Future[Any],
        host: asyncio.AbstractEventLoop,
        *,
        cancels: bool,
    ) -> None:
        ended = self._answer(task, host)
        if ended is not None:
            if cancels:
                self._cancel(task)
            await patiently(ended)
        if task.done() and not task.cancelled():
            task.exception()

    def _watch_from(self, host: asyncio.AbstractEventLoop) -> _Watch:
        watch = self._watches.get(host)
        if watch is None:
            watch = self._watches[host] = _Watch(host)
            host.add_reader(self._selector.fileno(), self._pump)
            self._arm(watch)
        watch.users += 1
        self._count(1)
        return watch

    def _count(self, more: int) -> None:
        with self._counting:
            self._waiting += more

    def _leave(self, watch: _Watch) -> None:
        watch.users -= 1
        self._count(-1)
        if watch.users:
            return
        del self._watches[watch.host]
        if watch.timer is not None:
            watch.timer.cancel()
        watch.host.remove_reader(self._selector.fileno())

    def _pump(self) -> None:
        """Turn the guest loop once, when its selector is ready."""
        if not self._turning.acquire(blocking=False):
            return  # another thread turns it
        try:
            self._turn()
        finally:
            self._turning.release()

    def _arm(self, watch: _Watch) -> None:
        """Come back for the guest loop's next timer, and in any case in a while."""
        delay = min(self._selector.wake or _HEARTBEAT_SECONDS, _HEARTBEAT_SECONDS)
        watch.timer = watch.host.call_later(delay, self._again, watch)

    def _again(self, watch: _Watch) -> None:
        self._pump()
        self._arm(watch)

    def _cancel(self, task: asyncio.Future[Any]) -> None:
        with self._turning:
            task.cancel()
            self._turn()
            self._poke()


def _nothing() -> None:
    """Wakes a loop."""


def _resolve(
    host: asyncio.AbstractEventLoop, thread: int, answer: asyncio.Future[None]
) -> None:
    """Answer on the host's loop, which may run in another thread."""

    def settle() -> None:
        if not answer.done():
            answer.set_result(None)

    with contextlib.suppress(RuntimeError):  # the host loop was closed meanwhile
        if thread == threading.get_ident():
            settle()
        else:
            host.call_soon_threadsafe(settle)


def _refuse(awaitable: Any) -> Any:
    """Code that is thrown away awaits nothing more."""
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()
    raise GeneratorExit
