"""The schema, filled by factories that derive all they need from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from blog.models import Comment, Post, Tag, Tenant, User, UserProfile
from pytest_asyncdb.factories import AsyncModelFactory

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


@pytest.mark.parametrize("of", [Comment, Post, Tag, Tenant, User, UserProfile])
async def test_a_hundred_rows_are_accepted(
    db_session: AsyncSession, of: type[object]
) -> None:
    """With the rows that they need, none of them equal where they must not be."""

    class Derived(AsyncModelFactory[Any]):
        class Meta:
            model = of
            auto = True

    await Derived.create_batch(100)

    assert 100 == await db_session.scalar(select(func.count()).select_from(of))
