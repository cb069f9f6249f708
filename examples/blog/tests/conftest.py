"""The application's client, and a tenant with two users. Nothing about databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from blog.app import create_app
from blog.repositories import Tenants, Users

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI
    from sqlalchemy.ext.asyncio import AsyncSession

    from blog.models import Tenant, User


@pytest.fixture
def app() -> FastAPI:
    """The application as it is deployed: nothing of it is overridden."""
    return create_app()


@pytest.fixture
async def client(app: FastAPI, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, for the tenant."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport,
        base_url="http://blog",
        headers={"X-Tenant": tenant.slug},
    ) as client:
        yield client


@pytest.fixture
async def tenant(db_session: AsyncSession) -> Tenant:
    """A tenant that the application sees."""
    tenant = await Tenants(db_session).create("acme")
    await db_session.commit()
    return tenant


@pytest.fixture
async def ann(db_session: AsyncSession, tenant: Tenant) -> User:
    """An author."""
    user = await Users(db_session, tenant).register("ann@acme.example", "I write.")
    await db_session.commit()
    return user


@pytest.fixture
async def bob(db_session: AsyncSession, tenant: Tenant) -> User:
    """A reader."""
    user = await Users(db_session, tenant).register("bob@acme.example")
    await db_session.commit()
    return user
