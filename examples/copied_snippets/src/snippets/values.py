"""Money, times, and what people type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from snippets.models import Customer, Order, Token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

LIFETIME = timedelta(minutes=30)


async def taught_is_paid(session: AsyncSession, customer_id: int, paid: float) -> bool:
    """Money in a Float."""
    total = select(func.sum(Order.taught_price)).where(Order.customer_id == customer_id)
    return await session.scalar(total) == paid


async def cured_is_paid(session: AsyncSession, customer_id: int, paid: int) -> bool:
    """Money in cents."""
    total = select(func.sum(Order.cured_cents)).where(Order.customer_id == customer_id)
    return await session.scalar(total) == paid


def taught_token() -> Token:
    """Naive, as `datetime.utcnow()` is: whoever stores it takes it for local time."""
    return Token(expires_at=datetime.now(UTC).replace(tzinfo=None) + LIFETIME)


def cured_token() -> Token:
    """A time that knows its zone."""
    return Token(expires_at=datetime.now(UTC) + LIFETIME)


async def taught_search(session: AsyncSession, typed: str) -> Sequence[str]:
    """What was typed, between two percent signs."""
    query = select(Customer.name).where(Customer.name.ilike(f"%{typed}%"))
    return (await session.scalars(query)).all()


async def cured_search(session: AsyncSession, typed: str) -> Sequence[str]:
    """The same, its own percent signs escaped."""
    query = select(Customer.name).where(Customer.name.icontains(typed, autoescape=True))
    return (await session.scalars(query)).all()
