"""Orders over HTTP: `uvicorn --factory inventory.app:create_app`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm.exc import StaleDataError

from inventory.models import Order, Status
from inventory.settings import database_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Step(BaseModel):
    """What an order becomes, by somebody who has seen this version of it."""

    status: Status
    version: int


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """A session that commits when the request succeeds."""
    async with request.app.state.sessions.begin() as session:
        yield session


SessionDependency = Annotated[AsyncSession, Depends(get_session, scope="function")]


async def change(session: AsyncSession, order_id: int, step: Step) -> Order:
    """The order as it is afterwards; raises StaleDataError for another version.

    The version is compared twice: here for who comes late, and by the UPDATE for who
    comes at the same time.
    """
    order = await session.get(Order, order_id)
    if order is None:
        raise HTTPException(404, "No such order")
    if order.version != step.version:
        raise StaleDataError
    order.status = step.status
    await session.flush()
    return order


def create_app() -> FastAPI:
    """The application, with an engine of its own."""
    engine = create_async_engine(database_url())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    app = FastAPI(title="Inventory", lifespan=lifespan)
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)

    @app.patch("/orders/{order_id}")
    async def patch_order(
        order_id: int, step: Step, session: SessionDependency
    ) -> Step:
        try:
            order = await change(session, order_id, step)
        except StaleDataError as error:
            raise HTTPException(409, "Somebody else has changed it") from error
        return Step(status=order.status, version=order.version)

    return app
