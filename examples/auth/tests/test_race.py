"""Two people register one address at the same time, with real commits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from auth.models import User

if TYPE_CHECKING:
    import httpx
    from sqlalchemy.ext.asyncio import AsyncSession

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
