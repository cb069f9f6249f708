"""Rows that a schema accepts, made from its catalog and from nothing else.

Three for each table: one with all values, one that is NULL wherever it may be, and one
that repeats the first wherever it may. What the server refuses is left out.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import warnings
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import MetaData, UniqueConstraint, inspect, text
from sqlalchemy.exc import SAWarning, SQLAlchemyError

from pytest_asyncdb.errors import AsyncDBError
from pytest_asyncdb.values import Choices, Flags, Text, domain_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from sqlalchemy import Column, Connection, ForeignKeyConstraint, Table

__all__ = ["Filler", "reflected"]

_FIRST: Final = 1_000_003
"""Far from the keys that migrations give to their own rows."""
_LONGEST: Final = 200
_MICROSECONDS: Final = 123_456
_SYSTEM: Final = re.compile(r"pg_.*|information_schema|mysql|performance_schema|sys")
_CAST: Final = re.compile(r"::[a-z_]+(?: varying)?(?:\(\d+(?:,\d+)?\))?(?:\[\])?")
_ANY: Final = re.compile(r"= ANY \(+ARRAY\[([^\]]*)\]\)*", re.IGNORECASE)
_BARE: Final = re.compile(r"\((\w+)\)")
_LEFT_OUT: Final = object()


def reflected(connection: Connection, ignore: Collection[str]) -> MetaData:
    """The tables of all schemas that are the project's."""
    metadata = MetaData()
    inspector = inspect(connection)
    default = inspector.default_schema_name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # types and expressions it ignores
        for schema in _schemas(connection, inspector.get_schema_names(), default):
            names = set(inspector.get_table_names(schema)) - set(ignore)
            metadata.reflect(
                connection,
                schema=schema,
                only=sorted(names),
                resolve_fks=False,
                extend_existing=True,
            )
    return metadata


def _schemas(
    connection: Connection, names: Collection[str], default: str | None
) -> list[str | None]:
    """Of MySQL and SQLite one: others are databases of their own."""
    if connection.dialect.name != "postgresql":
        return [None]
    own = [each for each in names if not _SYSTEM.fullmatch(each) and each != default]
    return [None, *sorted(own)]


