"""The tables of a database, as far as putting them back and comparing them needs."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import inspect
from sqlalchemy.exc import SAWarning

from pytest_asyncdb.backends._footprint import EVERYTHING, Footprints
from pytest_asyncdb.concurrency._probes import product_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, Inspector

__all__ = ["Catalog", "Parent", "Table", "read_catalog"]

_SYSTEM: Final = frozenset({"information_schema"})
_TRIGGERS: Final = {
    "postgresql": (
        "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " WHERE NOT t.tgisinternal"
    ),
    "sqlite": "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger'",
}
_MYSQL_TRIGGERS: Final = (
    "SELECT event_object_table FROM information_schema.triggers"
    " WHERE trigger_schema = DATABASE()"
)


@dataclass(frozen=True, slots=True)
class Parent:
    """A foreign key: columns of a table, and those of `table` that they point to."""

    columns: tuple[str, ...]
    table: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: what its rows are known by, and what can be written.

    `name` is as it is quoted in SQL; `counts` says that the server numbers its rows,
    in the one column of its key.
    """

    name: str
    plain: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    counts: bool
    parents: tuple[Parent, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Tables by plain name, parents before children, and how statements are read."""

    product: str
    tables: Mapping[str, Table]
    footprints: Footprints
    has_triggers: bool = False

    def touched(self, names: Iterable[str]) -> list[Table]:
        """These tables; all of them for `EVERYTHING`."""
        wanted = set(names)
        if EVERYTHING in wanted:
            return list(self.tables.values())
        return [each for name, each in self.tables.items() if name in wanted]


@dataclass(slots=True)
class _Found:
    tables: dict[str, Table] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)


def read_catalog(connection: Connection) -> Catalog:
    """Ask the server for all tables and views that are not its own."""
    product = product_of(connection.dialect)
    inspector = inspect(connection)
    found = _Found()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", SAWarning
        )  # types that SQLAlchemy does not know
        for schema in _schemas(connection, inspector):
            _read_schema(connection, inspector, schema, found)
    query = _TRIGGERS.get(product, _MYSQL_TRIGGERS)
    triggered = {str(name) for (name,) in connection.exec_driver_sql(query)}
    tables = {each.plain: each for each in _ordered(found.tables.values())}
    footprints = Footprints(
        _names(found),
        {name: _written(each, triggered) for name, each in tables.items()},
        is_mysql=product in {"mysql", "mariadb"},
    )
    return Catalog(product, tables, footprints, bool(triggered))


def _schemas(connection: Connection, inspector: Inspector) -> list[str | None]:
    if connection.dialect.name != "postgresql":
        return [None]
    default = inspector.default_schema_name
    names = [
        name
        for name in inspector.get_schema_names()
        if name not in _SYSTEM and not name.startswith(("pg_", "asyncdb_"))
    ]
    return [None if name == default else name for name in names]


def _read_schema(
    connection: Connection, inspector: Inspector, schema: str | None, found: _Found
) -> None:
    columns = inspector.get_multi_columns(schema)
    keys = inspector.get_multi_pk_constraint(schema)
    foreign = inspector.get_multi_foreign_keys(schema)
    quote = connection.dialect.identifier_preparer.quote
    for at, described in columns.items():
        plain = at[1] if schema is None else f"{schema}.{at[1]}"
        key = tuple(keys[at]["constrained_columns"]) if at in keys else ()
        found.tables[plain] = Table(
            name=".".join(quote(part) for part in (schema, at[1]) if part),
            plain=plain,
            columns=tuple(
                each["name"] for each in described if not each.get("computed")
            ),
            key=key,
            counts=len(key) == 1 and _counts(described, key[0], connection),
            parents=tuple(map(_parent, foreign.get(at, ()))),
        )
    for name in inspector.get_view_names(schema):
        found.views[name] = inspector.get_view_definition(name, schema) or ""


def _counts(described: Iterable[Any], key: str, connection: Connection) -> bool:
    """Whether the server gives the key's numbers."""
    column = next(each for each in described if each["name"] == key)
    if connection.dialect.name == "sqlite":
        return str(column["type"]).upper() == "INTEGER"
    default = str(column.get("default") or "")
    return bool(
        column.get("autoincrement") is True
        or column.get("identity")
        or default.startswith("nextval(")
    )


def _parent(described: Any) -> Parent:
    schema, name = described["referred_schema"], described["referred_table"]
    return Parent(
        tuple(described["constrained_columns"]),
        name if schema is None else f"{schema}.{name}",
        tuple(described["referred_columns"]),
    )


def _ordered(tables: Iterable[Table]) -> list[Table]:
    """Parents before their children, where they do not go in a circle."""
    left, done = {each.plain: each for each in tables}, dict[str, Table]()
    while left:
        free = [
            name
            for name, each in left.items()
            if all(p.table == name or p.table not in left for p in each.parents)
        ]
        for name in free or list(left)[:1]:
            done[name] = left.pop(name)
    return list(done.values())


def _written(table: Table, triggered: set[str]) -> frozenset[str]:
    if table.plain.rpartition(".")[2] in triggered:
        return frozenset({EVERYTHING})
    return frozenset(parent.table for parent in table.parents)


def _names(found: _Found) -> dict[str, frozenset[str]]:
    """What each word in a statement stands for."""
    named: dict[str, frozenset[str]] = {}
    for plain in found.tables:
        word = plain.rpartition(".")[2].lower()
        named[word] = named.get(word, frozenset()) | {plain}
    for name, text in found.views.items():
        named[name.lower()] = frozenset(_of_view(text, found, {name}))
    return named


def _of_view(text: str, found: _Found, seen: set[str]) -> set[str]:
    words = set(re.findall(r"[\w$]+", text.lower()))
    tables = {
        plain for plain in found.tables if plain.rpartition(".")[2].lower() in words
    }
    for name, inner in found.views.items():
        if name.lower() in words and name not in seen:
            tables |= _of_view(inner, found, seen | {name})
    return tables or {EVERYTHING}
