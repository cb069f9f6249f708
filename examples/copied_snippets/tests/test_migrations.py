"""Migrations, with rows and on the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import column, insert, table, update

from pytest_asyncdb import RevisionFailed

if TYPE_CHECKING:
    from pytest_asyncdb import Runner

pytestmark = pytest.mark.asyncdb(backends=["postgresql"])


async def _up_down_up(migrations: Runner, revision: str) -> None:
    await migrations.upgrade(revision)
    await migrations.downgrade("base")
    await migrations.upgrade(revision)


async def test_taught_enum(db_migrations: Runner) -> None:
    """The table goes and its type stays, so there is no second time."""
    with pytest.raises(RevisionFailed, match='type "state_taught" already exists'):
        await _up_down_up(db_migrations, "enum_taught")


async def test_cured_enum(db_migrations: Runner) -> None:
    """The type goes with its table."""
    await _up_down_up(db_migrations, "enum_cured")


async def _fail_and_try_again(migrations: Runner, kind: str) -> None:
    """A row without a label stops the migration; labelled, it should go through."""
    parcels = table(f"parcels_{kind}", column("id"), column("label"))
    await migrations.upgrade(f"data_{kind}_1")
    async with migrations.engine.begin() as connection:
        await connection.execute(insert(parcels).values(id=1, label=None))
    with pytest.raises(RevisionFailed, match="contains null values"):
        await migrations.upgrade(f"data_{kind}_2")
    async with migrations.engine.begin() as connection:
        await connection.execute(update(parcels).values(label="x"))
    await migrations.upgrade(f"data_{kind}_2")


async def test_taught_commit(db_migrations: Runner) -> None:
    """What was committed half way is there, and Alembic does not know it."""
    with pytest.raises(RevisionFailed, match=r'column "grams" .* already exists'):
        await _fail_and_try_again(db_migrations, "taught")


async def test_cured_commit(db_migrations: Runner) -> None:
    """All of a migration or nothing: it runs as if for the first time."""
    await _fail_and_try_again(db_migrations, "cured")