class Filler:
    """Fills tables, those again whose shape has changed since."""

    def __init__(self) -> None:
        self._shapes: dict[str, object] = {}
        self._number = _FIRST
        self._rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)

    def fill(self, connection: Connection, metadata: MetaData) -> None:
        """Add rows, each in a savepoint of its own: what is refused is left out."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)
            order = metadata.sorted_tables
        for table in order:
            shape = [(each.name, repr(each.type), each.nullable) for each in table.c]
            if self._shapes.get(table.fullname) == shape:
                continue
            self._shapes[table.fullname] = shape
            self._rows[table.fullname] = []
            self._fill_table(connection, table)

    def _fill_table(self, connection: Connection, table: Table) -> None:
        first, self._number = self._number, self._number + 3
        makers: Sequence[Callable[[], dict[str, Any]]] = (
            lambda: self._row(table, first, first, nulls=False, parent=0),
            lambda: self._row(table, first + 1, first + 1, nulls=True, parent=1),
            lambda: self._row(table, first, first + 2, nulls=False, parent=0),
        )
        done = self._rows[table.fullname]
        for make in makers:
            with contextlib.suppress(AsyncDBError, SQLAlchemyError, _Refused):
                row = make()
                with connection.begin_nested():
                    connection.execute(table.insert().values(row))
                done.append(row)

    def _row(
        self, table: Table, number: int, own: int, *, nulls: bool, parent: int
    ) -> dict[str, Any]:
        """`own` numbers what has to be unique, `number` all else."""
        unique = _unique(table)
        row: dict[str, Any] = {}
        for key in _foreign_keys(table):
            shared = unique.isdisjoint(key.column_keys)
            place = parent if shared else own - _FIRST
            row |= self._referred(table, key, place, row, nulls=nulls)
        for column in table.columns:
            if column.name not in row:
                chosen = own if column.name in unique else number
                value = _value(column, chosen, nulls=nulls)
                if value is not _LEFT_OUT:
                    row[column.name] = value
        for key in _foreign_keys(table, to_itself=True):
            row |= _to_itself(table, key, row)
        return row

    def _referred(
        self,
        table: Table,
        key: ForeignKeyConstraint,
        place: int,
        row: Mapping[str, Any],
        *,
        nulls: bool,
    ) -> dict[str, Any]:
        names = [each for each in key.column_keys if each not in row]
        nullable = [each for each in names if table.columns[each].nullable]
        parents = self._rows[_target(key)]
        if nullable and (nulls or not parents):
            return dict.fromkeys(nullable)
        if not parents:
            raise _Refused
        chosen = parents[place % len(parents)]
        others = [each.target_fullname.rpartition(".")[2] for each in key.elements]
        pairs = dict(zip(key.column_keys, others, strict=True))
        return {name: chosen[pairs[name]] for name in names if pairs[name] in chosen}


class _Refused(Exception):
    """A row needs another one that there is not."""


def _foreign_keys(
    table: Table, *, to_itself: bool = False
) -> Iterator[ForeignKeyConstraint]:
    for each in sorted(table.foreign_key_constraints, key=lambda key: str(key.name)):
        if (_target(each) == table.fullname) is to_itself:
            yield each


def _target(key: ForeignKeyConstraint) -> str:
    """The name of the table; that is not asked of objects, which may not be there."""
    return key.elements[0].target_fullname.rpartition(".")[0]


def _to_itself(
    table: Table, key: ForeignKeyConstraint, row: Mapping[str, Any]
) -> dict[str, Any]:
    """NULL where that may be, or the row itself."""
    pairs = {
        each.parent.name: each.target_fullname.rpartition(".")[2]
        for each in key.elements
    }
    if any(table.columns[each].nullable for each in pairs):
        return {each: None for each in pairs if table.columns[each].nullable}
    return {name: row[other] for name, other in pairs.items() if other in row}


def _unique(table: Table) -> set[str]:
    """Columns that are part of something unique."""
    groups = [table.primary_key.columns]
    groups += [
        each.columns for each in table.constraints if isinstance(each, UniqueConstraint)
    ]
    found = {column.name for group in groups for column in group}
    for index in table.indexes:
        if index.unique:
            found |= {getattr(each, "name", "") for each in index.expressions}
    return found


# --------------------------------------------------------------------------- values
def _value(column: Column[Any], number: int, *, nulls: bool) -> Any:  # noqa: ANN401
    """A value that it takes; raises `ValueUnknown` where none is known."""
    if column.computed is not None or getattr(column.identity, "always", False):
        return _LEFT_OUT
    if nulls and column.nullable and not column.primary_key:
        return None
    try:
        return _domain_value(column, number)
    except AsyncDBError:
        if column.server_default is not None:
            return _LEFT_OUT
        if column.nullable:
            return None
        raise


def _domain_value(column: Column[Any], number: int) -> Any:  # noqa: ANN401
    domain = domain_of(column)
    if isinstance(domain, Choices | Flags):
        return domain.at(number % domain.size)
    if isinstance(domain, Text):
        return _text(domain, number)
    value = domain.at(number if domain.size is None else number % domain.size)
    if isinstance(value, dt.datetime):
        return value.replace(microsecond=_MICROSECONDS)
    return value


def _text(domain: Text, number: int) -> str:
    """Of full length, with capitals and a letter that is not of ASCII."""
    plain: str = domain.at(number if domain.size is None else number % domain.size)
    if domain.suffix:
        return plain
    room = min(domain.longest or len(plain) + 3, _LONGEST) - len(plain)
    return ("Ä" * (room > 0)) + ("Qx" * room)[: max(room - 1, 0)] + plain


def plain_checks(metadata: MetaData) -> None:
    """Let the CHECKs that a server has rendered be read as they were written."""
    for table in metadata.tables.values():
        for each in table.constraints:
            sql = getattr(each, "sqltext", None)
            if sql is not None:
                each.sqltext = text(_plain(str(sql)))  # type: ignore[attr-defined]


def _plain(sql: str) -> str:
    """Without casts, and with IN for what PostgreSQL makes of it."""
    bare = _CAST.sub("", sql)
    listed = _ANY.sub(r"IN (\1)", bare)
    return _BARE.sub(r"\1", listed) if "(" in listed and " IN " in listed else listed
