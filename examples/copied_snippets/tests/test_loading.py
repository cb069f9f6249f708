"""Attributes that send statements, where nobody awaits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncSession

from pytest_asyncdb import BudgetExceeded
from snippets import loading
from snippets.models import Customer, Order

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pytest_asyncdb import Recorder


async def test_taught_answer(db_engine: AsyncEngine) -> None:
    """A commit expires the object, and its attribute wants a statement."""
    async with AsyncSession(db_engine) as session:
        with pytest.raises(MissingGreenlet):
            await loading.taught_answer(session, "bob")


async def test_cured_answer(db_engine: AsyncEngine) -> None:
    """What was read before the commit needs none after it."""
    async with AsyncSession(db_engine) as session:
        answer = await loading.cured_answer(session, "bob")

    assert "bob" == answer["name"]


async def test_taught_append(db_session: AsyncSession, ann: Customer) -> None:
    """The list is not loaded, and append() wants it to be."""
    with pytest.raises(MissingGreenlet):
        await loading.taught_append(db_session, ann.id)


async def test_cured_append(
    db_session: AsyncSession, ann: Customer, db_statements: Recorder
) -> None:
    """The row is written, and nothing is read."""
    async with db_statements.expect(exactly=1, writes=1):
        await loading.cured_append(db_session, ann.id)

    assert 1 == await db_session.scalar(select(func.count(Order.id)))


@pytest.fixture
async def three(db_session: AsyncSession) -> None:
    """Three customers with two orders each."""
    for name in "xyz":
        db_session.add(Customer(name=name, orders=[Order(), Order()]))
    await db_session.commit()
    db_session.expunge_all()


@pytest.mark.usefixtures("three")
async def test_taught_totals(db_session: AsyncSession, db_statements: Recorder) -> None:
    """A statement for each customer."""
    with pytest.raises(BudgetExceeded, match=r"lazy load of Customer\.orders"):
        async with db_statements.expect(no_n_plus_one=True):
            await loading.taught_totals(db_session)


@pytest.mark.usefixtures("three")
async def test_cured_totals(db_session: AsyncSession, db_statements: Recorder) -> None:
    """Two statements for all of them."""
    async with db_statements.expect(exactly=2, no_n_plus_one=True):
        totals = await loading.cured_totals(db_session)

    assert {"x": 2, "y": 2, "z": 2} == totals
