"""Which engines share the test's transaction, and which are refused."""

from __future__ import annotations

import asyncio
import contextvars
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, create_engine, make_url, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asyncdb.errors import EngineRefused
from tests.isolation.kinds import MYSQL

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.isolation import Isolation
    from pytest_asyncdb.provisioning import Database
    from tests.isolation.conftest import Application, Databases, Isolations

    MakeApp = Callable[..., Application]
    MakeIsolation = Callable[..., Isolation]

postgresql = pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread", "psycopg"])
sqlite = pytest.mark.parametrize("kind", ["aiosqlite", "aiosqlite-file"])

ELSEWHERE = {
    "postgresql+asyncpg": "postgresql+asyncpg://app:secret@db.invalid:5433/blog",
    "postgresql+psycopg": "postgresql+psycopg://app:secret@db.invalid:5433/blog",
    "sqlite+aiosqlite": "sqlite+aiosqlite:////nowhere/at/all/blog.db",
    "mariadb+asyncmy": "mysql+asyncmy://app:secret@db.invalid:3307/blog",
    "mariadb+aiomysql": "mysql+aiomysql://app:secret@db.invalid:3307/blog",
}


def test_an_engine_that_connected_before_the_test(
    database: Database, isolations: Isolations, kind: str
) -> None:
    """Its pool has a real connection; in the test it is in the sandbox all the same."""
    if kind == "aiosqlite":
        pytest.skip("every engine in memory is a database of its own")
    isolation = isolations.kept(kind)
    engine = create_async_engine(database.url)

    async def names(name: str | None = None) -> list[Any]:
        async with engine.begin() as connection:
            if name is not None:
                await connection.execute(
                    text("INSERT INTO users (name) VALUES (:name)"), {"name": name}
                )
            return list(await connection.scalars(text("SELECT name FROM users")))

    with asyncio.Runner() as runner:
        run = partial(runner.run, context=contextvars.copy_context())
        assert [] == run(names())
        isolation.open("in a test")
        assert ["row"] == runner.run(names("row"), context=contextvars.copy_context())
        assert [] == isolation.close()
        assert [] == run(names())
        run(engine.dispose())


async def test_two_engines_of_one_url_share_the_transaction(
    app: Application, make_app: MakeApp
) -> None:
    """What one commits the other one reads."""
    await app.add("by the first")

    assert ["by the first"] == await make_app().names()


async def test_an_engine_made_in_the_middle_of_an_open_transaction(
    app: Application, make_app: MakeApp
) -> None:
    """Its first connect asks the server nothing that disturbs the open one."""
    session = await app.flushed("held")
    await make_app().add("other")
    await session.commit()
    await session.close()

    assert ["held", "other"] == await app.names()


async def test_an_application_with_another_url_joins(
    kind: str, make_isolation: MakeIsolation, make_app: MakeApp
) -> None:
    """One identity besides the run's own: nothing connects to where it points."""
    isolation = make_isolation(kind)
    url = isolation._link.database.url
    isolation.open("a test")
    app = make_app(make_url(ELSEWHERE[url.drivername]))
    await app.add("elsewhere")

    assert ["elsewhere"] == await app.names()
    async with isolation.sessionmaker() as session:
        assert ["elsewhere"] == list(await session.scalars(select(app.User.name)))


async def test_a_second_identity_is_refused(
    kind: str, make_isolation: MakeIsolation, make_app: MakeApp
) -> None:
    """The error names both, masks the password, and says what the project can do."""
    isolation = make_isolation(kind)
    url = make_url(ELSEWHERE[isolation._link.database.url.drivername])
    isolation.open("a test")
    await make_app(url).names()
    second = url.set(database=f"{url.database}2")
    with pytest.raises(EngineRefused) as caught:
        await make_app(second).names()

    assert "blog2" in caught.value.cause or "blog.db2" in caught.value.cause
    assert "blog" in caught.value.cause
    assert "secret" not in str(caught.value)
    assert "asyncdb_capture" in str(caught.value)


async def test_the_project_lets_a_second_identity_join(
    kind: str, make_isolation: MakeIsolation, make_app: MakeApp
) -> None:
    """asyncdb_capture returns True: both are the test's database."""
    isolation = make_isolation(kind, joins=lambda _: True)
    url = make_url(ELSEWHERE[isolation._link.database.url.drivername])
    isolation.open("a test")
    await make_app(url).add("one")
    await make_app(url.set(database="two")).add("two")

    assert ["one", "two"] == await make_app(url).names()


