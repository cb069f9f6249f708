"""What tells one template from another."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import DDL, Column, Enum, Integer, MetaData, String, Table, event, text

from pytest_asyncdb.plugin._schema import Build, CreateAll

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

PG: Final = "postgresql+asyncpg"
DRIVERS: Final = [PG, "postgresql+psycopg", "mariadb+asyncmy", "mysql+aiomysql"]


def models(*columns: Column[object]) -> MetaData:
    """One table."""
    metadata = MetaData()
    kind: Column[str] = Column("kind", Enum("a", "b", name="kind"))
    Table("t", metadata, Column("id", Integer, primary_key=True), kind, *columns)
    return metadata


def key_of(metadata: MetaData, drivername: str = PG) -> str | None:
    """The key of a project that gives its metadata, and nothing else."""
    return Build(CreateAll(metadata), None, None, drivername).key


async def schema(connection: AsyncConnection) -> None:
    """Build something."""


async def seed(session: AsyncSession) -> None:
    """Add something."""


@pytest.mark.parametrize("drivername", DRIVERS)
def test_the_same_tables_have_the_same_key(drivername: str) -> None:
    """Nothing in it is of this process only."""
    code = (
        "from tests.plugin.test_schema import key_of, models\n"
        f"print(key_of(models(), {drivername!r}), end='')"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert key_of(models(), drivername) == other.stdout
    assert "CREATE TABLE t" in other.stdout


def test_another_column_or_product_is_another_key() -> None:
    """And so is the text that the project gives besides."""
    keys = {
        key_of(models()),
        key_of(models(Column("name", String(20)))),
        key_of(models(Column("name", String(20), server_default="x"))),
        key_of(models(), "mariadb+asyncmy"),
        Build(CreateAll(models()), None, "1", PG).key,
        Build(CreateAll(models()), seed, "2", PG).key,
    }

    assert 6 == len(keys)


def test_what_coroutine_functions_do_is_known_to_the_project_alone() -> None:
    """Without its text there is no key."""
    assert Build(schema, None, None, PG).key is None
    assert Build(CreateAll(models()), seed, None, PG).key is None
    assert Build(schema, seed, "1", PG).key is not None
    assert Build(None, None, None, PG).key is not None


def test_what_listeners_execute_counts() -> None:
    """DDL elements, and SQL of a function that is called with the connection."""
    by_ddl, by_function = models(), models()
    view: Any = DDL("CREATE VIEW v AS SELECT 1")  # type: ignore[no-untyped-call]
    event.listen(by_ddl, "after_create", view)

    @event.listens_for(by_function, "after_create")
    def create(_: MetaData, connection: Connection, **__: object) -> None:
        connection.execute(text("CREATE VIEW w AS SELECT 1"))

    assert "CREATE VIEW v" in str(key_of(by_ddl))
    assert "CREATE VIEW w" in str(key_of(by_function))


def test_a_listener_that_needs_a_real_connection_leaves_no_key() -> None:
    """Its answers may differ the next time."""
    metadata = models()

    @event.listens_for(metadata, "after_create")
    def ask(_: MetaData, connection: Connection, **__: object) -> None:
        connection.execute(text("SELECT 1")).scalar_one()

    assert key_of(metadata) is None
