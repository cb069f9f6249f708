"""Strategies of models: graphs that the schema accepts, and what they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.vendor.pretty import pretty
from sqlalchemy import CheckConstraint, ForeignKey, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    mapped_column,
    relationship,
)

from pytest_asyncdb.errors import StrategyRefused
from pytest_asyncdb.strategies import db_persist, from_model
from pytest_asyncdb.strategies._example import Example
from tests.strategies.conftest import drawn, minimal
from tests.strategies.shop import (
    Base,
    Card,
    Category,
    Customer,
    Label,
    Letter,
    Order,
    Parcel,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


@pytest.mark.parametrize("model", [Card, Customer, Label, Letter, Order, Parcel])
async def test_every_row_is_accepted(session: AsyncSession, model: Any) -> None:
    """Lists of objects, on each product, whatever the tables demand."""
    graphs = drawn(st.lists(from_model(model), min_size=1, max_size=3), 10)
    refused = []
    for graph in graphs:
        try:
            await db_persist(graph, session=session)
        except DBAPIError as error:
            refused.append(str(error.orig))
        await session.rollback()
        session.expunge_all()

    assert 10 == len(graphs)
    assert [] == refused


@pytest.mark.parametrize(
    ("strategy", "shown"),
    [
        (
            from_model(Category, name="x", parent_id=7),
            "Category(name='x', parent_id=7)",
        ),
        (
            st.lists(from_model(Card, id=1), min_size=1),
            "[Card(id=1, customer=Customer(email=''))]",
        ),
        (from_model(Label), "Label(word='', category_id=Category(name='').id)"),
    ],
)
def test_a_falsifying_example_shows_what_an_object_holds(
    strategy: st.SearchStrategy[Any], shown: str
) -> None:
    """With the objects that it refers to, and without those that refer to it."""

    @settings(database=None, derandomize=True)
    @given(drawn=strategy)
    def fails(drawn: object) -> None:
        pytest.fail(str(type(drawn)))

    with pytest.raises(pytest.fail.Exception) as caught:
        fails()

    said = " ".join("".join(caught.value.__notes__).split())
    assert f"drawn={shown}" in said


def test_an_object_that_shows_itself_is_left_to_do_so() -> None:
    """Its class says how."""

    class Tables(DeclarativeBase):
        pass

    class Named(Tables):
        __tablename__ = "named"
        id: Mapped[int] = mapped_column(primary_key=True)

        def __repr__(self) -> str:
            return "a name"

    assert "a name" == pretty(minimal(from_model(Named)))


async def test_what_was_written_can_be_read(session: AsyncSession) -> None:
    """Columns that the database fills in, and collections that are still empty."""
    customer = minimal(from_model(Customer))

    await db_persist(customer, session=session)

    assert customer.id is not None
    assert customer.created_at is not None
    assert [] == customer.orders
    assert customer.card is None


async def test_a_refused_graph_leaves_nothing_and_the_session_usable(
    session: AsyncSession,
) -> None:
    """All is written in one savepoint."""
    label = Label(category_id=99, word="new")

    with pytest.raises(DBAPIError):
        await db_persist([Category(name="a"), label], session=session)

    assert 0 == await session.scalar(select(func.count()).select_from(Category))


async def test_a_foreign_key_without_relationship_is_filled_in(
    session: AsyncSession,
) -> None:
    """Its row is written first."""
    label = minimal(from_model(Label))

    await db_persist(label, session=session)

    assert label.category_id == await session.scalar(select(Category.id))


@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "A"), ("e", "é"), ("a", "a "), ("😀", "🐍"), ("", "\u0301")],
)
def test_values_that_a_collation_takes_to_be_equal_are_not_unique(
    one: str, other: str
) -> None:
    """MySQL's leave out case, accents and more."""
    example, email = Example(), [frozenset({"email"})]
    example.take(Customer.__table__, email, {"email": one})

    assert not example.is_free(Customer.__table__, email, {"email": other})
    assert example.is_free(Customer.__table__, email, {"email": "b"})
    assert example.is_free(Customer.__table__, email, {"email": None})


def test_the_simplest_graph_has_the_fewest_objects() -> None:
    """Two orders of one customer, with nothing that may be left out."""
    first, second = minimal(st.tuples(from_model(Order), from_model(Order)))

    assert first.customer is second.customer
    assert "" == first.customer.email
    assert first.paid_on is None
    assert {0, 1} == {first.number, second.number}


def test_a_parent_that_takes_one_child_is_not_shared() -> None:
    """Each card has its own customer: the foreign key is unique."""
    first, second = minimal(st.tuples(from_model(Card), from_model(Card)))

    assert first.customer is not second.customer


