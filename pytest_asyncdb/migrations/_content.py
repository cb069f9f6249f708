"""The rows of a database, and what has become of them.

A column is followed by the number that PostgreSQL gives it, which a rename keeps and
dropping and adding does not; on the other products by its name. Rows are told apart by
their primary key.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Hashable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import select, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection, MetaData, Table

__all__ = ["Change", "Content", "lost_on_the_way", "read_content"]

Number: TypeAlias = Hashable
_NUMBERS: Final = """SELECT n.nspname, c.relname, a.attname, c.oid, a.attnum
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
    AND c.oid >= 16384"""
_READS: Final = itertools.count()
"""Lets no driver send a statement that it has prepared when types were others."""
_FAMILIES: Final = ((str,), (int, float, Decimal), (dt.date, dt.time, dt.timedelta))


@dataclass(frozen=True, slots=True)
class Change:
    """Something that has become of rows; with `fails` it must not be."""

    text: str
    fails: bool


@dataclass(slots=True)
class _Rows:
    """The rows of a table."""

    name: str
    columns: dict[Number, str] = field(default_factory=dict)
    types: dict[Number, str] = field(default_factory=dict)
    key: tuple[Number, ...] = ()
    rows: list[dict[Number, Any]] = field(default_factory=list)

    def by_key(self, key: tuple[Number, ...]) -> dict[Any, dict[Number, Any]]:
        """The rows by the values of these columns; empty where they have no key."""
        if not key or not set(key) <= set(self.columns):
            return {}
        return {tuple(repr(row[each]) for each in key): row for row in self.rows}


Content: TypeAlias = "Mapping[Number, _Rows]"
"""Of all tables."""


def read_content(connection: Connection, metadata: MetaData) -> Content:
    """All rows of the tables that `metadata` knows."""
    numbers = _numbers(connection)
    found: dict[Number, _Rows] = {}
    for table in metadata.tables.values():
        columns = {each.name: numbers(table, each.name) for each in table.columns}
        rows = _Rows(
            table.fullname,
            {number: name for name, (_, number) in columns.items()},
            {columns[each.name][1]: repr(each.type) for each in table.columns},
            tuple(columns[each.name][1] for each in table.primary_key.columns),
        )
        query = select(table).prefix_with(f"/* {next(_READS)} */")
        for row in connection.execute(query).mappings():
            values = {columns[each.name][1]: row[each] for each in table.columns}
            rows.rows.append(values)
        identity = next((place for place, _ in columns.values()), table.fullname)
        found[identity] = rows
    return found


def _numbers(connection: Connection) -> Any:  # noqa: ANN401  (a function of two)
    if connection.dialect.name != "postgresql":
        return lambda table, column: (table.fullname, column)
    default = connection.dialect.default_schema_name
    found = {
        (schema, table, column): (place, number)
        for schema, table, column, place, number in connection.execute(text(_NUMBERS))
    }

    def numbers(table: Table, column: str) -> tuple[Number, Number]:
        return found[table.schema or default, table.name, column]

    return numbers


# ------------------------------------------------------------------------ upgrades
def lost_on_the_way(before: Content, after: Content) -> Iterator[Change]:
    """What an upgrade has done to the rows that were there."""
    for identity, old in before.items():
        if not old.rows:
            continue
        new = after.get(identity)
        if new is None:
            text = f"table {old.name} is dropped, with its {len(old.rows)} rows"
            yield Change(text, fails=False)
        else:
            yield from _table(old, new)


def _table(old: _Rows, new: _Rows) -> Iterator[Change]:
    now = new.by_key(old.key)
    then = old.by_key(old.key)
    missing = [key for key in then if key not in now] if now or not new.rows else []
    if not old.key:
        missing = [()] * max(len(old.rows) - len(new.rows), 0)
    if missing:
        what = f"{len(missing)} of {len(old.rows)} rows of {old.name} are gone"
        yield Change(what, fails=True)
    for number, name in old.columns.items():
        pairs = [(then[key][number], now[key]) for key in then if key in now]
        if number in new.columns:
            yield from _column(old, new, number, [(a, b[number]) for a, b in pairs])
        else:
            yield from _dropped(old, new, name, old.types[number], pairs)


def _column(
    old: _Rows, new: _Rows, number: Number, pairs: list[tuple[Any, Any]]
) -> Iterator[Change]:
    changed = [(a, b) for a, b in pairs if not _same(a, b)]
    if not changed:
        return
    where = f"{new.name}.{new.columns[number]}"
    was, is_ = changed[0]
    converted = old.types[number] != new.types[number]
    how = "its new type loses" if converted else "its values change, as from"
    text = f"{where}: {how} {_shown(was)}, which becomes {_shown(is_)}"
    fails = converted and _family(was) == _family(is_) is not None
    yield Change(text, fails=fails or (converted and is_ is None))


def _dropped(
    old: _Rows,
    new: _Rows,
    name: str,
    kind: str,
    pairs: list[tuple[Any, dict[Number, Any]]],
) -> Iterator[Change]:
    """A column that is gone: renamed by dropping and adding, if there is a twin."""
    values = [was for was, _ in pairs if was is not None]
    if not values:
        return
    added = new.columns.keys() - old.columns.keys()
    twins = [each for each in added if new.types[each] == kind]
    kept = any(
        all(_same(was, row[each]) for was, row in pairs if was is not None)
        for each in added
    )
    if kept:
        return
    where = f"{old.name}.{name}"
    if len(twins) == 1 and all(row[twins[0]] is None for _, row in pairs):
        other = new.columns[twins[0]]
        text = f"{where} is dropped and {other} added, without the values: rename it"
        yield Change(text, fails=True)
    else:
        yield Change(f"{where} is dropped, with its values", fails=False)


# ---------------------------------------------------------------------- downgrades
def _by_name(content: Content) -> dict[str, _Rows]:
    return {each.name: each for each in content.values()}


def lost_on_the_way_back(
    before: Content, up: Content, down: Content
) -> Iterator[Change]:
    """What is not as it was before the upgrade and the downgrade.

    What the upgrade itself has dropped or changed cannot come back: a note.
    """
    back = _by_name(down)
    for identity, old in before.items():
        new = back.get(old.name)
        if new is None or not old.rows:
            continue
        yield from _rows_back(identity, old, new, up)


def _rows_back(
    identity: Number, old: _Rows, new: _Rows, up: Content
) -> Iterator[Change]:
    names = {name: number for number, name in new.columns.items()}
    key = tuple(names.get(old.columns[each]) for each in old.key)
    then, now = old.by_key(old.key), new.by_key(key)
    there = up.get(identity)
    lost = len([each for each in then if each not in now]) if old.key else 0
    if lost:
        text = f"{lost} of {len(old.rows)} rows of {old.name} do not come back"
        yield Change(text, fails=there is not None and len(there.rows) > len(now))
    for number, name in old.columns.items():
        if name not in names:
            continue
        changed = [
            (row[number], now[each][names[name]])
            for each, row in then.items()
            if each in now and not _same(row[number], now[each][names[name]])
        ]
        if changed:
            was, is_ = changed[0]
            text = f"{old.name}.{name}: {_shown(was)} comes back as {_shown(is_)}"
            kept = there is not None and _kept(old, there, number)
            yield Change(text, fails=kept)


def _kept(old: _Rows, up: _Rows, number: Number) -> bool:
    """Whether the upgrade left the column's values as they were."""
    if number not in up.columns:
        return False
    now = up.by_key(old.key)
    return all(
        key in now and _same(row[number], now[key][number])
        for key, row in old.by_key(old.key).items()
    )


# --------------------------------------------------------------------------- values
def _same(was: Any, is_: Any) -> bool:  # noqa: ANN401
    """Whether two values say the same, in whichever type."""
    if was == is_:
        return True
    if was is None or is_ is None:
        return False
    return bool(_plain(was) == _plain(is_)) or str(was) == str(is_)


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time())
    if isinstance(value, int | float | Decimal):
        return float(value)
    if isinstance(value, str) and value[:1] in ("{", "[", '"'):
        return _document(value)
    return value


def _document(value: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(value)
    except ValueError:
        return value


def _family(value: Any) -> int | None:  # noqa: ANN401
    return next(
        (
            place
            for place, family in enumerate(_FAMILIES)
            if isinstance(value, family) and not isinstance(value, bool)
        ),
        None,
    )


def _shown(value: Any) -> str:  # noqa: ANN401
    said = repr(value)
    return said if len(said) <= 60 else f"{said[:60]}..."  # noqa: PLR2004