async def test_the_project_lets_an_engine_connect_for_real(
    kind: str, make_isolation: MakeIsolation, make_app: MakeApp, tmp_path: Any
) -> None:
    """asyncdb_capture returns False: its rows are there for good, where it says."""
    real = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'real.db'}")
    isolation = make_isolation(
        kind, joins=lambda engine: False if engine is real.sync_engine else None
    )
    isolation.open("a test")
    async with real.begin() as connection:
        await connection.execute(text("CREATE TABLE kept (id integer)"))
    isolation.close()
    async with real.begin() as connection:
        assert [] == list(await connection.execute(text("SELECT * FROM kept")))
    await real.dispose()


async def test_another_product_is_refused(
    isolation: Isolation, database: Database, tmp_path: Any
) -> None:
    """Both products are named, and what to give for the engine's own."""
    other = {
        "postgresql": f"sqlite+aiosqlite:///{tmp_path / 'x.db'}",
        "sqlite": "postgresql+asyncpg://app:secret@db.invalid/blog",
        "mariadb": "postgresql+asyncpg://app:secret@db.invalid/blog",
    }[database.product]
    engine = create_async_engine(other)
    with pytest.raises(EngineRefused) as caught:
        await engine.connect()

    assert database.product in caught.value.cause
    assert f"--asyncdb={engine.dialect.name}" in str(caught.value)
    assert f"False if engine.dialect.name == '{engine.dialect.name}' else None" in str(
        caught.value
    )
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "x.db").exists()


@postgresql
async def test_another_drivers_family_is_refused(
    isolation: Isolation, database: Database
) -> None:
    """The one cannot use the other's connection; the error has the word to give."""
    other = {"asyncpg": "psycopg", "psycopg": "asyncpg"}[database.url.get_driver_name()]
    engine = create_async_engine(database.url.set(drivername=f"postgresql+{other}"))
    with pytest.raises(EngineRefused, match=other) as caught:
        await engine.connect()

    assert f"--asyncdb=postgresql+{other}" in str(caught.value)


@postgresql
async def test_an_async_creator_is_refused(
    isolation: Isolation, database: Database
) -> None:
    """Nobody knows where it would connect to."""

    async def creator() -> Any:
        import asyncpg

        return await asyncpg.connect(host="db.invalid")

    if database.url.get_driver_name() != "asyncpg":
        pytest.skip("one driver's creator is enough")
    engine = create_async_engine("postgresql+asyncpg://", async_creator=creator)
    with pytest.raises(EngineRefused, match="creator"):
        await engine.connect()


@sqlite
async def test_an_async_creator_joins_where_the_project_says_so(
    kind: str, make_isolation: MakeIsolation
) -> None:
    """asyncdb_capture returns True; the creator is never called."""

    async def creator() -> Any:
        pytest.fail("this would connect to somewhere else")

    isolation = make_isolation(kind, joins=lambda _: True)
    isolation.open("a test")
    engine = create_async_engine("sqlite+aiosqlite://", async_creator=creator)
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO users (name) VALUES ('joined')"))
    async with isolation.sessionmaker() as session:
        assert 1 == await session.scalar(text("SELECT count(*) FROM users"))


async def test_a_pool_asked_for_a_connection_past_its_engine(app: Application) -> None:
    """`engine.pool.connect()` would be a real connection, so it is refused."""

    def bypass(_: Any) -> Any:
        return app.engine.sync_engine.pool.connect()

    async with app.engine.connect() as connection:
        with pytest.raises(EngineRefused, match="pool"):
            await connection.run_sync(bypass)


async def test_a_refused_engine_poisons_nobody(
    app: Application, isolation: Isolation, kind: str
) -> None:
    """The test goes on with its own engines."""
    other = "postgresql+psycopg" if kind in MYSQL else "mysql+pymysql"
    engine = create_engine(f"{other}://app:secret@db.invalid/blog")
    with pytest.raises(EngineRefused):
        engine.connect()
    await app.add("on")

    assert ["on"] == await app.names()


def test_the_same_engine_is_real_in_a_test_that_asked_for_none(
    kind: str, make_isolation: MakeIsolation, tmp_path: Any, database: Database
) -> None:
    """And the hook for unrequested connections is called."""
    seen: list[Any] = []
    isolation = make_isolation(kind)
    isolation.unrequested = seen.append
    isolation.open("asks for nothing", requested=False)
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}")

    async def work() -> int:
        async with engine.connect() as connection:
            answer: int = (await connection.execute(text("SELECT 1"))).scalar_one()
        await engine.dispose()
        return answer

    assert 1 == asyncio.run(work())
    assert 1 == len(seen)
    assert [] == isolation.close()


def test_capture_is_taken_away_again(
    kind: str, databases: Databases, isolations: Isolations
) -> None:
    """After uninstall `Engine.raw_connection` is what it was before."""
    before = Engine.raw_connection
    own = type(isolations)(databases)
    own.make(kind)

    assert before is not Engine.raw_connection
    own.close()
    assert before is Engine.raw_connection
