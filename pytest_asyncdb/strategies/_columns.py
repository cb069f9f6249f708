"""Strategies of the values that one column accepts."""

from __future__ import annotations

import datetime as dt
import operator
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st
from sqlalchemy import inspect, types
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import Column

from pytest_asyncdb.errors import StrategyRefused, ValueUnknown
from pytest_asyncdb.values import (
    Choices,
    Grid,
    Json,
    Octets,
    Text,
    checks_on,
    domain_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy
    from sqlalchemy.types import TypeEngine

    from pytest_asyncdb.values import Check, Domain

__all__ = ["from_column", "register_type", "values_of"]

# What every product stores: MySQL's years begin at 1000, and of the last day a
# fraction of a second may be rounded up.
_FIRST: Final = dt.datetime(1000, 1, 1)  # noqa: DTZ001 - made aware where a type is
_LAST: Final = dt.datetime(9999, 12, 30)  # noqa: DTZ001
# MySQL's TIMESTAMP is a number of 31 bits.
_FIRST_STAMP: Final = dt.datetime(1970, 1, 2)  # noqa: DTZ001
_LAST_STAMP: Final = dt.datetime(2038, 1, 18)  # noqa: DTZ001
_LONGEST: Final = dt.timedelta(days=30)
_ZONES: Final = st.sampled_from(
    [dt.UTC, dt.timezone(dt.timedelta(hours=5, minutes=30))]
)
_ITEMS: Final = 3
_PATTERN: Final = 5
_FULL: Final = 2_000
"""So long a text is drawn to its full length, of a few letters over and over."""
_LETTERS: Final = st.characters(codec="utf-8", exclude_characters="\x00")
_SIGNS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "<>": operator.ne,
}
_registered: Final[dict[type[Any], SearchStrategy[Any]]] = {}


def from_column(column: Any) -> SearchStrategy[Any]:
    """The values that `column` accepts: a `Column`, or a mapped attribute of one.

    NULL, first of all, where it accepts that. Texts hold neither NUL nor surrogates.
    Raises `StrategyRefused` for a type of which nothing is known, and for checks that
    no value meets.
    """
    plain = _column(column)
    values = values_of(plain)
    return st.none() | values if plain.nullable else values


def register_type(
    kind: type[TypeEngine[Any]], strategy: SearchStrategy[Any], /
) -> None:
    """Let columns of the type `kind`, and of those derived from it, be drawn so."""
    _registered[kind] = strategy


def values_of(column: Column[Any]) -> SearchStrategy[Any]:
    """The values that a column accepts, apart from NULL."""
    strategy = _registration(column.type)
    if strategy is None:
        strategy = _known(column)
    if strategy.is_empty:
        raise _contradiction(column)
    checks = [each for each in checks_on(column) if each.sign in _SIGNS]
    if not checks:
        return strategy
    return strategy.filter(lambda value: all(_meets(value, each) for each in checks))


def _column(column: Any) -> Column[Any]:
    if isinstance(column, Column):
        return column
    found = inspect(column, raiseerr=False)
    plain = getattr(getattr(found, "property", None), "columns", [None])[0]
    if not isinstance(plain, Column):
        raise StrategyRefused.not_a_column(column)
    return plain


def _registration(kind: TypeEngine[Any]) -> SearchStrategy[Any] | None:
    for each in type(kind).__mro__:
        if each in _registered:
            return _registered[each]
    return None


def _contradiction(column: Column[Any]) -> StrategyRefused:
    of_length = "length of the text"
    said = [
        f"{of_length if each.of_length else 'value'} {each.sign} {each.number}"
        for each in checks_on(column)
    ]
    return StrategyRefused.nothing(column.name, ", ".join(said) or repr(column.type))


def _meets(value: Any, check: Check) -> bool:
    if check.of_length:
        return not isinstance(value, str) or _compare(len(value), check)
    return not isinstance(value, int | float | Decimal) or _compare(value, check)


def _compare(value: float | Decimal, check: Check) -> bool:
    number = float(check.number) if isinstance(value, float) else check.number
    return _SIGNS[check.sign](value, number)


# ---------------------------------------------------------------------------- types
def _known(column: Column[Any]) -> SearchStrategy[Any]:
    kind = column.type
    while (strategy := _of_type(kind)) is None:
        if not isinstance(kind, types.TypeDecorator):
            break
        kind = kind.impl_instance
    if strategy is not None:
        return strategy
    try:
        domain = domain_of(column)
    except ValueUnknown:
        name = str(column)
        written = repr(column.type), type(column.type).__name__
        raise StrategyRefused.of_type(name, *written) from None
    return _of_domain(domain, kind)


def _of_type(kind: TypeEngine[Any]) -> SearchStrategy[Any] | None:
    for known, make in _TYPES:
        if isinstance(kind, known):
            return make(kind)
    return None


