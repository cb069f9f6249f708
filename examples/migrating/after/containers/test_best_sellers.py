"""What is ordered most."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from shop.orders import best_sellers, place, stocked

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

SOLD = {"lamp": 1, "chair": 4, "table": 2, "shelf": 2}


async def _sell(session: AsyncSession) -> None:
    for name, quantity in SOLD.items():
        await stocked(session, name, Decimal("9.90"), 10)
        await place(session, "ann", name, quantity)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 10])
async def test_the_best_come_first(db_session: AsyncSession, count: int) -> None:
    await _sell(db_session)
    best = await best_sellers(db_session, count)

    assert ["chair", "shelf", "table", "lamp"][:count] == best


@pytest.mark.parametrize("name", [*SOLD])
async def test_who_is_ordered_again_rises(db_session: AsyncSession, name: str) -> None:
    await _sell(db_session)
    await place(db_session, "bob", name, 5)

    assert [name] == await best_sellers(db_session, 1)


async def test_what_nobody_ordered_is_none(db_session: AsyncSession) -> None:
    await stocked(db_session, "lamp", Decimal("9.90"), 10)

    assert [] == await best_sellers(db_session, 3)
