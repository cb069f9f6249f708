"""A connection used from any event loop, any thread, or none.

Every asyncio driver binds a connection to one loop; tests run on many. So the
connection gets a loop of its own, and what touches it runs over a `Bridge`:
`GuestLoop` or `ThreadLoop`.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, TypeVar

from greenlet import getcurrent
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.util.concurrency import greenlet_spawn, in_greenlet

try:
    from sqlalchemy.util.concurrency import await_
except ImportError:  # SQLAlchemy 2.0
    from sqlalchemy.util.concurrency import await_only as await_

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

__all__ = [
    "DRAIN_SECONDS",
    "SLICE_SECONDS",
    "Bridge",
    "Unbroken",
    "at_once",
    "await_",
    "check_blocking",
    "cooperates",
    "greenlet_spawn",
    "in_greenlet",
    "patiently",
]

T = TypeVar("T")

DRAIN_SECONDS: Final = 5.0
"""How long a cancelled statement may take to end before its connection is given up."""
SLICE_SECONDS: Final = 0.002
"""How long a blocking wait keeps the loop before another thread may turn it."""


class Bridge(abc.ABC):
    """Runs what touches the connection on the connection's own loop."""

    name: str

    def call(self, fn: Callable[..., T], *args: Any, blocking: bool = False) -> T:
        """Run the sync function `fn`, whose `await_` runs on the connection's loop.

        Inside SQLAlchemy's greenlet the caller's loop goes on meanwhile. Outside of it,
        raises MissingGreenlet as SQLAlchemy does, or blocks the thread when `blocking`.
        """
        if cooperates():
            return self._cooperate(fn, args)
        check_blocking(allowed=blocking)
        return self.block(fn, *args)

    @abc.abstractmethod
    def _cooperate(self, fn: Callable[..., T], args: tuple[Any, ...]) -> T: ...

    @abc.abstractmethod
    def block(self, fn: Callable[..., T], *args: Any) -> T:
        """Run `fn` and block this thread until it has ended."""

    orphans = False
    """Whether a statement runs whose task was thrown away."""

    def settle(self) -> None:
        """End the statements whose tasks were thrown away."""
        if self.orphans:
            self.orphans = False
            self.drain()

    def is_running(self) -> bool:
        """Whether the code that asks runs on the connection's loop itself."""
        return False

    def linger(self) -> None:  # noqa: B027
        """Let what arrives between statements be seen, until `leave`.

        Nothing to do where the loop runs all the time.
        """

    def leave(self) -> None:  # noqa: B027
        """The test is over for which it lingered."""

    @abc.abstractmethod
    def finish(self) -> None:
        """Let what still runs on the loop end, for a few seconds at the most."""

    @abc.abstractmethod
    def drain(self) -> bool:
        """Cancel what still runs on the loop; says whether it has ended."""

    @abc.abstractmethod
    def close(self) -> None:
        """End the loop. The connection has been closed before."""


def at_once(fn: Callable[[], T], *, blocking: bool) -> T:
    """Run `fn`, which awaits nothing, as a bridge runs what may: no loop is needed."""
    if cooperates():
        result = fn()
        await_(asyncio.sleep(0))  # a statement lets other tasks run
        return result
    check_blocking(allowed=blocking)
    return fn()


def check_blocking(*, allowed: bool) -> None:
    """Raise MissingGreenlet where blocking is not `allowed`, as SQLAlchemy does."""
    if not allowed and not in_greenlet():
        raise MissingGreenlet(
            "greenlet_spawn has not been called; can't call await_() here. "
            "Was IO attempted in an unexpected place?"
        )


def cooperates() -> bool:
    """Whether the caller's loop can go on while this code waits."""
    return in_greenlet() and not getattr(getcurrent(), "blocks", False)


class Unbroken:
    """What is awaited to its end, also when cancelled; half a string is none."""

    __slots__ = ("coroutine",)

    def __init__(self, coroutine: Coroutine[Any, Any, object]) -> None:
        self.coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, None]:
        return self._to_the_end().__await__()

    def close(self) -> None:
        """It will not be awaited."""
        self.coroutine.close()

    async def _to_the_end(self) -> None:
        task = asyncio.ensure_future(self.coroutine)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await patiently(task)
            raise


async def patiently(
    future: asyncio.Future[Any], seconds: float = DRAIN_SECONDS
) -> None:
    """Wait for the end of what was cancelled, however often the waiter is cancelled."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not future.done() and loop.time() < deadline:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([future], timeout=deadline - loop.time())