def test_constraints_of_several_columns_are_met() -> None:
    """What is no simple bound is asked of SQLite, row by row."""
    orders = drawn(from_model(Order), 60)
    paid = [order for order in orders if order.paid_on is not None]

    assert paid
    assert all(order.paid_on >= order.ordered_on for order in paid)


def test_rows_refer_to_rows_of_their_own_table_at_bounded_depth() -> None:
    """A category in a category in a category, or in none."""
    depths = set()
    for category in drawn(from_model(Category), 100):
        depth, each = 0, category
        while each.parent is not None:
            depth, each = depth + 1, each.parent
        depths.add(depth)

    assert {0, 1, 2} == depths


def test_objects_are_of_every_class_that_has_an_identity() -> None:
    """Asked for a parcel, a letter may come."""
    assert {Parcel, Letter} == {type(each) for each in drawn(from_model(Parcel))}


def test_many_to_many_relationships_hold_none_or_a_few() -> None:
    """Each object once."""
    labels = [each.labels for each in drawn(from_model(Parcel))]

    assert {0, 1, 2} == {len(each) for each in labels}
    assert all(len({*map(id, each)}) == len(each) for each in labels)


def test_an_override_is_a_strategy_or_a_value() -> None:
    """A foreign key that is given makes no parent."""
    order: Any = minimal(from_model(Order, customer_id=7, price=st.just(3)))

    assert 7 == order.customer_id
    assert order.customer is None
    assert 3 == order.price


def test_children_may_be_given_with_their_parent() -> None:
    """The child leaves its parent to the relationship."""
    orders = st.lists(from_model(Order, customer=None), min_size=1, max_size=2)

    customer = minimal(from_model(Customer, orders=orders))

    assert [customer] == [order.customer for order in customer.orders]


def test_children_whose_parent_is_set_later_may_all_have_the_same() -> None:
    """So they are unique as if they had."""
    orders = minimal(st.lists(from_model(Order, customer=None), min_size=2))

    assert {0, 1} == {order.number for order in orders}


class _Plain(MappedAsDataclass, DeclarativeBase):
    """Models that are dataclasses."""


class _Note(_Plain):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    text: Mapped[str]
    seen: Mapped[bool | None] = mapped_column(init=False)


def test_dataclasses_are_built_as_they_want() -> None:
    """What they do not take by keyword is set afterwards."""
    note = minimal(from_model(_Note), lambda note: note.seen is True)

    assert ("", True) == (note.text, note.seen)


class _Other(DeclarativeBase):
    """Models that cannot be drawn."""


class _Hen(_Other):
    __tablename__ = "hens"

    id: Mapped[int] = mapped_column(primary_key=True)
    egg_id: Mapped[int] = mapped_column(ForeignKey("eggs.id"))
    egg: Mapped[_Egg] = relationship(foreign_keys=[egg_id])


class _Egg(_Other):
    __tablename__ = "eggs"

    id: Mapped[int] = mapped_column(primary_key=True)
    hen_id: Mapped[int] = mapped_column(ForeignKey("hens.id"))
    hen: Mapped[_Hen] = relationship(foreign_keys=[hen_id])


class _Odd(_Other):
    __tablename__ = "odds"
    __table_args__ = (CheckConstraint("low + high < low + high"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    low: Mapped[int]
    high: Mapped[int]


@pytest.mark.parametrize(
    ("model", "overrides", "message"),
    [
        (int, {}, "<class 'int'> is no mapped class"),
        (Customer, {"emial": "x"}, "did you mean email"),
        (_Hen, {}, "_Hen -> _Egg -> _Hen"),
    ],
)
def test_what_cannot_be_drawn_is_refused_at_the_call(
    model: Any, overrides: dict[str, Any], message: str
) -> None:
    """Before any example is tried."""
    with pytest.raises(StrategyRefused, match=message):
        from_model(model, **overrides)


def test_a_cycle_is_broken_by_what_is_given() -> None:
    """As its error says."""
    hen = minimal(from_model(_Hen, egg=None))

    assert hen.egg is None


def test_a_constraint_that_no_row_meets_is_named() -> None:
    """After a bounded search."""
    with pytest.raises(StrategyRefused, match=r"CHECK \(low \+ high < low \+ high\)"):
        from_model(_Odd)


async def test_what_no_table_holds_is_not_written(session: AsyncSession) -> None:
    """A number, or a class."""
    with pytest.raises(StrategyRefused, match="3 is no object of a mapped class"):
        await db_persist([3], session=session)


async def test_without_a_test_of_ours_a_session_has_to_be_given() -> None:
    """The error says how."""
    with pytest.raises(StrategyRefused, match="db_persist has no session"):
        await db_persist(Base())
