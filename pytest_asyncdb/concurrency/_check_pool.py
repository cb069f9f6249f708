"""Whether connections come back to their pool, however a call ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event
from sqlalchemy.util import greenlet_spawn

from pytest_asyncdb.concurrency._fault import short
from pytest_asyncdb.concurrency._faults import Faults
from pytest_asyncdb.errors import CheckFailed, CheckRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["check_pool"]

_POLL: Final = 0.005
_ERROR: Final = "unique_violation"
_LONG: Final = 1.0
"""Seconds; MySQL goes on for as long, with its locks, when nobody waits any more."""
_POSITIONS: Final = 500


async def check_pool(
    fn: Callable[[], Awaitable[object]],
    *,
    engine: AsyncEngine,
    size: int = 1,
    patience: float = 2.0,
) -> None:
    """Run `fn` to its end, and with an error or a cancellation at each statement.

    Each time every connection has to come back to the engine's pool, `patience` seconds
    after the end at the latest. A client that disconnects is such a cancellation, as
    ASGI servers tell it. `size` is how many connections one call may hold at once:
    where each holds one and waits for another, as many calls as the pool is large wait
    for ever. What `fn` commits stays. Raises `CheckFailed`.
    """
    with _watching(engine) as watch:
        await fn()
        if not watch.most:
            raise CheckRefused.no_statements()
        await watch.settle("after it has ended", patience)
        if watch.most > size:
            raise CheckFailed.holds(watch.most, size)
        for way, run in _WAYS.items():
            for position in range(1, _POSITIONS):
                statement = await run(fn, engine, position)
                if not statement:
                    break
                at = short(statement, width=60)
                await watch.settle(f"after {way} {at}", patience)


async def _failing(
    fn: Callable[[], Awaitable[object]], engine: AsyncEngine, position: int
) -> str:
    """The statement at that position fails; its text, or nothing."""
    with contextlib.closing(Faults(engine)) as faults:
        fault = faults.arm(position, condition=_ERROR, moment="during")
        with contextlib.suppress(Exception):
            await fn()
    return "".join(fault.fired)


async def _cancelled(
    fn: Callable[[], Awaitable[object]], engine: AsyncEngine, position: int
) -> str:
    """The statement is on its way when the task that waits for it is cancelled."""
    with contextlib.closing(Faults(engine)) as faults:
        fault = faults.arm(
            position, condition="slow_statement", moment="during", seconds=_LONG
        )
        task = asyncio.ensure_future(fn())
        while not task.done() and not fault.fired:
            await asyncio.wait({task}, timeout=_POLL)
        await _end(task)
    return "".join(fault.fired)


async def _cancelled_later(
    fn: Callable[[], Awaitable[object]], engine: AsyncEngine, position: int
) -> str:
    """The statement is done: the task is cancelled in what it waits for next."""
    statements: list[str] = []

    def count(*args: Any) -> None:
        statements.append(args[2])
        if len(statements) == position:
            loop.call_soon(cancel)

    def cancel() -> None:
        if not task.done() and len(statements) == position:
            task.cancel() if _is_outside(task) else loop.call_soon(cancel)

    loop = asyncio.get_running_loop()

    event.listen(engine.sync_engine, "after_cursor_execute", count)
    try:
        task = asyncio.ensure_future(fn())
        await asyncio.wait({task})
        await _end(task)
    finally:
        event.remove(engine.sync_engine, "after_cursor_execute", count)
    return statements[position - 1] if len(statements) >= position else ""


def _is_outside(task: asyncio.Future[object]) -> bool:
    """Whether a task waits for something else than SQLAlchemy."""
    link: Any = task.get_coro() if isinstance(task, asyncio.Task) else None
    while link is not None:
        frame = getattr(link, "cr_frame", None)
        if frame is not None and frame.f_globals["__name__"].startswith("sqlalchemy"):
            return False
        link = getattr(link, "cr_await", None)
    return True


async def _end(task: asyncio.Future[object]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # which it may have in place of the cancellation


_WAYS: Final = {
    "an error at": _failing,
    "a cancellation at": _cancelled,
    "a cancellation that follows": _cancelled_later,
}


class _Watch:
    """Which connections are out of the pool."""

    def __init__(self) -> None:
        self.most = 0
        self._out: dict[int, Any] = {}
        self._all_back = asyncio.Event()

    def taken(self, _: object, record: object, fairy: object) -> None:
        """A connection is taken; whoever forgets it must not have it collected."""
        self._all_back.clear()
        self._out[id(record)] = fairy
        self.most = max(self.most, len(self._out))

    def given(self, _: object, record: object) -> None:
        """It has come back, or belongs to nobody any more."""
        self._out.pop(id(record), None)
        if not self._out:
            self._all_back.set()

    async def settle(self, when: str, patience: float) -> None:
        """Wait until all have come back."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all_back.wait(), patience)
        if self._out:
            count = len(self._out)
            for fairy in [*self._out.values()]:
                await greenlet_spawn(fairy.invalidate)
            raise CheckFailed.kept(count, when)


@contextlib.contextmanager
def _watching(engine: AsyncEngine) -> Iterator[_Watch]:
    watch, pool = _Watch(), engine.sync_engine.pool
    listeners = (
        ("checkout", watch.taken),
        ("checkin", watch.given),
        ("detach", watch.given),
    )
    for name, listener in listeners:
        event.listen(pool, name, listener)
    try:
        yield watch
    finally:
        for name, listener in listeners:
            event.remove(pool, name, listener)
