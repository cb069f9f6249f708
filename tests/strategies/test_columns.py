"""Strategies of columns: what they give, where they begin, what they refuse."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st
from sqlalchemy import (
    ARRAY,
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    Time,
    Uuid,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import UserDefinedType

from pytest_asyncdb.errors import StrategyRefused
from pytest_asyncdb.strategies import from_column, register_type
from tests.strategies.conftest import drawn, minimal
from tests.strategies.shop import Customer


class Point(UserDefinedType[Any]):
    """A type that nobody knows."""

    cache_ok = True


class Place(Point):
    """One that the project has said."""

    cache_ok = True


def _column(kind: Any, *checks: str, nullable: bool = False) -> Column[Any]:
    constraints = map(CheckConstraint, checks)
    column = Column("c", kind, nullable=nullable)
    Table("t", MetaData(), column, *constraints)
    return column


@pytest.mark.parametrize(
    ("kind", "simplest"),
    [
        (Boolean(), False),
        (Integer(), 0),
        (Numeric(8, 2), Decimal("0.00")),
        (Numeric(8, 2, asdecimal=False), 0.0),
        (Float(), 0.0),
        (String(3), ""),
        (Text(), ""),
        (LargeBinary(2), b""),
        (JSON(), {}),
        (ARRAY(Integer()), []),
        (Uuid(), uuid.UUID(int=0)),
        (Uuid(as_uuid=False), str(uuid.UUID(int=0))),
        (DateTime(), dt.datetime(2000, 1, 1)),  # noqa: DTZ001
        (DateTime(timezone=True), dt.datetime(2000, 1, 1, tzinfo=dt.UTC)),
        (Date(), dt.date(2000, 1, 1)),
        (Time(), dt.time(0)),
        (Interval(), dt.timedelta(0)),
        (postgresql.INET(), "0.0.0.0"),  # noqa: S104 - an address among others
        (postgresql.CITEXT(), ""),
        (postgresql.INT4RANGE(), postgresql.Range(None, None)),
    ],
    ids=str,
)
def test_each_type_shrinks_to_its_simplest_value(kind: Any, simplest: Any) -> None:
    """Zero, nothing, the first of January 2000."""
    found = minimal(from_column(_column(kind)))

    assert simplest == found
    assert type(simplest) is type(found)


def test_null_comes_first_where_a_column_accepts_it() -> None:
    """A failing example has no more values than it needs."""
    column = _column(Integer(), nullable=True)

    assert minimal(from_column(column)) is None
    assert 0 == minimal(from_column(column), lambda value: value is not None)


def test_a_mapped_attribute_stands_for_its_column() -> None:
    """`User.email` is shorter than `User.__table__.c.email`."""
    longest = max(map(len, drawn(from_column(Customer.email), 200)))

    assert longest <= 40


@pytest.mark.parametrize(
    ("kind", "lowest", "highest"),
    [
        (SmallInteger(), -(2**15), 2**15 - 1),
        (mysql.TINYINT(), -128, 127),
        (mysql.TINYINT(unsigned=True), 0, 255),
        (mysql.MEDIUMINT(), -(2**23), 2**23 - 1),
        (Numeric(3, 1), Decimal("-99.9"), Decimal("99.9")),
    ],
    ids=str,
)
def test_numbers_reach_from_the_lowest_to_the_highest(
    kind: Any, lowest: Any, highest: Any
) -> None:
    """The type's own bounds are values, and nothing beyond them is."""
    strategy = from_column(_column(kind))

    assert lowest == minimal(strategy, lambda value: value <= lowest)
    assert highest == minimal(strategy, lambda value: value >= highest)
    assert all(lowest <= value <= highest for value in drawn(strategy, 200))


@pytest.mark.parametrize(
    ("kind", "check", "simplest"),
    [
        (Integer(), "c > 5", 6),
        (Integer(), "c <> 0", 1),
        (Integer(), "c BETWEEN -9 AND -3", -3),
        (Numeric(8, 2), "c > 0", Decimal("0.01")),
        (Float(), "c >= 0.5", 1.0),
        (Float(), "c > 0 AND c < 1", 0.5),
        (String(9), "length(c) >= 3", "000"),
    ],
)
def test_simple_checks_are_met(kind: Any, check: str, simplest: Any) -> None:
    """Bounds, lengths and lists are read from the table."""
    strategy = from_column(_column(kind, check))

    assert simplest == minimal(strategy)


def test_a_list_in_a_check_is_all_that_there_is() -> None:
    """Of texts and of numbers."""
    assert {"x", "y"} == {*drawn(from_column(_column(String(9), "c IN ('x', 'y')")))}
    assert {1, 3} == {*drawn(from_column(_column(Integer(), "c IN (1, 3)")))}


@pytest.mark.parametrize("longest", [5, 6, 80, 2000])
def test_texts_are_often_as_long_as_they_may_be(longest: int) -> None:
    """Which is where databases cut them; the simplest is empty all the same."""
    texts = drawn(from_column(_column(String(longest))), 200)

    assert longest == max(map(len, texts))
    assert longest == 5 or 20 < sum(len(text) == longest for text in texts)
    assert "" == minimal(from_column(_column(String(longest))))


def test_texts_hold_neither_nul_nor_surrogates() -> None:
    """PostgreSQL refuses the one, and no driver encodes the other."""
    for text in drawn(from_column(_column(Text())), 200):
        assert "\x00" not in text
        assert text == text.encode().decode()


def test_a_type_that_nobody_knows_is_named() -> None:
    """With the line that says what it accepts."""
    with pytest.raises(StrategyRefused) as caught:
        from_column(_column(Point()))

    assert "the column t.c is of type Point()" in str(caught.value)
    assert "register_type(Point, strategy)" in str(caught.value)


def test_a_registered_type_is_drawn_as_was_said() -> None:
    """Also for columns of types that derive from it."""
    register_type(Place, st.just((1, 2)))

    assert (1, 2) == minimal(from_column(_column(Place())))


def test_checks_that_contradict_each_other_are_named() -> None:
    """At the call, not by a thousand rejected examples."""
    with pytest.raises(
        StrategyRefused, match=r"no value of c .*: value < 3, value > 5"
    ):
        from_column(_column(Integer(), "c > 5", "c < 3"))


def test_what_is_no_column_is_refused() -> None:
    """A class, or a name."""
    with pytest.raises(StrategyRefused, match="is no column"):
        from_column("email")
