"""Two people register one address at the same time, with real commits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from auth import routers
from auth.accounts import Accounts, EmailTaken
from auth.models import User
from auth.passwords import hashed
from pytest_asyncdb import AnomalyFound
from pytest_asyncdb.concurrency import all_succeed

if TYPE_CHECKING:
    import httpx
    from sqlalchemy.ext.asyncio import AsyncSession

    from pytest_asyncdb.concurrency import Explorer

NEW = {"email": "eve@auth.example", "password": "hunter2hunter2"}


@pytest.mark.parametrize(
    "isolation",
    ["sandbox", pytest.param("commit", marks=pytest.mark.asyncdb(isolation="commit"))],
)
async def test_one_of_them_gets_the_address(
    client: httpx.AsyncClient, db_session: AsyncSession, isolation: str
) -> None:
    """The others get a 400, from the look or from the constraint; there is one row."""
    answers = await asyncio.gather(*(client.post("/users", json=NEW) for _ in range(4)))

    assert [201, 400, 400, 400] == sorted(answer.status_code for answer in answers)
    assert 1 == await db_session.scalar(select(func.count(User.id))), isolation


async def test_in_every_order_of_two_requests_one_gets_the_address(
    client: httpx.AsyncClient, db_concurrency: Explorer
) -> None:
    """Nobody fails, and the other one is told: also who came after the look."""

    async def post() -> int:
        return (await client.post("/users", json=NEW)).status_code

    result = await db_concurrency.explore(one=post, other=post, invariant=all_succeed)

    assert result.complete


class LookAlone(Accounts):
    """What tutorials show: whoever finds nobody inserts."""

    async def register(self, email: str, password: str) -> User:
        """A new account, if the look finds none; raises EmailTaken."""
        if await self.by_email(email) is not None:
            raise EmailTaken(email)
        user = User(email=email, password_hash=await hashed(password))
        self.session.add(user)
        await self.session.flush()
        return user


async def test_the_look_alone_lets_a_request_fail(
    client: httpx.AsyncClient,
    db_concurrency: Explorer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both look before either inserts, and one is answered by a traceback."""
    monkeypatch.setattr(routers, "Accounts", LookAlone)

    async def post() -> int:
        return (await client.post("/users", json=NEW)).status_code

    with pytest.raises(AnomalyFound, match="IntegrityError"):
        await db_concurrency.explore(one=post, other=post, invariant=all_succeed)
