"""What one column accepts: by its type, and by the simple checks of its table."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import CheckConstraint, types
from sqlalchemy.dialects import mysql
from sqlalchemy.sql import sqltypes

from pytest_asyncdb.errors import ValueUnknown
from pytest_asyncdb.values._checks import read_check
from pytest_asyncdb.values._domains import (
    Array,
    Choices,
    Domain,
    Flags,
    Grid,
    Json,
    Octets,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Column, Table
    from sqlalchemy.types import TypeEngine

    from pytest_asyncdb.values._checks import Check

__all__ = ["checks_of", "checks_on", "domain_of", "text_of"]

_DAY: Final = 86_400
_YEARS: Final = 30 * 365
_BITS: Final = (
    (mysql.TINYINT, 7),
    (mysql.MEDIUMINT, 23),
    (types.SmallInteger, 15),
    (types.BigInteger, 63),
    (types.Integer, 31),
)
_EPOCH: Final = dt.datetime(2000, 1, 1)  # noqa: DTZ001 - made aware where a type is
_FLOATS: Final = 1_000_000


def domain_of(column: Column[Any]) -> Domain:
    """The values that `column` accepts, apart from NULL.

    Raises `ValueUnknown` for a type of which nothing is known.
    """
    checks = checks_on(column)
    members = [check.members for check in checks if check.sign == "in"]
    if members:
        return Choices(column.name, _chosen(column.type, members[0]))
    return _domain(column.name, column.type, checks)


def checks_on(column: Column[Any]) -> list[Check]:
    """The simple checks of the table that speak of the column."""
    table = getattr(column, "table", None)
    return [
        check
        for text in map(text_of, checks_of(table) if table is not None else ())
        for check in read_check(text) or ()
        if check.column == column.name
    ]


def checks_of(table: Table) -> list[CheckConstraint]:
    """The CHECK constraints of the table and its columns, those of types left out."""
    groups = (table.constraints, *(column.constraints for column in table.columns))
    found = [
        each
        for group in groups
        for each in group
        if isinstance(each, CheckConstraint) and not getattr(each, "_type_bound", False)
    ]
    return sorted(found, key=lambda each: (str(each.name), str(each.sqltext)))


def text_of(check: CheckConstraint) -> str:
    """The constraint as SQL."""
    compiled = check.sqltext.compile(compile_kwargs={"literal_binds": True})
    return str(compiled)


def _chosen(kind: TypeEngine[Any], members: Iterable[str | Decimal]) -> list[Any]:
    integers = isinstance(kind, types.Integer)
    return [
        int(each) if integers and isinstance(each, Decimal) else each
        for each in members
    ]


def _domain(name: str, kind: TypeEngine[Any], checks: list[Check]) -> Domain:
    for known, make in _KINDS:
        if isinstance(kind, known):
            return make(name, kind, checks)
    if isinstance(kind, types.TypeDecorator):
        return _domain(name, kind.impl_instance, checks)
    raise ValueUnknown.of_type(name, repr(kind))


# ---------------------------------------------------------------------------- kinds
def _flags(name: str, _: Any, __: list[Check]) -> Domain:
    return Flags(name, (False, True))


def _enum(name: str, kind: Any, _: list[Check]) -> Domain:
    return Choices(name, [*kind.enum_class] if kind.enum_class else [*kind.enums])


def _integers(name: str, kind: Any, checks: list[Check]) -> Domain:
    bits = next(bits for known, bits in _BITS if isinstance(kind, known))
    unsigned = getattr(kind, "unsigned", False)
    lowest = 0 if unsigned else -(2**bits)
    highest = 2 ** (bits + 1) - 1 if unsigned else 2**bits - 1
    low, high = _bounds(checks, lowest, highest, 1)
    return Grid(name, low, high, int)


def _numbers(name: str, kind: Any, checks: list[Check]) -> Domain:
    """Decimals with their digits after the point; floats with two."""
    is_float = isinstance(kind, types.Float)
    scale = 2 if is_float or kind.scale is None else kind.scale
    top = 10 ** (kind.precision or 10) if not is_float else _FLOATS
    low, high = _bounds(checks, 1 - top, top - 1, 10**scale)

    def make(number: int) -> Decimal | float:
        value = Decimal(number).scaleb(-scale)
        return value if kind.asdecimal else float(value)

    return Grid(name, low, high, make, first=10**scale)


def _bounds(checks: list[Check], low: int, high: int, unit: int) -> tuple[int, int]:
    """Lowest and highest number of units that the checks allow."""
    for check in checks:
        number = check.number * unit
        if check.sign in (">=", "="):
            low = max(low, math.ceil(number))
        if check.sign in ("<=", "="):
            high = min(high, math.floor(number))
        if check.sign == ">":
            low = max(low, math.floor(number) + 1)
        if check.sign == "<":
            high = min(high, math.ceil(number) - 1)
        if check.sign == "<>" and number == max(low, 1):
            low = int(number) + 1
    return low, high


def _text(name: str, kind: Any, checks: list[Check]) -> Domain:
    longest = kind.length if kind.length is not None else 10_000
    lengths = [check for check in checks if check.of_length]
    low, high = _bounds(lengths, 0, longest, 1)
    suffix = "@example.com" if name.endswith("email") else ""
    unlimited = kind.length is None and high == longest
    return Text(name, low, None if unlimited else high, suffix)


def _octets(name: str, kind: Any, _: list[Check]) -> Domain:
    return Octets(name, kind.length)


def _json(name: str, _: Any, __: list[Check]) -> Domain:
    return Json(name)


def _array(name: str, kind: Any, _: list[Check]) -> Domain:
    return Array(name, _domain(name, kind.item_type, []))


def _moments(name: str, kind: Any, _: list[Check]) -> Domain:
    zone = dt.UTC if kind.timezone else None
    start = _EPOCH.replace(tzinfo=zone)
    make = _times(start, dt.timedelta(seconds=1))
    return Grid(name, 0, _YEARS * _DAY, make, first=0)


def _days(name: str, _: Any, __: list[Check]) -> Domain:
    return Grid(name, 0, _YEARS, _times(_EPOCH.date(), dt.timedelta(days=1)), first=0)


def _times(start: Any, step: dt.timedelta) -> Callable[[int], Any]:
    return lambda number: start + number * step


def _clock(name: str, kind: Any, _: list[Check]) -> Domain:
    zone = dt.UTC if kind.timezone else None

    def make(second: int) -> dt.time:
        return (_EPOCH + dt.timedelta(seconds=second)).time().replace(tzinfo=zone)

    return Grid(name, 0, _DAY - 1, make, first=0)


def _intervals(name: str, _: Any, __: list[Check]) -> Domain:
    return Grid(name, 0, _YEARS * _DAY, lambda number: dt.timedelta(seconds=number))


def _uuids(name: str, kind: Any, _: list[Check]) -> Domain:
    def make(number: int) -> uuid.UUID | str:
        value = uuid.UUID(int=number, version=4)
        return value if kind.as_uuid else str(value)

    return Grid(name, 0, 2**48, make)


_KINDS: Final[tuple[tuple[Any, Callable[[str, Any, list[Check]], Domain]], ...]] = (
    (types.Boolean, _flags),
    (types.Enum, _enum),
    (types.Integer, _integers),
    (types.Numeric, _numbers),
    (types.Float, _numbers),
    (types.Interval, _intervals),
    (types.Uuid, _uuids),
    (types.DateTime, _moments),
    (types.Date, _days),
    (types.Time, _clock),
    (types.JSON, _json),
    (types.ARRAY, _array),
    (types.String, _text),
    (sqltypes._Binary, _octets),  # noqa: SLF001 - of LargeBinary, BINARY and BYTEA
)
