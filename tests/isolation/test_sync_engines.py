"""Sync engines of the application, and the plugin's own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.orm import Session, sessionmaker

from pytest_asyncdb.errors import EngineRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.isolation import Isolation
    from pytest_asyncdb.provisioning import Database
    from tests.isolation.conftest import Application

    MakeApp = Callable[..., Application]
    MakeIsolation = Callable[..., Isolation]


@pytest.mark.parametrize("kind", ["asyncpg", "aiosqlite"])
async def test_a_sync_engine_of_another_product_is_refused(
    isolation: Isolation,
) -> None:
    """A forgotten `create_engine` for MySQL does not reach a server either."""
    engine = create_engine("mysql+pymysql://app:secret@db.invalid/blog")
    with pytest.raises(EngineRefused, match="mysql"):
        engine.connect()


@pytest.mark.parametrize("kind", ["asyncpg"])
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
async def test_a_sync_engine_of_another_family_is_refused(
    isolation: Isolation, database: Database, driver: str
) -> None:
    """By name; with psycopg as the run's driver, psycopg's sync engine would join."""
    engine = create_engine(database.url.set(drivername=f"postgresql+{driver}"))
    with pytest.raises(EngineRefused, match=driver):
        engine.connect()


def _sync(engine: Engine, name: str) -> list[str]:
    with sessionmaker(engine)() as session:
        session.execute(text("INSERT INTO users (name) VALUES (:name)"), {"name": name})
        session.commit()
        return sorted(session.scalars(text("SELECT name FROM users")))


@pytest.mark.parametrize("kind", ["psycopg", "aiosqlite", "aiosqlite-file"])
def test_a_sync_engine_of_the_same_family_joins(
    app: Application, isolation: Isolation
) -> None:
    """Those of psycopg and sqlite3, in a test without a loop."""
    plain = app.url.get_backend_name() if "sqlite" in app.url.drivername else None
    engine = create_engine(app.url.set(drivername=plain or "postgresql+psycopg"))
    asyncio.run(app.add("async"))

    assert ["async", "sync"] == _sync(engine, "sync")
    assert ["async", "sync"] == asyncio.run(app.names())


@pytest.mark.parametrize("kind", ["psycopg", "aiosqlite", "aiosqlite-file"])
async def test_a_sync_engine_in_a_thread_of_an_async_test(app: Application) -> None:
    """`asyncio.to_thread` with a sync session, while the loop goes on."""
    plain = "sqlite" if "sqlite" in app.url.drivername else "postgresql+psycopg"
    engine = create_engine(app.url.set(drivername=plain))
    await asyncio.gather(
        app.add("async"), *(asyncio.to_thread(_sync, engine, f"{n}") for n in range(5))
    )

    assert ["0", "1", "2", "3", "4", "async"] == await app.names()


@pytest.mark.parametrize("kind", ["psycopg", "aiosqlite", "aiosqlite-file"])
async def test_a_sync_engine_on_a_running_loop_blocks_it_and_joins(
    app: Application,
) -> None:
    """As sync code in a coroutine does with its own connection."""
    plain = "sqlite" if "sqlite" in app.url.drivername else "postgresql+psycopg"
    engine = create_engine(app.url.set(drivername=plain))
    await app.add("async")

    assert ["async", "sync"] == _sync(engine, "sync")


def test_the_plugins_sync_engine_works_on_every_driver(
    app: Application, isolation: Isolation
) -> None:
    """A Session on the async dialect, driven blockingly, in the same transaction."""
    asyncio.run(app.add("async"))
    with Session(isolation.sync_engine) as session:
        session.add(app.User(name="sync"))
        session.commit()

        assert ["async", "sync"] == sorted(session.scalars(select(app.User.name)))
    assert ["async", "sync"] == asyncio.run(app.names())


async def test_the_plugins_sync_engine_works_inside_a_running_loop(
    app: Application, isolation: Isolation
) -> None:
    """A sync helper called from an async test."""
    await app.add("async")
    with Session(isolation.sync_engine) as session:
        session.add(app.User(name="sync"))
        session.commit()

    assert ["async", "sync"] == await app.names()


async def test_missing_greenlet_is_still_raised(app: Application) -> None:
    """Only the plugin's sync engine may block; elsewhere the bug stays a bug."""
    async with app.session() as session:
        with pytest.raises(Exception, match="greenlet_spawn has not been called"):
            session.sync_session.scalars(select(app.User)).all()
