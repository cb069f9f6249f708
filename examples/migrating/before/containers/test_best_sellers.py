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
async def test_the_best_come_first(session: AsyncSession, count: int) -> None:
    await _sell(session)
    best = await best_sellers(session, count)

    assert ["chair", "shelf", "table", "lamp"][:count] == best


@pytest.mark.parametrize("name", [*SOLD])
async def test_who_is_ordered_again_rises(session: AsyncSession, name: str) -> None:
    await _sell(session)
    await place(session, "bob", name, 5)

    assert [name] == await best_sellers(session, 1)


async def test_what_nobody_ordered_is_none(session: AsyncSession) -> None:
    await stocked(session, "lamp", Decimal("9.90"), 10)

    assert [] == await best_sellers(session, 3)
