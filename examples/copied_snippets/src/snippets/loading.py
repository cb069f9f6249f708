"""Attributes that send statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from snippets.models import Customer, Order

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


async def taught_answer(session: AsyncSession, name: str) -> dict[str, object]:
    """Commit, and answer with what the object has."""
    customer = Customer(name=name)
    session.add(customer)
    await session.commit()
    return {"id": customer.id, "name": customer.name}


async def cured_answer(session: AsyncSession, name: str) -> dict[str, object]:
    """Answer with what was flushed, and commit last."""
    customer = Customer(name=name)
    session.add(customer)
    await session.flush()
    answer: dict[str, object] = {"id": customer.id, "name": customer.name}
    await session.commit()
    return answer


async def taught_append(session: AsyncSession, customer_id: int) -> None:
    """Put an order into the customer's list."""
    customer = await session.get_one(Customer, customer_id)
    customer.orders.append(Order())
    await session.flush()


async def cured_append(session: AsyncSession, customer_id: int) -> None:
    """Give the order its customer: that needs no list."""
    session.add(Order(customer_id=customer_id))
    await session.flush()


async def taught_totals(session: AsyncSession) -> dict[str, int]:
    """Await what is not loaded, customer by customer."""
    customers = await session.scalars(select(Customer))
    return {
        customer.name: len(await customer.awaitable_attrs.orders)
        for customer in customers
    }


async def cured_totals(session: AsyncSession) -> dict[str, int]:
    """Load what all of them need, at once."""
    query = select(Customer).options(selectinload(Customer.orders))
    customers = await session.scalars(query)
    return {customer.name: len(customer.orders) for customer in customers}
