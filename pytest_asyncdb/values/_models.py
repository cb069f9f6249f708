"""What a row of a model needs that neither the database nor the model fills in."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import UniqueConstraint, inspect
from sqlalchemy.orm import MANYTOONE, mapperlib

from pytest_asyncdb.values._checks import read_check
from pytest_asyncdb.values._columns import checks_of, domain_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import CheckConstraint, Table
    from sqlalchemy.orm import ColumnProperty, Mapper, RelationshipProperty

    from pytest_asyncdb.values._domains import Domain

__all__ = ["Attribute", "Key", "ModelFacts", "Parent", "every_mapper", "facts_of"]


@dataclass(frozen=True)
class Attribute:
    """A column that needs a value."""

    name: str
    column: Any

    @functools.cached_property
    def domain(self) -> Domain:
        """What it accepts. Raises `ValueUnknown`."""
        return domain_of(self.column)


@dataclass(frozen=True)
class Parent:
    """A relationship to a row that has to be there; `columns` are its attributes."""

    name: str
    model: type[Any]
    columns: frozenset[str]


@dataclass(frozen=True)
class Key:
    """A foreign key without a relationship; `attribute` is that of the other model."""

    name: str
    model: type[Any]
    attribute: str


@dataclass(frozen=True)
class ModelFacts:
    """What a row needs: values, parents and keys, by the names of attributes.

    `uniques` are groups of attributes that are different in each two rows; `checks`
    are constraints that say more than `read_check` reads, with their attributes.
    `optional` are values that may be NULL or have a default in Python, and `relatives`
    relationships to rows that need not be there.
    """

    attributes: tuple[Attribute, ...]
    parents: tuple[Parent, ...]
    keys: tuple[Key, ...]
    uniques: tuple[frozenset[str], ...]
    checks: tuple[tuple[CheckConstraint, frozenset[str]], ...]
    columns: dict[str, Any]
    """Every column, by the name of its attribute."""
    optional: tuple[Attribute, ...] = ()
    relatives: tuple[Parent, ...] = ()


def facts_of(model: type[Any]) -> ModelFacts:
    """Read a mapped class; no database is asked."""
    mapper: Mapper[Any] = inspect(model)
    names = {
        column: each.key for each in mapper.column_attrs for column in each.columns
    }
    parents = tuple(_parents(mapper, names))
    by_parents = frozenset[str]().union(*(each.columns for each in parents))
    needed = [
        each
        for each in mapper.column_attrs
        if _is_needed(mapper, each) and each.key not in by_parents
    ]
    keys = {each.key: key for each in needed if (key := _key(mapper, each))}
    taken = by_parents | keys.keys()
    return ModelFacts(
        attributes=tuple(
            Attribute(each.key, each.columns[0])
            for each in needed
            if each.key not in keys
        ),
        parents=parents,
        keys=tuple(keys.values()),
        uniques=tuple(
            group for table in mapper.tables for group in _uniques(table, names)
        ),
        checks=tuple(
            found for table in mapper.tables for found in _unread(table, names)
        ),
        columns={name: column for column, name in names.items()},
        optional=tuple(
            Attribute(each.key, each.columns[0])
            for each in mapper.column_attrs
            if _is_optional(mapper, each) and each.key not in taken
        ),
        relatives=tuple(_relatives(mapper, names, taken)),
    )


# --------------------------------------------------------------------------- needed
def _is_needed(mapper: Mapper[Any], prop: ColumnProperty[Any]) -> bool:
    return all(
        hasattr(column, "table") and _needs_value(mapper, column)
        for column in prop.columns
    )


def _needs_value(mapper: Mapper[Any], column: Any) -> bool:
    filled_in = (
        getattr(column, "nullable", True)
        or column.default is not None
        or column.server_default is not None
        or column.identity is not None
        or column.computed is not None
    )
    automatic = (
        column is mapper.version_id_col
        or column is mapper.polymorphic_on
        or column is getattr(column.table, "autoincrement_column", None)
    )
    return not (filled_in or automatic)


def _is_optional(mapper: Mapper[Any], prop: ColumnProperty[Any]) -> bool:
    column: Any = prop.columns[0]
    if not hasattr(column, "table") or column is mapper.polymorphic_on:
        return False
    filled_in = (
        column.server_default is not None
        or column.identity is not None
        or column.computed is not None
        or column is mapper.version_id_col
    )
    fixed = column.primary_key or column.foreign_keys
    return not (filled_in or fixed) and (column.nullable or column.default is not None)


# -------------------------------------------------------------------------- parents
def _parents(mapper: Mapper[Any], names: dict[Any, str]) -> Iterator[Parent]:
    """Relationships that have to be set; of two for one column the first."""
    taken: set[str] = set()
    for each in mapper.relationships:
        columns = frozenset(names[column] for column in each.local_columns)
        if _is_required(mapper, each) and not columns & taken:
            taken |= columns
            yield Parent(each.key, each.mapper.class_, columns)


def _relatives(
    mapper: Mapper[Any], names: dict[Any, str], needed: frozenset[str]
) -> Iterator[Parent]:
    """Relationships that may be set; of two for one column the first."""
    taken = set(needed)
    for each in mapper.relationships:
        if each.direction is MANYTOONE and not each.viewonly:
            columns = frozenset(names[column] for column in each.local_columns)
            if not columns & taken:
                taken |= columns
                yield Parent(each.key, each.mapper.class_, columns)


def _is_required(mapper: Mapper[Any], each: RelationshipProperty[Any]) -> bool:
    if each.direction is not MANYTOONE or each.viewonly:
        return False
    return any(_needs_value(mapper, column) for column in each.local_columns)


def _key(mapper: Mapper[Any], prop: ColumnProperty[Any]) -> Key | None:
    column: Any = prop.columns[0]
    for foreign in column.foreign_keys:
        for other in every_mapper():
            if foreign.column.table is other.local_table and not mapper.isa(other):
                name = other.get_property_by_column(foreign.column).key
                return Key(prop.key, other.class_, name)
    return None


def every_mapper() -> Iterator[Mapper[Any]]:
    """All that are mapped: models of several bases may refer to each other."""
    registries = mapperlib._all_registries()  # noqa: SLF001 - there is no public way
    return (mapper for registry in registries for mapper in registry.mappers)


# ---------------------------------------------------------------------- constraints
def _uniques(table: Any, names: dict[Any, str]) -> Iterator[frozenset[str]]:
    groups: list[Any] = [table.primary_key.columns]
    groups += [
        each.columns for each in table.constraints if isinstance(each, UniqueConstraint)
    ]
    groups += [each.columns for each in table.indexes if each.unique]
    groups += [[column] for column in table.columns if column.unique]
    for columns in groups:
        group = frozenset(names[each] for each in columns if each in names)
        if group:
            yield group


def _unread(
    table: Table | Any, names: dict[Any, str]
) -> Iterator[tuple[CheckConstraint, frozenset[str]]]:
    for check in checks_of(table):
        text = text_of(check)
        if read_check(text) is None:
            words = {*re.findall(r"\w+", text)}
            mentioned = [each for each in table.columns if each.name in words]
            yield check, frozenset(names[each] for each in mentioned if each in names)
