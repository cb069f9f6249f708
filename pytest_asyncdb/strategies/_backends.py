"""One function on databases of several products: it has to give the same on each."""

from __future__ import annotations

import inspect as python
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import inspect

from pytest_asyncdb.errors import BackendsDiffer, StrategyRefused
from pytest_asyncdb.strategies._copies import copies_of
from pytest_asyncdb.strategies._persist import db_persist, graph_of, objects_of
from pytest_asyncdb.strategies._plain import difference, is_reordered, plain
from pytest_asyncdb.strategies._running import host_of_test

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from pytest_asyncdb.strategies._running import Counterpart

__all__ = ["compare_backends"]

T = TypeVar("T")

_SHOWN: Final = 300
_TWO: Final = 2


@dataclass(frozen=True)
class _Outcome:
    """What came of the function on one database."""

    result: Any = None
    plain: Any = None
    error: Exception | None = None

    def __str__(self) -> str:
        text = repr(self.plain)
        if self.error is not None:
            said = str(getattr(self.error, "orig", None) or self.error).splitlines()
            text = f"raises {type(self.error).__name__}: {' '.join(said[:1])}"
        return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


async def compare_backends(
    fn: Callable[[AsyncSession], Awaitable[T]],
    /,
    *,
    on: Sequence[str],
    rows: Any = (),
) -> T:
    """Await `fn(session)` on a database of each of `on`; all have to give the same.

    `on` are words as for `--asyncdb`, or URLs. Each call has a database of its own with
    the run's schema and seed, and with `rows`: an object or a list, as `from_model`
    draws them, of which copies are written. Compared by `==` are values, rows, what is
    loaded of mapped objects, dataclasses, and lists, dicts and sets of these; of
    exceptions the class. Returns, or raises, what it does on the first.

    Raises `BackendsDiffer`, an `AssertionError`; `StrategyRefused` for what cannot be
    compared and outside of a test that uses our fixtures; and what a database raises
    that cannot be had.
    """
    _check(fn, on)
    roots = _new(rows)
    outcomes = {
        each.name: await _outcome(fn, roots, each)
        for each in host_of_test(StrategyRefused.no_schema).counterparts(on)
    }
    _compare(getattr(fn, "__name__", repr(fn)), outcomes)
    first = next(iter(outcomes.values()))
    if first.error is not None:
        raise first.error
    result: T = first.result
    return result


def _check(fn: object, on: object) -> None:
    words = on if isinstance(on, list | tuple) else ()
    different = {each for each in words if isinstance(each, str)}
    if len(different) < max(_TWO, len(words)):
        raise StrategyRefused.too_few(on)
    if not callable(fn):
        raise StrategyRefused.not_a_coroutine_function(fn)


def _new(rows: Any) -> list[Any]:
    """The roots of `rows`, none of which may be anywhere yet."""
    roots = [*objects_of(rows)]
    for each in (each for root in roots for each in graph_of(root)):
        if not inspect(each).transient:
            raise StrategyRefused.written(each)
    return roots


async def _outcome(
    fn: Callable[[AsyncSession], Awaitable[Any]], roots: list[Any], there: Counterpart
) -> _Outcome:
    async with there.fresh() as sessions:
        try:
            await _write(copies_of(roots), sessions)
            async with sessions() as session:
                result = await _called(fn, session)
                return _Outcome(result, await session.run_sync(lambda _: plain(result)))
        except StrategyRefused:
            raise
        except Exception as error:  # noqa: BLE001 - it is what came of the function
            return _Outcome(error=error)


async def _write(graph: list[Any], sessions: async_sessionmaker[AsyncSession]) -> None:
    """By a session that `fn` does not have: it is to read what the database says."""
    async with sessions() as session:
        await db_persist(graph, session=session)
        await session.commit()


async def _called(
    fn: Callable[[AsyncSession], Awaitable[Any]], session: AsyncSession
) -> Any:
    made = fn(session)
    if not python.isawaitable(made):
        raise StrategyRefused.not_a_coroutine_function(fn)
    return await made


def _compare(name: str, outcomes: Mapping[str, _Outcome]) -> None:
    """Raise `BackendsDiffer` unless all outcomes are like the first."""
    (here, first), *others = outcomes.items()
    for there, other in others:
        said = _difference(here, first, there, other)
        if said is None:
            continue
        raise BackendsDiffer.between(
            name,
            {where: str(each) for where, each in outcomes.items()},
            said,
            reordered=is_reordered(first.plain, other.plain),
        ) from first.error or other.error


def _difference(here: str, first: _Outcome, there: str, other: _Outcome) -> str | None:
    """The first difference in words, "" where there is no more to it than both."""
    if first.error is not None or other.error is not None:
        return None if type(first.error) is type(other.error) else ""
    found = difference(first.plain, other.plain)
    if found is None or not found.path:
        return None if found is None else ""
    sides = ((here, found.first), (there, found.second))
    said = " and ".join(f"{_cut(repr(each))} on {where}" for where, each in sides)
    return f"{found.path} is {said}"
