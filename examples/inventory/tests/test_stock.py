from decimal import Decimal

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.models import Change, Kind, Product, Stock, Supplier, Warehouse


async def _stock(session: AsyncSession, quantity: int) -> Stock:
    """A product of which there is something in a warehouse."""
    supplier, warehouse = Supplier(name="Bolt & Co"), Warehouse(city="Oslo")
    session.add_all([supplier, warehouse])
    await session.flush()
    product = Product(
        supplier_id=supplier.id,
        sku="b-1",
        name="bolt",
        kind=Kind.part,
        price=Decimal(2),
        label="b-1: bolt",
    )
    session.add(product)
    await session.flush()
    stock = Stock(product_id=product.id, warehouse_id=warehouse.id, quantity=quantity)
    session.add(stock)
    await session.commit()
    return stock


async def test_a_change_of_the_stock_is_noted(db_session: AsyncSession) -> None:
    """By the trigger, which only the migrations make."""
    stock = await _stock(db_session, 5)
    stock.quantity = 3
    await db_session.commit()
    change = (await db_session.scalars(select(Change))).one()

    assert (5, 3) == (change.before, change.after)


async def test_the_value_of_the_stock(db_session: AsyncSession) -> None:
    """By the view."""
    await _stock(db_session, 5)
    total = await db_session.scalar(text("SELECT total FROM stock_value"))

    assert 10 == total
