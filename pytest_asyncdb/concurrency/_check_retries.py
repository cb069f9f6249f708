"""Whether code retries what it should, all of it, once, and not for ever."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.concurrency._faults import Faults
from pytest_asyncdb.concurrency._inflict import check_name, knows
from pytest_asyncdb.concurrency._offered import offered
from pytest_asyncdb.concurrency._rows import Rows, differences
from pytest_asyncdb.errors import CheckFailed, FaultNotReached

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pytest_asyncdb.concurrency._fault import Fault
    from pytest_asyncdb.concurrency._sweep import Sweep

__all__ = ["check_idempotent", "check_retries"]

_CONFLICTS: Final = frozenset({"deadlock_detected", "serialization_failure"})
_LOSS: Final = "connection_failure"
_POLL: Final = 0.005


async def check_retries(
    fn: Callable[[], Awaitable[object]],
    *,
    engine: AsyncEngine | Faults | None = None,
    on: Collection[str] = _CONFLICTS,
    volatile: Collection[str] = (),
    max_attempts: int = 100,
    within: float = 30.0,
) -> None:
    """Run `fn` with faults at each of its statements, and judge it by the rows.

    It has to succeed, and to be applied once, whichever statement or COMMIT fails with
    a condition of `on`; to give up when that comes again and again, before
    `max_attempts` statements and `within` seconds; not to repeat after a violated
    UNIQUE constraint; and to be applied no more than once where the answer to a COMMIT
    is lost. Rows are put back.

    `engine` is that of the function; without it all engines are meant of the running
    test, which has to ask for `db_faults`; `volatile` names columns that differ each
    time. Raises `CheckFailed`.
    """
    async with _faults(engine) as faults:
        for condition in sorted(on):
            check_name(condition, faults.product)
        for condition in sorted(on):
            sweep = await _swept(faults, fn, condition, volatile, recovers=True)
            if sweep.failed:
                raise CheckFailed.not_retried(condition, str(sweep))
        async with _put_back(faults):
            await _gives_up(faults, fn, min(on), max_attempts, within)
        async with _put_back(faults):
            await _knows_its_errors(faults, fn)
        if knows(_LOSS, faults.product):
            sweep = await _swept(faults, fn, _LOSS, volatile, recovers=False)
            commits = [each for each in sweep.positions if each.statement == "COMMIT"]
            if any(each.verdict == "wrong state" for each in commits):
                raise CheckFailed.twice(str(sweep))


async def _swept(
    faults: Faults,
    fn: Callable[[], Awaitable[object]],
    condition: str,
    volatile: Collection[str],
    *,
    recovers: bool,
) -> Sweep:
    sweep = faults.sweep(
        condition,
        at_commit="after" if condition == _LOSS else "during",
        recovers=recovers,
        check=False,
        volatile=volatile,
    )
    async with _put_back(faults):
        async for fault in sweep:
            async with fault:
                await fn()
    return sweep


async def _gives_up(
    faults: Faults,
    fn: Callable[[], Awaitable[object]],
    condition: str,
    limit: int,
    within: float,
) -> None:
    with faults.inject(condition, times=limit + 1) as fault:
        task = asyncio.ensure_future(fn())
        try:
            async with asyncio.timeout(within):
                await _until(task, fault, limit)
        except TimeoutError:
            raise CheckFailed.endless(len(fault.fired), within) from None
        finally:
            await _end(task)
        if task.exception() is None:
            raise CheckFailed.swallowed(condition)


async def _until(task: asyncio.Future[object], fault: Fault, limit: int) -> None:
    while not task.done():
        await asyncio.wait({task}, timeout=_POLL)
        if len(fault.fired) > limit:
            raise TimeoutError


async def _end(task: asyncio.Future[object]) -> None:
    """Let it come to its end, so that it gives back its connection."""
    if not task.done():
        task.cancel()
    await asyncio.wait({task})


async def _knows_its_errors(
    faults: Faults, fn: Callable[[], Awaitable[object]]
) -> None:
    with faults.inject("unique_violation") as fault:
        try:
            await fn()
        except Exception:  # noqa: BLE001 - as it should
            return
        if fault.fired:
            raise CheckFailed.retries_anything(fault.fired[0])


async def check_idempotent(
    fn: Callable[[], Awaitable[object]],
    *,
    engine: AsyncEngine | Faults | None = None,
    volatile: Collection[str] = (),
) -> None:
    """Run `fn` twice: the second time must change nothing, whatever it answers.

    So a caller may repeat it who has lost the first answer. Rows are put back;
    `engine` is as with `check_retries`, `volatile` names columns that may differ.
    Raises `CheckFailed` with the rows that have changed.
    """
    async with _faults(engine) as faults, _put_back(faults):
        rows = Rows(faults.rows_of, volatile=volatile)
        start = await rows.read()
        await fn()
        once = rows.comparable(await rows.read(), start)
        with contextlib.suppress(Exception):  # "it is there already" is an answer
            await fn()
        twice = rows.comparable(await rows.read(), start)
    lines = differences(once, twice)
    if lines:
        raise CheckFailed.not_idempotent(lines)


@contextlib.asynccontextmanager
async def _faults(engine: AsyncEngine | Faults | None) -> AsyncIterator[Faults]:
    engine = engine or offered("faults", "engine")
    if isinstance(engine, Faults):
        yield engine
        return
    made = Faults(engine)
    try:
        yield made
    except BaseException:
        with contextlib.suppress(FaultNotReached):
            made.close()
        raise
    made.close()


@contextlib.asynccontextmanager
async def _put_back(faults: Faults) -> AsyncIterator[None]:
    rows: Any = Rows(faults.rows_of)
    before = await rows.read()
    try:
        yield
    finally:
        await rows.put_back(before)
