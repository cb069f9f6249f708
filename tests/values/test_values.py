"""What columns and models accept, as their definitions say."""

from __future__ import annotations

import datetime as dt
import enum
import random
import uuid
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Enum,
    Float,
    ForeignKey,
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
    TypeDecorator,
    Uuid,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import UserDefinedType

from pytest_asyncdb.errors import ValuesExhausted, ValueUnknown
from pytest_asyncdb.values import Check, domain_of, facts_of, read_check


class Color(enum.Enum):
    """Three of them."""

    RED = 1
    GREEN = 2
    BLUE = 3


class Shouted(TypeDecorator[str]):
    """A type of a project's own."""

    impl = String(3)
    cache_ok = True


class Point(UserDefinedType[Any]):
    """A type that nobody knows."""

    cache_ok = True


def _domain(kind: Any, check: str = "") -> Any:
    checks = [CheckConstraint(check)] if check else []
    return domain_of(Table("t", MetaData(), Column("c", kind), *checks).c.c)


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        (Boolean(), False, True),
        (Enum(Color), Color.RED, Color.GREEN),
        (Enum("x", "y", name="e"), "x", "y"),
        (Integer(), 1, 2),
        (mysql.TINYINT(unsigned=True), 1, 2),
        (Numeric(8, 2), Decimal("1.00"), Decimal("1.01")),
        (Numeric(3, 0), Decimal(1), Decimal(2)),
        (Numeric(1, 1), Decimal("0.9"), Decimal("0.8")),
        (Numeric(asdecimal=False), 1.0, 1.01),
        (Float(), 1.0, 1.01),
        (String(11), "c0", "c1"),
        (String(9), "c0000", "c0001"),
        (String(2), "00", "01"),
        (Text(), "c0", "c1"),
        (Shouted(), "000", "001"),
        (LargeBinary(4), b"\x00", b"\x01"),
        (Date(), dt.date(2000, 1, 1), dt.date(2000, 1, 2)),
        (Time(), dt.time(0, 0), dt.time(0, 0, 1)),
        (Interval(), dt.timedelta(seconds=1), dt.timedelta(seconds=2)),
        (JSON(), {"c": 0}, {"c": 1}),
        (postgresql.JSONB(), {"c": 0}, {"c": 1}),
        (ARRAY(Integer), [1], [2]),
        (postgresql.BYTEA(), b"\x00", b"\x01"),
    ],
    ids=repr,
)
def test_values_of_a_type(kind: Any, first: object, second: object) -> None:
    """The first two; one at random is among the first."""
    domain = _domain(kind)

    assert [first, second] == [domain.at(0), domain.at(1)]
    drawn = domain.draw(random.Random(1))  # noqa: S311 - a test of ours
    assert drawn in [
        domain.at(number) for number in range(min(domain.size or 1000, 1000))
    ]


def test_moments_have_the_zone_of_their_column() -> None:
    """And UUIDs are what the column gives."""
    aware, naive = _domain(DateTime(timezone=True)), _domain(DateTime())

    assert dt.UTC is aware.at(0).tzinfo
    assert naive.at(1) == dt.datetime(2000, 1, 1, 0, 0, 1)  # noqa: DTZ001
    assert isinstance(_domain(Uuid()).at(5), uuid.UUID)
    assert isinstance(_domain(Uuid(as_uuid=False)).at(5), str)


@pytest.mark.parametrize(
    "kind",
    [
        *(String(length) for length in (1, 2, 3, 6)),
        *(Numeric(digits, scale) for digits, scale in ((1, 0), (2, 1), (3, 3))),
        *(Enum(Color), Boolean(), SmallInteger(), BigInteger(), Uuid(), LargeBinary(1)),
    ],
    ids=repr,
)
def test_no_value_comes_twice(kind: Any) -> None:
    """As many as there are, or two thousand; then it is said that all are taken."""
    domain = _domain(kind)
    count = min(domain.size or 2000, 2000)
    values = [domain.at(number) for number in range(count)]

    assert count == len({*values})
    if type(kind) is String:
        assert max(map(len, values)) <= (kind.length or 0)
    if domain.size is not None:
        with pytest.raises(ValuesExhausted, match=f"c accepts {domain.size}"):
            domain.at(domain.size)


