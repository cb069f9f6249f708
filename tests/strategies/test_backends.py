"""Results of several databases: what they are compared by, and graphs written again."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, assert_type

import pytest
from hypothesis import strategies as st
from sqlalchemy import func, inspect, select
from sqlalchemy.orm import selectinload

from pytest_asyncdb.errors import StrategyRefused
from pytest_asyncdb.strategies import compare_backends, db_persist, from_model
from pytest_asyncdb.strategies._copies import copies_of
from pytest_asyncdb.strategies._plain import difference, is_reordered, plain
from tests.strategies.conftest import drawn
from tests.strategies.shop import Base, Category, Customer, Label, Letter, Order, Parcel

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


@dataclass
class Page:
    """Some of many objects."""

    items: list[Any]
    total: int


def customer(*numbers: int) -> Customer:
    """One with these orders."""
    day = dt.date(2024, 1, 1)
    orders = [Order(number=each, price=Decimal(1), ordered_on=day) for each in numbers]
    return Customer(email="ann@example.org", orders=orders)


@pytest.mark.parametrize(
    ("first", "second", "path"),
    [
        ([None, "a"], ["a", None], "[0]"),
        (["a"], ["a", "A"], "len(result)"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "['a'][1]"),
        ({"a": 1}, {"a": 1, "b": 2}, "['b']"),
        (Page([], 1), Page([], 2), ".total"),
        ([(1, "a")], [(1, "b")], "[0][1]"),
        (customer(1, 2), customer(1, 3), ".orders[1].number"),
        (Page([customer()], 1), Page([customer(1)], 1), "len(.items[0].orders)"),
        (customer(), Page([], 0), ""),
        (2.5, "2.5", ""),
        (dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC), ""),  # noqa: DTZ001
    ],
)
def test_the_first_difference_has_a_path(first: Any, second: Any, path: str) -> None:
    """Down to the part that is another one."""
    found = difference(plain(first), plain(second))

    assert found is not None
    assert path == found.path


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (3, Decimal("3.00")),
        (float("nan"), float("nan")),
        ({"a", "b"}, {"b", "a"}),
        (customer(1, 2), customer(1, 2)),
        ([Page([customer(1)], 1)], [Page([customer(1)], 1)]),
        (Page, Page),
        (None, None),
    ],
)
def test_what_is_equal(first: Any, second: Any) -> None:
    """As Python says, of objects all that is loaded, in a cycle too."""
    assert difference(plain(first), plain(second)) is None


def test_what_is_only_equal_to_itself_is_refused() -> None:
    """It would never be the same twice."""
    with pytest.raises(StrategyRefused, match="cannot be compared: it is equal to it"):
        difference([object()], [object()])


def test_another_order_is_told() -> None:
    """Of lists whose items are the same."""
    assert is_reordered([None, "a"], ["a", None])
    assert not is_reordered(["a"], ["b"])


@pytest.mark.parametrize("model", [Category, Customer, Label, Letter, Order, Parcel])
async def test_a_copy_is_written_as_the_first_would_be(
    session: AsyncSession, model: type[Base]
) -> None:
    """With all that it refers to, once; the first can be copied again."""
    query = select(func.count()).select_from(model)
    for graph in drawn(st.lists(from_model(model), max_size=3), 15):
        async with session.begin_nested() as nested:
            await db_persist(copies_of(graph), session=session)

            assert len(graph) <= (await session.scalar(query) or 0)
            assert all(inspect(each).transient for each in graph)
            await nested.rollback()


async def test_relationships_of_a_copy(session: AsyncSession) -> None:
    """Collections keep their order, and nothing refers to what was copied."""
    first = customer(3, 1, 2)
    [again] = copies_of([first])
    await db_persist(again, session=session)
    session.expunge_all()
    load = select(Customer).options(selectinload(Customer.orders))
    found = (await session.scalars(load)).one()

    assert [3, 1, 2] == [each.number for each in first.orders]
    assert [3, 1, 2] == [each.number for each in again.orders]
    assert {1, 2, 3} == {each.number for each in found.orders}
    assert all(each.customer is again for each in again.orders)


async def test_a_test_of_ours_has_to_run() -> None:
    """Else nobody knows the schema; what the function gives is known to mypy."""

    async def numbers(session: AsyncSession) -> list[int]:
        return [*await session.scalars(select(Order.number))]

    with pytest.raises(StrategyRefused, match="compare_backends has no schema"):
        assert_type(
            await compare_backends(numbers, on=("sqlite", "mariadb")), list[int]
        )
