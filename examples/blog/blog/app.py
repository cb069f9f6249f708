"""The application: `uvicorn blog.app:app`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import IntegrityError

from blog.database import engine
from blog.routers import router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Give the connections back when the application ends."""
    yield
    await engine.dispose()


async def conflict(_: Request, error: Exception) -> JSONResponse:
    """What the schema refuses is the client's conflict."""
    del error
    return JSONResponse({"detail": "it exists already"}, status_code=409)


def create_app() -> FastAPI:
    """The application, with its routes."""
    app = FastAPI(title="Blog", lifespan=lifespan)
    app.include_router(router)
    app.add_exception_handler(IntegrityError, conflict)
    return app


app = create_app()
