"""Checks that search interleavings: for deadlocks, and for the level that is needed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.concurrency._explorer import Explorer
from pytest_asyncdb.concurrency._offered import offered
from pytest_asyncdb.concurrency._oracles import no_deadlock
from pytest_asyncdb.concurrency._pairs import name_functions
from pytest_asyncdb.errors import CheckFailed, CheckRefused, IncompleteSearch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pytest_asyncdb.concurrency._actor import Function
    from pytest_asyncdb.concurrency._pairs import Pairs
    from pytest_asyncdb.concurrency._result import Result

__all__ = ["NeededIsolation", "check_deadlock_free", "check_isolation"]

_LEVELS: Final = {
    "postgresql": ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"),
    "sqlite": ("SERIALIZABLE",),
}
_ALL: Final = ("READ UNCOMMITTED", *_LEVELS["postgresql"])


@dataclass(frozen=True, slots=True)
class NeededIsolation:
    """The weakest isolation level at which a function has no anomaly with itself.

    `level` is None where each of them has one. `complete`: every interleaving within
    the bound was tried at that level; else the search was cut. `results` holds those
    of all levels that were tried, the weakest first.
    """

    level: str | None
    complete: bool
    results: Mapping[str, Result]

    def __str__(self) -> str:
        lines = [f"{name}: {result.verdict}" for name, result in self.results.items()]
        return "\n".join(lines)


async def check_deadlock_free(
    *functions: Function, engine: AsyncEngine | Explorer | None = None, **options: Any
) -> Pairs:
    """Search the interleavings of each two functions for deadlocks, also with itself.

    Functions take no arguments. A deadlock that is retried is one, too. `engine` is
    that of the functions; without it the running test's is meant, which has to ask for
    `db_concurrency`; `options` are those of its
    `explore`. Raises `AnomalyFound` with the statements in their order.
    """
    said = {"invariant": no_deadlock, "serializable": False, **options}
    return await _explorer(engine).explore_pairs(list(functions), **said)


async def check_isolation(
    function: Function,
    *others: Function,
    engine: AsyncEngine | Explorer | None = None,
    level: str | None = None,
    **options: Any,
) -> NeededIsolation:
    """Find the weakest isolation level at which a function has no anomaly.

    It is explored at each level, from the weakest on, together with `others`, or else
    with itself: its outcome has to be that of a serial order. With `level` raises
    `CheckFailed` where a stronger one is needed, and `CheckRefused` for a level that
    the product does not have. `options` are those of `explore`; the function's own
    sessions must not name a level.
    """
    explorer = _explorer(engine)
    levels = _LEVELS.get(explorer._engine.dialect.name, _ALL)
    if level is not None and level not in levels:
        raise CheckRefused.level(level, levels)
    actors = name_functions([function, *(others or (function,))])
    results: dict[str, Result] = {}
    needed = None
    for each in levels:
        with warnings.catch_warnings():  # the answer says whether it was cut
            warnings.simplefilter("ignore", IncompleteSearch)
            results[each] = await explorer.explore(
                actors, isolation=each, check=False, **options
            )
        if results[each].anomaly is None:
            needed = each
            break
    complete = needed is not None and results[needed].complete
    found = NeededIsolation(needed, complete, results)
    if level is not None and level in results and level != needed:
        raise CheckFailed.level(level, needed, str(found), results[level].diagram())
    return found


def _explorer(engine: AsyncEngine | Explorer | None) -> Explorer:
    engine = engine or offered("explorer", "engine")
    return engine if isinstance(engine, Explorer) else Explorer(engine)
