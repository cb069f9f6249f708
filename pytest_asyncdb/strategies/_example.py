"""What has been drawn so far in one example: objects, and values that are unique."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from sqlalchemy import Table

__all__ = ["Example"]

_BASIC: Final = "\uffff"


class Example:
    """The objects of one example, whichever of its strategies has drawn them."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self._taken: defaultdict[tuple[Any, frozenset[str]], set[Hashable]] = (
            defaultdict(set)
        )

    def of(self, model: type[Any]) -> list[Any]:
        """Those of a model, in the order in which they were drawn."""
        return [each for each in self.objects if isinstance(each, model)]

    def is_free(
        self,
        table: Table | Any,
        groups: Iterable[frozenset[str]],
        row: Mapping[str, Any],
    ) -> bool:
        """Whether no drawn row has the same values in any of the groups."""
        return not any(
            _key(group, row) in self._taken[table, group]
            for group in groups
            if _tells(group, row)
        )

    def take(
        self,
        table: Table | Any,
        groups: Iterable[frozenset[str]],
        row: Mapping[str, Any],
    ) -> None:
        """These values are used from now on."""
        for group in groups:
            if _tells(group, row):
                self._taken[table, group].add(_key(group, row))


def _tells(group: frozenset[str], row: Mapping[str, Any]) -> bool:
    """NULL, and what the database fills in, is never the same as another one."""
    return all(row.get(name) is not None for name in group)


def _key(group: frozenset[str], row: Mapping[str, Any]) -> Hashable:
    return tuple(_folded(row[name]) for name in sorted(group))


def _folded(value: Any) -> Hashable:
    """What is the same for values that any product takes to be equal.

    Collations of MySQL leave out case, accents, punctuation and spaces at the end, and
    some tell no two letters beyond the basic plane apart.
    """
    if isinstance(value, str):
        letters = unicodedata.normalize("NFKD", value.casefold())
        plain = [each for each in letters if unicodedata.category(each)[0] in "LN"]
        return "".join(min(each, _BASIC) for each in plain)
    if isinstance(value, dt.datetime | dt.time):
        return value.replace(microsecond=0, tzinfo=None)
    return value if value.__hash__ else repr(value)
