"""Models that have a version which nothing compares when they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, DateTime, Integer, LargeBinary, SmallInteger, Uuid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column
    from sqlalchemy.orm import DeclarativeBase, Mapper, registry

__all__ = ["Unversioned", "lint_versions"]

_NAMES: Final = frozenset(
    """
    etag lock_version optlock revision row_version rowversion version version_id
    version_no version_number xmin
    """.split()
)
_COUNTS: Final = (Integer, BigInteger, SmallInteger, DateTime, Uuid, LargeBinary)


@dataclass(frozen=True, slots=True)
class Unversioned:
    """A model with a column of versions that its mapper does not know of."""

    model: type[Any]
    column: str

    def __str__(self) -> str:
        name = self.model.__name__
        return (
            f"{name}.{self.column} looks like a version, and nothing compares it when a"
            f' {name} is written: __mapper_args__ = {{"version_id_col": {self.column}}}'
        )


def lint_versions(base: type[DeclarativeBase] | registry) -> list[Unversioned]:
    """The models below `base` with a version column, but without `version_id_col`.

    A version is a column that is called so ("version", "lock_version", "row_version",
    "revision", ...), is a number, a time or a UUID, and no part of a key. By the
    mapper's version_id_col SQLAlchemy puts it into the WHERE of each UPDATE and DELETE;
    compared in Python, two that read the same one both go on.
    """
    mappers: Any = getattr(base, "registry", base)
    found = [each for mapper in mappers.mappers for each in _of(mapper)]
    return sorted(found, key=lambda each: (each.model.__name__, each.column))


def _of(mapper: Mapper[Any]) -> Iterator[Unversioned]:
    if mapper.version_id_col is not None or mapper.inherits is not None:
        return
    for attribute in mapper.column_attrs:
        column: Any = attribute.columns[0]
        if _is_version(column):
            yield Unversioned(mapper.class_, attribute.key)


def _is_version(column: Column[Any]) -> bool:
    if column.primary_key or column.foreign_keys:
        return False
    return column.name.lower() in _NAMES and isinstance(column.type, _COUNTS)
