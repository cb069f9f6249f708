"""What a product says about its price, in Python and in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings

from inventory.models import Product
from pytest_asyncdb.strategies import assert_equivalent, from_model

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

quickly = settings(deadline=None, max_examples=20)


@quickly
@given(product=from_model(Product))
async def test_cheap_is_the_same_in_python_and_in_sql(
    db_session: AsyncSession, product: Product
) -> None:
    """For any price, and on both sides of ten."""
    await assert_equivalent(product, Product.is_cheap, session=db_session)


@quickly
@given(product=from_model(Product))
async def test_gross_is_the_same_in_python_and_in_sql(
    db_session: AsyncSession, product: Product
) -> None:
    """To the last digit, which no Float would have."""
    await assert_equivalent(product, Product.gross, session=db_session)
