"""What a test has changed, as rows: its tables compared with the untouched ones."""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import inspect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

__all__ = ["Changes", "Contents", "TableChanges", "read"]

Row = dict[str, Any]
_SHOWN: Final = 10
_SYSTEM: Final = frozenset({"information_schema", "mysql", "performance_schema", "sys"})


@dataclass(frozen=True, slots=True)
class TableChanges:
    """Rows of one table; a changed one as it was and as it is.

    In a table without a primary key a changed row counts as removed and added.
    """

    added: tuple[Row, ...]
    changed: tuple[tuple[Row, Row], ...]
    removed: tuple[Row, ...]

    def lines(self) -> Iterator[str]:
        """The rows as text, a limited number of each kind."""
        yield from _some("+", (repr(row) for row in self.added), len(self.added))
        pairs = (_difference(*each) for each in self.changed)
        yield from _some("~", pairs, len(self.changed))
        yield from _some("-", (repr(row) for row in self.removed), len(self.removed))


@dataclass(frozen=True, slots=True)
class Changes:
    """What the test has changed so far, by table; tables without changes are absent.

    Those of another schema than the default one are named `schema.table`.
    """

    tables: Mapping[str, TableChanges]

    @property
    def added(self) -> collections.Counter[str]:
        """How many rows each table has more."""
        return self._counted("added")

    @property
    def changed(self) -> collections.Counter[str]:
        """How many rows of each table have another value."""
        return self._counted("changed")

    @property
    def removed(self) -> collections.Counter[str]:
        """How many rows each table has lost."""
        return self._counted("removed")

    def _counted(self, kind: str) -> collections.Counter[str]:
        return collections.Counter(
            {name: len(getattr(each, kind)) for name, each in self.tables.items()}
        )

    def __bool__(self) -> bool:
        return bool(self.tables)

    def __str__(self) -> str:
        lines = (
            line
            for name, each in self.tables.items()
            for line in (name, *(f"  {line}" for line in each.lines()))
        )
        return "\n".join(lines) or "nothing"


@dataclass(frozen=True, slots=True)
class Contents:
    """All rows of all tables, at one time."""

    keys: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, Sequence[Row]]

    def changed_to(self, now: Contents) -> Changes:
        """What makes these contents those."""
        names = sorted({*self.rows, *now.rows})
        found = {name: self._table(name, now) for name in names}
        return Changes(
            {
                name: each
                for name, each in found.items()
                if each.added or each.changed or each.removed
            }
        )

    def _table(self, name: str, now: Contents) -> TableChanges:
        key = now.keys.get(name, ())
        before, after = self.rows.get(name, ()), now.rows.get(name, ())
        if not key or key != self.keys.get(name, key):
            return _as_bags(before, after)
        old = {_key(row, key): row for row in before}
        new = {_key(row, key): row for row in after}
        return TableChanges(
            added=tuple(row for each, row in new.items() if each not in old),
            changed=tuple(
                (old[each], row)
                for each, row in new.items()
                if each in old and old[each] != row
            ),
            removed=tuple(row for each, row in old.items() if each not in new),
        )


def read(connection: Connection) -> Contents:
    """Read everything; for tests, whose tables are small."""
    inspector = inspect(connection)
    default = inspector.default_schema_name
    keys, rows = {}, {}
    for schema in _schemas(connection, inspector.get_schema_names()):
        for table in inspector.get_table_names(schema):
            name = table if schema in {None, default} else f"{schema}.{table}"
            found = inspector.get_pk_constraint(table, schema)["constrained_columns"]
            keys[name] = tuple(found)
            rows[name] = _rows(connection, table, schema)
    return Contents(keys, rows)


def _schemas(connection: Connection, names: Iterable[str]) -> list[str | None]:
    if connection.dialect.name != "postgresql":
        return [None]
    return [name for name in names if name not in _SYSTEM and name[:3] != "pg_"]


def _rows(connection: Connection, table: str, schema: str | None) -> list[Row]:
    quote = connection.dialect.identifier_preparer.quote
    name = ".".join(quote(part) for part in (schema, table) if part is not None)
    found = connection.exec_driver_sql(f"SELECT * FROM {name}")  # noqa: S608 - quoted
    return [dict(row) for row in found.mappings()]


def _key(row: Row, columns: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(row[column] for column in columns)


def _as_bags(before: Sequence[Row], after: Sequence[Row]) -> TableChanges:
    """Without a key a row is all of its values, and may be there several times."""
    added, left = [], list(before)
    for row in after:
        if row in left:
            left.remove(row)
        else:
            added.append(row)
    return TableChanges(tuple(added), (), tuple(left))


def _difference(before: Row, after: Row) -> str:
    """The row as it is, and what its changed columns were."""
    was = {name: before[name] for name in before if before[name] != after.get(name)}
    return f"{after!r}, which had {was!r}"


def _some(mark: str, texts: Iterable[str], count: int) -> Iterator[str]:
    for number, each in enumerate(texts):
        if number == _SHOWN:
            yield f"{mark} … and {count - _SHOWN} more"
            return
        yield f"{mark} {each}"