def _of_domain(domain: Domain, kind: TypeEngine[Any]) -> SearchStrategy[Any]:
    if isinstance(domain, Choices):  # of booleans too
        return st.sampled_from(domain.values) if domain.values else st.nothing()
    if isinstance(domain, Grid):
        return _of_grid(domain, kind)
    if isinstance(domain, Text):
        return _texts(domain)
    if isinstance(domain, Octets):
        return st.binary(max_size=domain.longest)
    if isinstance(domain, Json):
        return _documents()
    item: Any = kind
    items = values_of(Column(domain.name, item.item_type))
    return st.lists(items, max_size=_ITEMS)


def _of_grid(domain: Grid, kind: TypeEngine[Any]) -> SearchStrategy[Any]:
    if domain.low > domain.high:
        return st.nothing()
    if isinstance(kind, types.Float):
        low, high = float(domain.make(domain.low)), float(domain.make(domain.high))
        floats = st.floats(low, high, allow_nan=False, allow_infinity=False)
        return floats.map(_as_decimal) if kind.asdecimal else floats
    return st.integers(domain.low, domain.high).map(domain.make)


def _as_decimal(value: float) -> Decimal:
    return Decimal(str(value))


def _texts(domain: Text) -> SearchStrategy[str]:
    if domain.longest is not None and domain.shortest > domain.longest:
        return st.nothing()
    some = st.text(_LETTERS, min_size=domain.shortest, max_size=domain.longest)
    longest = domain.longest
    if longest is None or not _PATTERN < longest <= _FULL:
        return some
    # Of long texts Hypothesis draws few that are full, which is what databases cut.
    pattern = st.text(_LETTERS, min_size=1, max_size=_PATTERN)
    return some | pattern.map(lambda text: (text * longest)[:longest])


def _documents() -> SearchStrategy[Any]:
    """JSON that is an object; numbers as far as every product keeps them exactly."""
    integers = st.integers(-(2**53) + 1, 2**53 - 1)
    texts = st.text(_LETTERS, max_size=10)
    leaves = st.none() | st.booleans() | integers | texts
    return st.dictionaries(
        texts,
        st.recursive(
            leaves,
            lambda inner: (
                st.lists(inner, max_size=_ITEMS)
                | st.dictionaries(texts, inner, max_size=_ITEMS)
            ),
            max_leaves=5,
        ),
        max_size=_ITEMS,
    )


def _moments(kind: Any) -> SearchStrategy[dt.datetime]:
    stamp = isinstance(kind, types.TIMESTAMP) and not kind.timezone
    first, last = (_FIRST_STAMP, _LAST_STAMP) if stamp else (_FIRST, _LAST)
    zones = _ZONES if kind.timezone else st.none()
    return st.datetimes(first, last, timezones=zones)


def _clock(kind: Any) -> SearchStrategy[dt.time]:
    return st.times(timezones=_ZONES if kind.timezone else st.none())


def _uuids(kind: Any) -> SearchStrategy[uuid.UUID | str]:
    values = st.integers(0, 2**128 - 1).map(lambda number: uuid.UUID(int=number))
    return values if kind.as_uuid else values.map(str)


def _ranges(item: TypeEngine[Any]) -> Callable[[Any], SearchStrategy[Any]]:
    def make(_: Any) -> SearchStrategy[Any]:
        ends = st.none() | values_of(Column("bound", item))
        return st.tuples(ends, ends).map(_ordered)

    return make


def _ordered(ends: tuple[Any, Any]) -> postgresql.Range[Any]:
    lower, upper = ends
    if None not in ends and lower > upper:
        lower, upper = upper, lower
    return postgresql.Range(lower, upper, empty=lower is not None and lower == upper)


_TYPES: Final[tuple[tuple[Any, Callable[[Any], SearchStrategy[Any]]], ...]] = (
    (types.DateTime, _moments),
    (types.Date, lambda _: st.dates(_FIRST.date(), _LAST.date())),
    (types.Time, _clock),
    (types.Interval, lambda _: st.timedeltas(-_LONGEST, _LONGEST)),
    (postgresql.INTERVAL, lambda _: st.timedeltas(-_LONGEST, _LONGEST)),
    (types.Uuid, _uuids),
    (postgresql.INET, lambda _: st.ip_addresses().map(str)),
    (postgresql.INT4RANGE, _ranges(types.Integer())),
    (postgresql.INT8RANGE, _ranges(types.BigInteger())),
    (postgresql.NUMRANGE, _ranges(types.Numeric(8, 2))),
    (postgresql.DATERANGE, _ranges(types.Date())),
    (postgresql.TSRANGE, _ranges(types.DateTime())),
    (postgresql.TSTZRANGE, _ranges(types.DateTime(timezone=True))),
)
