"""A customer whom all rows of the table are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from snippets.models import Customer

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker


@pytest.fixture
async def ann(db_sessionmaker: async_sessionmaker[AsyncSession]) -> Customer:
    """Ann, in no session: each test reads her by one of its own."""
    async with db_sessionmaker.begin() as session:
        session.add(ann := Customer(name="ann"))
    return ann
