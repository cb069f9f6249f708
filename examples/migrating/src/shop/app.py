"""The shop over HTTP: `uvicorn shop.app:app`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError, NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession

from shop import orders
from shop.database import get_session

app = FastAPI(title="Shop")
Session = Annotated[AsyncSession, Depends(get_session)]


class NewProduct(BaseModel):
    """Something to be sold."""

    name: str
    price: Decimal
    stock: int


class NewOrder(BaseModel):
    """What a customer wants."""

    customer: str
    name: str
    quantity: int


@app.post("/products", status_code=201)
async def stock(new: NewProduct, session: Session) -> int:
    """Its key."""
    try:
        product = await orders.stocked(session, new.name, new.price, new.stock)
    except IntegrityError as error:
        raise HTTPException(409, "The name is taken") from error
    return product.id


@app.post("/orders", status_code=201)
async def order(new: NewOrder, session: Session) -> int:
    """Its key."""
    try:
        placed = await orders.place(session, new.customer, new.name, new.quantity)
    except NoResultFound as error:
        raise HTTPException(404, "No such product") from error
    except orders.OutOfStock as error:
        raise HTTPException(409, "Out of stock") from error
    return placed.id


@app.get("/best-sellers")
async def best_sellers(session: Session, count: int = 3) -> list[str]:
    """What is ordered most."""
    return await orders.best_sellers(session, count)
