"""The mark `asyncdb_race`: copies of a test's body run against each other."""

from __future__ import annotations

import contextlib
import difflib
import functools
import inspect
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_asyncdb.plugin._concurrency import concurrency_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_asyncdb.plugin._databases import WorkerDatabase
    from pytest_asyncdb.plugin._interleavings import Concurrency

__all__ = ["MARK", "RACE", "_race", "check", "racing"]

MARK: Final = "asyncdb_race"
RACE: Final = "_asyncdb_race"
_RACE: Final = pytest.StashKey["Concurrency"]()
_LEAST: Final = 2


@pytest.fixture(name=RACE)
def _race(
    request: pytest.FixtureRequest,
    _asyncdb_database: WorkerDatabase,
    _asyncdb_real: None,
) -> None:
    """For tests with the mark, which need not ask for anything."""
    __tracebackhide__ = True
    request.node.stash[_RACE] = concurrency_of(request, _asyncdb_database)


def check(test: str, function: object, mark: pytest.Mark) -> None:
    """Raise `MarkRefused` for what cannot be raced."""
    from pytest_asyncdb.errors import MarkRefused

    if not inspect.iscoroutinefunction(inspect.unwrap(function)):  # type: ignore[arg-type]
        raise MarkRefused.race(test, "the test is not async")
    actors = mark.kwargs.get("actors", _LEAST)
    if mark.args or not isinstance(actors, int) or actors < _LEAST:
        raise MarkRefused.race(test, "it takes actors=2 or more, and options")
    _check_options(test, mark.kwargs)


def _check_options(test: str, given: Iterable[str]) -> None:
    from pytest_asyncdb.concurrency._exploring import OPTIONS
    from pytest_asyncdb.errors import MarkRefused

    known = "actors", *OPTIONS
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise MarkRefused.race_option(test, name, near, known)


@contextlib.contextmanager
def racing(item: pytest.Item) -> Iterator[None]:
    """Around the call of a test with the mark: it is a search among copies of it."""
    concurrency = item.stash.get(_RACE, None)
    mark = item.get_closest_marker(MARK)
    if concurrency is None or mark is None:
        yield
        return
    node: Any = item
    body, node.obj = node.obj, _raced(node.obj, concurrency, dict(mark.kwargs))
    try:
        yield
    finally:
        node.obj = body


def _raced(body: Any, concurrency: Concurrency, options: dict[str, Any]) -> Any:  # noqa: ANN401
    """A test function that searches; whoever runs coroutines takes it for the test."""
    count = options.pop("actors", _LEAST)

    @functools.wraps(body)
    async def race(*args: Any, **fixtures: Any) -> None:  # noqa: ANN401
        copy = functools.partial(body, *args, **fixtures)
        names = [chr(ord("a") + number) for number in range(count)]
        await concurrency.explore(dict.fromkeys(names, copy), **options)

    return race
