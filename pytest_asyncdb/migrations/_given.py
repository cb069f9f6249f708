"""Rows and expectations that a project adds to a revision of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_asyncdb.errors import DataRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Given", "given_data", "migration_data"]

T = TypeVar("T")
_NAMES: Final = ("before", "after")


@dataclass(frozen=True, slots=True)
class Given:
    """What a project does before a revision goes up, and what it expects after it."""

    before: Callable[[Any], None] | None
    after: Callable[[Any], None] | None


_GIVEN: Final[dict[str, Given]] = {}


def migration_data(revision: str) -> Callable[[type[T]], type[T]]:
    """Let a class say which rows a revision meets, and what it has to make of them.

    Its functions `before(connection)` and `after(connection)` are called around the
    upgrade with a `Connection` of SQLAlchemy's; one of them is enough. What `after`
    raises is a finding of that revision. Write it where it is imported: conftest.py.

    Raises `DataRefused` for a class that has none, and for a second one.
    """

    def decorate(chosen: type[T]) -> type[T]:
        functions = {name: getattr(chosen, name, None) for name in _NAMES}
        if not any(map(callable, functions.values())):
            raise DataRefused.nothing(revision, getattr(chosen, "__name__", chosen))
        known = _GIVEN.get(revision)
        if known is not None and _place(known) != _place(Given(**functions)):
            raise DataRefused.twice(revision)
        _GIVEN[revision] = Given(**functions)
        return chosen

    return decorate


def given_data() -> Mapping[str, Given]:
    """All that has been said so far, by revision."""
    return _GIVEN


def _place(given: Given) -> list[str]:
    """Where it is written: a module may be imported twice."""
    functions = [each for each in (given.before, given.after) if each is not None]
    return [f"{each.__module__}.{each.__qualname__}" for each in functions]
