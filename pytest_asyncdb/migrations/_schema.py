"""A database's schema as plain text: kind, object, property."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from pytest_asyncdb.migrations._diff import Difference, compare

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Objects", "Schema"]

Objects: TypeAlias = "Mapping[str, Mapping[str, Mapping[str, str]]]"
"""By kind, then by name: the properties of an object, as the server renders them."""


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """Every object of one database, read from its server's catalog.

    Two are equal when nothing differs that counts: `spelling` and `order` do not.
    """

    product: str
    objects: Objects = field(repr=False)

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schema):
            return NotImplemented
        return not any(each.counts for each in self.diff(other))

    def diff(self, other: Schema) -> list[Difference]:
        """What differs in `other`, of any weight; empty where all is the same."""
        return compare(self.objects, other.objects)

    def names(self, kind: str) -> Iterable[str]:
        """Names of the objects of a kind, such as "table"."""
        return self.objects.get(kind, {}).keys()
