"""Money, times and percent signs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from snippets import values
from snippets.models import Customer, Event, Order, Token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncSession


@pytest.fixture
async def orders(db_session: AsyncSession, ann: Customer) -> None:
    """Three orders, of 10, 20 and 30 cents."""
    for cents in (10, 20, 30):
        db_session.add(
            Order(customer_id=ann.id, taught_price=cents / 100, cured_cents=cents)
        )
        await db_session.flush()


@pytest.mark.usefixtures("orders")
async def test_taught_is_paid(db_session: AsyncSession, ann: Customer) -> None:
    """0.1 + 0.2 + 0.3 is not 0.6, also on a server."""
    assert not await values.taught_is_paid(db_session, ann.id, 0.6)


@pytest.mark.usefixtures("orders")
async def test_cured_is_paid(db_session: AsyncSession, ann: Customer) -> None:
    """10 + 20 + 30 is 60."""
    assert await values.cured_is_paid(db_session, ann.id, 60)


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A developer's laptop in Tokyo; servers are in UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def _is_valid(session: AsyncSession, token: Token) -> bool:
    session.add(token)
    await session.commit()
    query = select(Token.id).where(Token.expires_at > datetime.now(UTC))
    return await session.scalar(query) is not None


@pytest.mark.usefixtures("tokyo")
@pytest.mark.asyncdb(backends=["postgresql"])
async def test_taught_token(db_session: AsyncSession) -> None:
    """A token for half an hour has expired eight and a half hours ago."""
    assert not await _is_valid(db_session, values.taught_token())


@pytest.mark.usefixtures("tokyo")
@pytest.mark.asyncdb(backends=["postgresql"])
async def test_cured_token(db_session: AsyncSession) -> None:
    """A token for half an hour is good for that long, wherever it was made."""
    assert await _is_valid(db_session, values.cured_token())


@pytest.fixture
async def events(db_session: AsyncSession) -> list[Event]:
    """Two events, one after the other."""
    found = []
    for _ in range(2):
        db_session.add(event := Event())
        await db_session.flush()
        found.append(event)
    return found


async def test_taught_default(events: list[Event]) -> None:
    """All have happened when the module was imported."""
    assert events[0].taught_at == events[1].taught_at


async def test_cured_default(events: list[Event]) -> None:
    """Each has happened when it was written."""
    assert events[0].taught_at < events[0].cured_at < events[1].cured_at


@pytest.fixture
async def customers(db_session: AsyncSession) -> None:
    """Somebody with a percent sign in his name, and somebody without."""
    db_session.add_all([Customer(name="100% ltd"), Customer(name="bob")])
    await db_session.flush()


@pytest.mark.usefixtures("customers")
async def test_taught_search(db_session: AsyncSession) -> None:
    """A percent sign finds everybody."""
    assert {"100% ltd", "bob"} == set(await values.taught_search(db_session, "%"))


@pytest.mark.usefixtures("customers")
async def test_cured_search(db_session: AsyncSession) -> None:
    """A percent sign finds who has one."""
    assert ["100% ltd"] == await values.cured_search(db_session, "%")
