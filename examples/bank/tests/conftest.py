"""The bank, and two customers of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bank.service import Bank

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker


@pytest.fixture
def bank(db_sessionmaker: async_sessionmaker[AsyncSession]) -> Bank:
    """The bank as it is; only its sessions are the test's."""
    return Bank(db_sessionmaker)


@pytest.fixture
async def ann(bank: Bank) -> int:
    """Ann's account, with ten in it."""
    return await bank.open("ann", 10_00)


@pytest.fixture
async def bob(bank: Bank) -> int:
    """Bob's account, with five in it."""
    return await bank.open("bob", 5_00)