def test_a_type_of_which_nothing_is_known() -> None:
    """Has to be declared, and the error says which column it is."""
    with pytest.raises(ValueUnknown, match="the column c is of type"):
        _domain(Point())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price > 0", [Check("price", ">", Decimal(0))]),
        ('"t"."price" >= -1.5', [Check("price", ">=", Decimal("-1.5"))]),
        ("(0 < price) AND (price <= 9)", [Check("price", ">"), Check("price", "<=")]),
        ("price BETWEEN 1 AND 5", [Check("price", ">="), Check("price", "<=")]),
        ("length(name) >= 3", [Check("name", ">=", of_length=True)]),
        ("char_length(name) > 2", [Check("name", ">", of_length=True)]),
        ("kind IN ('a', 'it''s')", [Check("kind", "in", members=("a", "it's"))]),
        ("n in (1, 2)", [Check("n", "in", members=(Decimal(1), Decimal(2)))]),
        ("name <> ''", [Check("name", ">", of_length=True)]),
        ("name IS NOT NULL", [Check("name", "not null")]),
        ("start < stop", None),
        ("price > 0 OR free", None),
        ("lower(name) = name", None),
        ("price > 0 AND start < stop", None),
        ("kind IN (SELECT 1)", None),
    ],
)
def test_a_check_is_read_or_it_is_not(text: str, expected: list[Check] | None) -> None:
    """All of it, or nothing; names may be quoted and belong to a table."""
    found = read_check(text)

    assert (found is None) == (expected is None)
    assert [(each.column, each.sign, each.of_length) for each in expected or ()] == [
        (each.column, each.sign, each.of_length) for each in found or ()
    ]
    assert [each.members for each in expected or ()] == [
        each.members for each in found or ()
    ]


@pytest.mark.parametrize(
    ("kind", "check", "lowest", "highest"),
    [
        (Integer(), "c > 5 AND c < 8", 6, 7),
        (Integer(), "c >= 1.5 AND c <= 3.5", 2, 3),
        (Integer(), "c BETWEEN -3 AND -2", -3, -2),
        (Integer(), "c = 7", 7, 7),
        (Numeric(4, 2), "c > 0 AND c < 0.03", Decimal("0.01"), Decimal("0.02")),
        (Float(), "c >= 0 AND c <= 0.01", 0.0, 0.01),
        (Integer(), "c IN (4, 6)", 4, 6),
        (String(9), "c IN ('x', 'y')", "x", "y"),
    ],
)
def test_values_pass_the_checks(
    kind: Any, check: str, lowest: object, highest: object
) -> None:
    """Both ends of what is allowed are reached, and nothing beyond them."""
    domain = _domain(kind, check)
    values = [domain.at(number) for number in range(domain.size)]

    assert (lowest, highest) == (min(values), max(values))


def test_texts_pass_the_checks_of_their_length() -> None:
    """The shortest, and the longest."""
    long, short = _domain(Text(), "length(c) >= 8"), _domain(Text(), "length(c) < 3")

    assert 8 == len(long.at(0)) == len(long.at(7))
    assert 2 >= len(short.at(500))


class Base(DeclarativeBase):
    """Tables of a shop."""


class Customer(Base):
    """Has a key of its own making."""

    __tablename__ = "customers"

    code: Mapped[str] = mapped_column(String(8), primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    note: Mapped[str | None]
    rating: Mapped[int] = mapped_column(default=3)
    orders: Mapped[list[Order]] = relationship(
        back_populates="customer", foreign_keys="Order.customer_code"
    )


class Order(Base):
    """Belongs to a customer; refers to another one by his key alone."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("opened <= closed"),
        CheckConstraint("amount > 0"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_code: Mapped[str] = mapped_column(ForeignKey("customers.code"))
    agent_code: Mapped[str] = mapped_column(ForeignKey("customers.code"))
    amount: Mapped[int] = mapped_column(CheckConstraint("amount < 9"), unique=True)
    opened: Mapped[dt.date]
    closed: Mapped[dt.date]
    version: Mapped[int] = mapped_column()
    customer: Mapped[Customer] = relationship(
        back_populates="orders", foreign_keys=customer_code
    )

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


def test_what_a_row_needs() -> None:
    """Neither what the database fills in, nor what may be NULL."""
    facts = facts_of(Order)

    assert ["amount", "opened", "closed"] == [each.name for each in facts.attributes]
    assert [("customer", Customer)] == [
        (each.name, each.model) for each in facts.parents
    ]
    assert [("agent_code", Customer, "code")] == [
        (each.name, each.model, each.attribute) for each in facts.keys
    ]
    assert ["code", "name"] == [each.name for each in facts_of(Customer).attributes]


def test_checks_of_the_table_and_of_the_column_hold_together() -> None:
    """They are kept in different places of the metadata."""
    table: Any = Order.__table__
    domain = domain_of(table.c.amount)

    assert {*range(1, 9)} == {domain.at(number) for number in range(8)}


def test_what_has_to_be_different_and_what_to_be_asked() -> None:
    """Groups of unique attributes; checks that are not simple."""
    facts = facts_of(Order)

    assert {frozenset({"id"}), frozenset({"amount"})} == {*facts.uniques}
    assert [frozenset({"opened", "closed"})] == [names for _, names in facts.checks]
