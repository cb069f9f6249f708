"""Our checks of the migrations, and what only this project has to be checked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import inspect

from pytest_asyncdb.migrations.checks import *  # noqa: F403
from tenants import registry

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

pytestmark = pytest.mark.asyncdb(requires=["schemas"])


async def test_a_new_tenant_has_the_tables_that_migrations_make(
    db_engine: AsyncEngine,
) -> None:
    """Those of the schema that stands for his, column by column."""

    def columns(connection: Connection, schema: str) -> dict[str, list[object]]:
        found = inspect(connection)
        return {
            table: [
                (column["name"], str(column["type"]), column["nullable"])
                for column in found.get_columns(table, schema)
            ]
            for table in found.get_table_names(schema)
        }

    await registry.create("acme")
    async with db_engine.connect() as connection:
        theirs = await connection.run_sync(columns, "tenant")
        his = await connection.run_sync(columns, "tenant_acme")

    assert theirs == his
    assert {"notes"} == set(his)
