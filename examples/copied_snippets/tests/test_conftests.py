"""What people put into a conftest.py, as code that a test of ours runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from snippets.conftests import taught_reset, taught_sessions
from snippets.models import Customer, Order

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """The database that everybody in the office uses, with a customer in it."""
    path = tmp_path / "shared.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name)")
        connection.execute("INSERT INTO customers (name) VALUES ('the only one')")
        connection.commit()
    return path


def _customers(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        count: int = connection.execute("SELECT count(*) FROM customers").fetchone()[0]
    return count


@pytest.mark.asyncdb(backends=["sqlite"], capture=False)
async def test_taught_reset(shared: Path) -> None:
    """On an engine that connects for real, everything is gone."""
    await taught_reset(f"sqlite+aiosqlite:///{shared}")

    assert 0 == _customers(shared)


@pytest.mark.asyncdb(backends=["sqlite"])
async def test_cured_reset(shared: Path) -> None:
    """In a test of ours no engine connects to what its URL names."""
    await taught_reset(f"sqlite+aiosqlite:///{shared}")

    assert 1 == _customers(shared)


async def _failed_order(order: AsyncSession, note: AsyncSession, ann: int) -> None:
    """A session writes, another one notes that and commits, and the first fails."""
    order.add(Order(customer_id=ann))
    await order.flush()
    note.add(Customer(name="a note that was committed"))
    await note.commit()
    await order.rollback()


async def test_taught_sessions(db_engine: AsyncEngine, ann: Customer) -> None:
    """The rollback of one takes the committed row of the other along, silently."""
    async with taught_sessions(db_engine) as new, new() as order, new() as note:
        await _failed_order(order, note, ann.id)
        count = await note.scalar(select(func.count(Customer.id)))

    assert 1 == count


@pytest.mark.asyncdb(isolation="commit", requires=["concurrent_writers"])
async def test_cured_sessions(
    db_sessionmaker: async_sessionmaker[AsyncSession], ann: Customer
) -> None:
    """With connections of their own, what was committed stays."""
    async with db_sessionmaker() as order, db_sessionmaker() as note:
        await _failed_order(order, note, ann.id)
        count = await note.scalar(select(func.count(Customer.id)))

    assert 2 == count
