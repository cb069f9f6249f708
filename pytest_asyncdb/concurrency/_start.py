"""The state that every schedule starts from: read once, and put back each time."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy.exc import DBAPIError, IntegrityError

from pytest_asyncdb.errors import StartLost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pytest_asyncdb.concurrency._catalog import Catalog, Table

__all__ = ["Rows", "Start"]

Rows: TypeAlias = "Sequence[tuple[Any, ...]]"
_TRIES: Final = 3
_FREE: Final = {
    "postgresql": "SET session_replication_role = replica",
    "mysql": "SET foreign_key_checks = 0",
    "mariadb": "SET foreign_key_checks = 0",
    "sqlite": "PRAGMA foreign_keys = OFF",
}
"""What lets rows be written in any order, past triggers where that can be."""
_PATIENCE: Final = {
    "postgresql": "SET lock_timeout = '5s'",
    "mysql": "SET lock_wait_timeout = 5, innodb_lock_wait_timeout = 5",
    "mariadb": "SET lock_wait_timeout = 5, innodb_lock_wait_timeout = 5",
    "sqlite": "PRAGMA busy_timeout = 5000",
}
_NUMBERS: Final = {
    "postgresql": (
        "SELECT quote_ident(schemaname) || '.' || quote_ident(sequencename),"
        " coalesce(last_value, start_value), last_value IS NOT NULL FROM pg_sequences"
    ),
    "mysql": (
        "SELECT table_name, auto_increment FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND auto_increment IS NOT NULL"
    ),
}
_NUMBERS_MARIADB: Final = _NUMBERS["mysql"]


class Start:
    """All rows of a database, and the next numbers of its sequences.

    On a connection of its own, in AUTOCOMMIT.
    """

    def __init__(self, connection: AsyncConnection, catalog: Catalog) -> None:
        self.rows: dict[str, Rows] = {}
        self.catalog = catalog
        self.is_journal = False
        self._connection = connection
        self._numbers: list[tuple[Any, ...]] = []
        self._has_counters = False

    async def read(self) -> None:
        """Remember how everything is now."""
        product = self.catalog.product
        await self._say(_PATIENCE[product])
        with contextlib.suppress(DBAPIError):  # a role that may not: in their order
            await self._say(_FREE[product])
        if product == "sqlite":
            mode = (await self._say("PRAGMA journal_mode")).scalar_one()
            self.is_journal = mode != "wal"
        self._numbers = await self._read_numbers()
        self.rows = await self.look(self.catalog.tables.values())

    async def look(self, tables: Iterable[Table]) -> dict[str, Rows]:
        """The rows of these tables as they are now."""
        found: dict[str, Rows] = {}
        for table in tables:
            columns = ", ".join(map(self._quote, table.columns)) or "*"
            result = await self._say(f"SELECT {columns} FROM {table.name}")  # noqa: S608
            found[table.plain] = [tuple(row) for row in result.all()]
        await self._end()
        return found

    async def _end(self) -> None:
        """End what a `begin` listener of the application has begun all the same."""
        if self.catalog.product == "sqlite":
            await self._connection.commit()

    async def _read_numbers(self) -> list[tuple[Any, ...]]:
        product = self.catalog.product
        if product == "sqlite":
            query = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"
            self._has_counters = bool((await self._say(query)).all())
            query = "SELECT name, seq FROM sqlite_sequence"
            if not self._has_counters:
                return []
        else:
            query = _NUMBERS.get(product, _NUMBERS_MARIADB)
        return [tuple(row) for row in (await self._say(query)).all()]

    # ------------------------------------------------------------------ putting back
    async def restore(
        self, now: Mapping[str, Rows], *, inserted: Iterable[str] = ()
    ) -> None:
        """Undo what made the rows `now` of the rows at the start.

        Raises `StartLost` where that cannot be done.
        """
        changed: list[Table] = []
        for _ in range(_TRIES):
            changed = [
                table
                for table in self.catalog.touched(now)
                if _is_other(now[table.plain], self.rows[table.plain])
            ]
            if changed:
                await self._put_back(changed, now)
            if not changed or not self.catalog.has_triggers:
                break
            now = await self.look(self.catalog.touched(now))
        else:
            raise StartLost.triggers([table.plain for table in changed])
        names = set(inserted)
        if names:
            await self._restore_numbers(names)
        await self._end()

    async def _put_back(self, tables: list[Table], now: Mapping[str, Rows]) -> None:
        try:
            await self._change(tables, now)
        except IntegrityError:
            await self._refill(tables)

    async def _change(self, tables: list[Table], now: Mapping[str, Rows]) -> None:
        """Delete what is more, change back what is other, insert what is missing."""
        differences = [
            (table, *_difference(table, self.rows[table.plain], now[table.plain]))
            for table in tables
        ]
        for table, added, _, _ in reversed(differences):
            await self._delete(table, added)
        for table, _, changed, _ in differences:
            await self._update(table, changed)
        for table, _, _, removed in differences:
            await self._insert(table, removed)

    async def _refill(self, tables: list[Table]) -> None:
        """Values that must be unique went around in a circle: all anew."""
        for table in reversed(tables):
            await self._say(f"DELETE FROM {table.name}")  # noqa: S608 - quoted
        for table in tables:
            await self._insert(table, self.rows[table.plain])

    async def _delete(self, table: Table, rows: Rows) -> None:
        if not rows:
            return
        if not table.key:
            await self._say(f"DELETE FROM {table.name}")  # noqa: S608 - quoted
            return
        where = self._where(table, 1)
        keys = [_key(table, row) for row in rows]
        await self._say(f"DELETE FROM {table.name} WHERE {where}", keys)  # noqa: S608

    async def _update(self, table: Table, rows: Rows) -> None:
        others = [each for each in table.columns if each not in table.key]
        if not rows or not others:
            return
        values = ", ".join(
            f"{self._quote(each)} = {self._mark(number)}"
            for number, each in enumerate(others, 1)
        )
        where = self._where(table, len(others) + 1)
        sql = f"UPDATE {table.name} SET {values} WHERE {where}"  # noqa: S608 - quoted
        at = [table.columns.index(each) for each in (*others, *table.key)]
        await self._say(sql, [tuple(row[index] for index in at) for row in rows])

    async def _insert(self, table: Table, rows: Rows) -> None:
        if not rows:
            return
        columns = ", ".join(map(self._quote, table.columns))
        marks = ", ".join(map(self._mark, range(1, len(table.columns) + 1)))
        how = " OVERRIDING SYSTEM VALUE" if self.catalog.product == "postgresql" else ""
        await self._say(
            f"INSERT INTO {table.name} ({columns}){how} VALUES ({marks})",  # noqa: S608
            list(rows),
        )

    async def _restore_numbers(self, inserted: set[str]) -> None:
        """Let sequences give the same numbers again."""
        product = self.catalog.product
        if product == "postgresql":
            calls = [
                f"setval('{name}', {value}, {str(called).lower()})"
                for name, value, called in self._numbers
            ]
            if calls:
                await self._say(f"SELECT {', '.join(calls)}")
        elif product == "sqlite":
            if self._has_counters:
                await self._say("DELETE FROM sqlite_sequence")
                if self._numbers:
                    sql = "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)"
                    await self._say(sql, list(self._numbers))
        else:
            for name, value in self._numbers:
                if name in inserted:
                    quoted = self._quote(name)
                    await self._say(f"ALTER TABLE {quoted} AUTO_INCREMENT = {value}")

    # ------------------------------------------------------------------------- SQL
    async def _say(
        self, sql: str, rows: Sequence[tuple[Any, ...]] | None = None
    ) -> Any:
        return await self._connection.exec_driver_sql(sql, rows)

    def _quote(self, name: str) -> str:
        quoted = self._connection.dialect.identifier_preparer.quote_identifier(name)
        return quoted.replace("%", "%%") if self._mark(1) == "%s" else quoted

    def _mark(self, number: int) -> str:
        match self._connection.dialect.paramstyle:
            case "numeric_dollar":
                return f"${number}"
            case "qmark":
                return "?"
            case _:
                return "%s"

    def _where(self, table: Table, first: int) -> str:
        return " AND ".join(
            f"{self._quote(each)} = {self._mark(first + number)}"
            for number, each in enumerate(table.key)
        )


def _is_other(now: Rows, then: Rows) -> bool:
    """Whether rows differ; their order says nothing."""
    if list(now) == list(then):
        return False
    return len(now) != len(then) or _counted(now) != _counted(then)


def _counted(rows: Rows) -> list[str]:
    return sorted(map(repr, rows))


def _key(table: Table, row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(row[table.columns.index(each)] for each in table.key)


def _difference(table: Table, then: Rows, now: Rows) -> tuple[Rows, Rows, Rows]:
    """Rows to delete, to change back (as they were), and to insert."""
    if not table.key:
        return now, (), then
    old = {_key(table, row): row for row in then}
    new = {_key(table, row): row for row in now}
    return (
        [row for key, row in new.items() if key not in old],
        [old[key] for key, row in new.items() if key in old and old[key] != row],
        [row for key, row in old.items() if key not in new],
    )
