"""Orders and the stock. Each function is a transaction: it commits, or it raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from shop.models import Order, Product

if TYPE_CHECKING:
    from decimal import Decimal

    from sqlalchemy.ext.asyncio import AsyncSession


class OutOfStock(Exception):
    """There is not as much of it as was ordered."""


async def stocked(
    session: AsyncSession, name: str, price: Decimal, stock: int
) -> Product:
    """A new product."""
    product = Product(name=name, price=price, stock=stock)
    session.add(product)
    await session.commit()
    return product


async def place(
    session: AsyncSession, customer: str, name: str, quantity: int
) -> Order:
    """Take it from the stock; raises OutOfStock, or NoResultFound."""
    named = select(Product).where(Product.name == name)
    product = (await session.scalars(named.with_for_update())).one()
    if product.stock < quantity:
        raise OutOfStock(name)
    product.stock -= quantity
    order = Order(customer=customer, product_id=product.id, quantity=quantity)
    session.add(order)
    await session.commit()
    return order


async def best_sellers(session: AsyncSession, count: int) -> list[str]:
    """Names of what is ordered most, most of all first."""
    total = func.sum(Order.quantity).desc()
    query = select(Product.name).join(Order, Order.product_id == Product.id)
    found = await session.scalars(
        query.group_by(Product.name).order_by(total, Product.name).limit(count)
    )
    return list(found)
