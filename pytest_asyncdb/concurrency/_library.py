"""`explore()` and `replay()` for scripts, on an engine of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never

from pytest_asyncdb.concurrency._explorer import Explorer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pytest_asyncdb.concurrency._actor import Function
    from pytest_asyncdb.concurrency._result import Result

__all__ = ["explore", "replay"]


async def explore(
    engine: AsyncEngine,
    actors: Mapping[str, Function] | None = None,
    /,
    *others: Never,
    **given: Any,
) -> Result:
    """Try interleavings of async functions on the database of `engine`.

    Arguments, results and errors are those of `Explorer.explore`. The engine's own
    pool must have room for two connections besides those of the actors.
    """
    return await Explorer(engine).explore(actors, *others, **given)


async def replay(
    engine: AsyncEngine,
    schedule: str,
    actors: Mapping[str, Function] | None = None,
    /,
    *others: Never,
    **given: Any,
) -> Result:
    """Run one schedule of async functions on the database of `engine`.

    Arguments, results and errors are those of `Explorer.replay`.
    """
    return await Explorer(engine).replay(schedule, actors, *others, **given)
