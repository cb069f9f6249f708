"""Migrations of both bases, on the primary."""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from tenants.models import Owned, Shared
from tenants.settings import Settings

METADATA = [Shared.metadata, Owned.metadata]


def run_offline() -> None:
    context.configure(
        dialect_name="postgresql", target_metadata=METADATA, literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()


def run(connection: Connection) -> None:
    context.configure(
        connection=connection, target_metadata=METADATA, include_schemas=True
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_online() -> None:
    engine = create_async_engine(
        Settings.from_environment().primary_url, poolclass=pool.NullPool
    )
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


if context.is_offline_mode():
    run_offline()
else:
    asyncio.run(run_online())
