"""What all tables hold: read, compared, and put back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import MetaData, select, text

from pytest_asyncdb.concurrency._real import check_real
from pytest_asyncdb.concurrency._values import NOW, Clock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Column, Connection, Table
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Contents", "Rows", "differences"]

Contents: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
"""The rows of each table, by its name."""
_Key: TypeAlias = tuple[str, str, int]
"""A value of a column, with the names of its table and its own."""

_LENIENT: Final = {
    "mysql": "SET FOREIGN_KEY_CHECKS = 0",
    "mariadb": "SET FOREIGN_KEY_CHECKS = 0",
    "sqlite": "PRAGMA defer_foreign_keys = ON",
}
"""What lets a transaction change tables in any order."""
_STRICT: Final = "SET FOREIGN_KEY_CHECKS = 1"


class Rows:
    """All tables of an engine's database, with the rows they hold.

    `volatile` names columns that are not compared. With a `clock` times of the present
    are all the same, for rows of two runs.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        volatile: Collection[str] = (),
        clock: Clock | None = None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._volatile = frozenset(volatile)
        self._metadata: MetaData | None = None

    async def read(self) -> Contents:
        """What the tables hold now, as committed."""
        async with self._engine.connect() as connection:
            return await connection.run_sync(self._read)

    async def put_back(self, wanted: Contents) -> None:
        """Let the tables hold that again; those that do are not touched."""
        async with self._engine.begin() as connection:
            await connection.run_sync(self._put_back, wanted)

    def _tables(self, connection: Connection) -> Sequence[Table]:
        check_real(connection)
        if self._metadata is None:
            self._metadata = MetaData()
            with warnings.catch_warnings():  # of what only rows don't show
                warnings.simplefilter("ignore")
                self._metadata.reflect(connection)
        with warnings.catch_warnings():  # of cycles, which have no order
            warnings.simplefilter("ignore")
            return self._metadata.sorted_tables

    def _read(self, connection: Connection) -> Contents:
        return {
            table.name: [
                dict(row) for row in connection.execute(select(table)).mappings()
            ]
            for table in self._tables(connection)
        }

    def _put_back(self, connection: Connection, wanted: Contents) -> None:
        tables, found = self._tables(connection), self._read(connection)
        other = {name for name in found if _differ(found[name], wanted[name])}
        touched = [
            each for each in tables if each.name in _with_children(tables, other)
        ]
        lenient = _LENIENT.get(connection.dialect.name)
        if lenient is not None:
            connection.execute(text(lenient))
        for table in reversed(touched):
            connection.execute(table.delete())
        for table in touched:
            rows = [_writable(table, row) for row in wanted[table.name]]
            if rows:
                connection.execute(table.insert(), rows)
        if lenient is not None and "CHECKS" in lenient:
            connection.execute(text(_STRICT))

    # ------------------------------------------------------------------- comparison
    def comparable(self, contents: Contents, start: Contents) -> Contents:
        """Without volatile columns, and with new rows numbered in their own order.

        Sequences go on after a rollback, so the keys that they gave differ each time.
        """
        assert self._metadata is not None
        keys = dict(_new_keys(self._metadata, contents, start))
        return {
            name: sorted(
                (self._plain(self._metadata.tables[name], row, keys) for row in rows),
                key=repr,
            )
            for name, rows in contents.items()
        }

    def _plain(
        self, table: Table, row: Mapping[str, Any], keys: Mapping[_Key, str]
    ) -> dict[str, Any]:
        return {
            column.name: self._value(column, row[column.name], keys)
            for column in table.columns
            if column.name not in self._volatile
        }

    def _value(self, column: Column[Any], value: Any, keys: Mapping[_Key, str]) -> Any:
        if self._clock is not None and self._clock.is_now(value):
            return NOW
        return _renamed(column, value, keys)


def differences(expected: Contents, found: Contents) -> list[str]:
    """The rows that only one of the two has, a line for each."""
    lines = []
    for name, rows in expected.items():
        missing = [each for each in rows if each not in found[name]]
        added = [each for each in found[name] if each not in rows]
        lines += [f"{name}: {_shown(each)} is missing" for each in missing]
        lines += [f"{name}: {_shown(each)} is there instead" for each in added]
    return lines


def _shown(row: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value!r}" for name, value in row.items())


def _differ(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> bool:
    return sorted(map(repr, first)) != sorted(map(repr, second))


def _with_children(tables: Sequence[Table], names: Collection[str]) -> set[str]:
    """These tables, and all whose foreign keys lead to them."""
    found, before = set(names), set[str]()
    while found != before:
        before = set(found)
        found |= {
            table.name
            for table in tables
            for key in table.foreign_keys
            if key.column.table.name in found
        }
    return found


def _writable(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """What can be inserted: not what the database computes itself."""
    return {
        column.name: row[column.name]
        for column in table.columns
        if column.computed is None
    }


def _new_keys(
    metadata: MetaData, contents: Contents, start: Contents
) -> Iterator[tuple[_Key, str]]:
    """The keys that the database has given since, and by what they are compared."""
    for table in metadata.tables.values():
        column = table.autoincrement_column
        if column is None:
            continue
        before = {row[column.name] for row in start[table.name]}
        found = {row[column.name] for row in contents[table.name]}
        for number, value in enumerate(sorted(found - before), start=1):
            yield (table.name, column.name, value), f"new {number}"


def _renamed(column: Column[Any], value: Any, keys: Mapping[_Key, str]) -> Any:
    """A value, or what stands for it if it is a new key or leads to one."""
    if not isinstance(value, int):
        return value
    own = (column.table.name, column.name)
    led = [(each.column.table.name, each.column.name) for each in column.foreign_keys]
    names = [keys[(*place, value)] for place in (own, *led) if (*place, value) in keys]
    return names[0] if names else value
