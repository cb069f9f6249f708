"""Tenants: made, found and removed, each with his schema."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateSchema, DropSchema

from tenants.database import primary, sessions
from tenants.models import STANDS_FOR, Owned, Tenant

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

SLUG = re.compile(r"[a-z][a-z0-9_]{0,38}")


class NoSuchTenant(Exception):
    """Nobody has that name."""


class SlugRefused(Exception):
    """The name is taken, or could not be that of a schema."""


def schema_of(slug: str) -> str:
    """The schema of a tenant; raises SlugRefused for what is no name."""
    if not SLUG.fullmatch(slug):
        raise SlugRefused(slug)
    return f"tenant_{slug}"


async def create(slug: str) -> None:
    """A tenant with empty tables; all of it or nothing. Raises SlugRefused."""
    schema = schema_of(slug)
    engine = primary.execution_options(schema_translate_map={STANDS_FOR: schema})
    try:
        async with engine.begin() as connection:
            await connection.execute(insert(Tenant).values(slug=slug))
            await connection.execute(CreateSchema(schema))
            await connection.run_sync(Owned.metadata.create_all)
    except IntegrityError as error:
        raise SlugRefused(slug) from error


async def remove(slug: str) -> None:
    """Forget a tenant, and all that is his."""
    async with primary.begin() as connection:
        await connection.execute(delete(Tenant).where(Tenant.slug == slug))
        await connection.execute(
            DropSchema(schema_of(slug), cascade=True, if_exists=True)
        )


async def sessions_of(slug: str) -> async_sessionmaker[AsyncSession]:
    """Sessions in the schema of a tenant; raises NoSuchTenant."""
    async with sessions()() as session:
        if await session.scalar(select(Tenant.id).where(Tenant.slug == slug)) is None:
            raise NoSuchTenant(slug)
    return sessions(schema_of(slug))
