"""SQLite: explicit BEGIN, savepoints, PRAGMA, and the recipes people use."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection
from sqlalchemy.exc import IntegrityError

from pytest_asyncdb.errors import PragmaIgnored

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.isolation import Isolation
    from tests.isolation.conftest import Application

    MakeApp = Callable[..., Application]

pytestmark = [
    pytest.mark.usefixtures("isolation"),
    pytest.mark.parametrize("kind", ["aiosqlite", "aiosqlite-file"]),
]
ORPHAN = text("INSERT INTO posts (id, user_id) VALUES (1, 4711)")


def with_foreign_keys(app: Application, value: str = "ON") -> Application:
    """The listener that SQLAlchemy's documentation shows."""

    @event.listens_for(app.engine.sync_engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA foreign_keys={value}")
        cursor.close()

    return app


async def test_a_recipe_may_ask_whose_connection_it_is(make_app: MakeApp) -> None:
    """A listener for every engine tells SQLite's connections by their class."""
    app = make_app()
    sync = create_engine(app.engine.url.set(drivername="sqlite"))
    seen: list[Any] = []

    @event.listens_for(Engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        seen.append(connection)

    try:
        await app.add("one")
        with sync.connect():
            pass
    finally:
        event.remove(Engine, "connect", _connect)
        sync.dispose()

    assert isinstance(seen[0], AsyncAdapt_aiosqlite_connection)
    assert isinstance(seen[-1], sqlite3.Connection)


async def test_the_documented_recipe_for_savepoints(make_app: MakeApp) -> None:
    """isolation_level None and BEGIN by listeners; the sandbox has begun already."""
    app = make_app()

    @event.listens_for(app.engine.sync_engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        connection.isolation_level = None

    @event.listens_for(app.engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    await app.add("one")
    async with app.session() as session, session.begin():
        nested = await session.begin_nested()
        session.add(app.User(name="undone"))
        await session.flush()
        await nested.rollback()

    assert ["one"] == await app.names()


@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "BEGIN"])
async def test_begin_immediate_by_a_listener(make_app: MakeApp, begin: str) -> None:
    """Another common recipe, with four sessions at once."""
    app = make_app()
    event.listen(
        app.engine.sync_engine, "begin", lambda conn: conn.exec_driver_sql(begin)
    )
    await asyncio.gather(*map(app.add, "abcd"))

    assert list("abcd") == await app.names()


async def test_foreign_keys_as_the_application_sets_them(make_app: MakeApp) -> None:
    """ON by a listener: an orphan is refused, and the test goes on."""
    app = with_foreign_keys(make_app())
    async with app.engine.connect() as connection:
        with pytest.raises(IntegrityError):
            await connection.execute(ORPHAN)
    await app.add("on")

    assert ["on"] == await app.names()


async def test_without_the_listener_foreign_keys_are_off(app: Application) -> None:
    """SQLite's own default."""
    async with app.engine.connect() as connection:
        await connection.execute(ORPHAN)

        assert 0 == await connection.scalar(text("PRAGMA foreign_keys"))


async def test_the_listener_of_a_second_engine_in_the_middle_of_a_test(
    app: Application, make_app: MakeApp
) -> None:
    """PRAGMA foreign_keys does nothing inside a transaction, so it is made to hold."""
    await app.add("before")
    second = with_foreign_keys(make_app())
    async with second.engine.connect() as connection:
        with pytest.raises(IntegrityError):
            await connection.execute(ORPHAN)

    assert ["before"] == await app.names()


async def test_the_listener_while_a_transaction_is_open(
    app: Application, make_app: MakeApp
) -> None:
    """There it cannot be made to hold, which is said instead of ignored."""
    held = await app.flushed("held")
    second = with_foreign_keys(make_app())
    with pytest.raises(PragmaIgnored, match="foreign_keys"):
        await second.engine.connect()
    await held.commit()
    await held.close()

    assert ["held"] == await app.names()


async def test_foreign_keys_as_a_statement_inside_a_transaction(
    app: Application,
) -> None:
    """As in SQLite itself: no error, no effect."""
    async with app.engine.connect() as connection:
        await connection.execute(text("INSERT INTO users (id, name) VALUES (1, 'x')"))
        await connection.execute(text("PRAGMA foreign_keys = ON"))

        assert 0 == await connection.scalar(text("PRAGMA foreign_keys"))


def test_foreign_keys_of_one_test_are_not_the_next_ones(
    make_app: MakeApp, next_test: Callable[..., None]
) -> None:
    """An engine with the listener in one test, one without in the next."""
    asyncio.run(with_foreign_keys(make_app()).add("one"))
    next_test()

    async def orphan() -> int:
        async with make_app().engine.connect() as connection:
            return (await connection.execute(ORPHAN)).rowcount

    assert 1 == asyncio.run(orphan())


@pytest.mark.parametrize(
    "pragma",
    [
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "busy_timeout=5000",
        "cache_size=-64000",
        "temp_store=MEMORY",
        "mmap_size=30000000",
    ],
)
async def test_common_pragmas_of_a_listener(
    app: Application, make_app: MakeApp, pragma: str
) -> None:
    """At first use, and in the middle of a test: nothing hangs and nothing is lost."""
    for name in ("a", "b"):
        engine = make_app()
        event.listen(
            engine.engine.sync_engine,
            "connect",
            lambda connection, _: connection.cursor().execute(f"PRAGMA {pragma}"),
        )
        await engine.add(name)

    assert ["a", "b"] == await app.names()


async def test_a_registered_function(make_app: MakeApp) -> None:
    """create_function in a connect listener, as for regular expressions."""
    app = make_app()

    @event.listens_for(app.engine.sync_engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        connection.create_function("shout", 1, lambda value: f"{value}!")

    async with app.engine.connect() as connection:
        assert "a!" == await connection.scalar(text("SELECT shout('a')"))


async def test_regexp_match_of_the_dialect(app: Application) -> None:
    """SQLAlchemy registers REGEXP by itself on every connection."""
    await app.add("abc", "xyz")
    async with app.session() as session:
        found = await session.scalars(
            app.User.__table__.select().where(app.User.name.regexp_match("^a"))
        )

        assert 1 == len(list(found))


async def test_returning_and_lastrowid(app: Application) -> None:
    """Both ways to the number of a new row."""
    async with app.engine.connect() as connection:
        insert = "INSERT INTO users (name) VALUES"
        result = await connection.exec_driver_sql(f"{insert} ('a')")
        returned = await connection.exec_driver_sql(f"{insert} ('b') RETURNING id")

        assert result.lastrowid + 1 == returned.scalar()


async def test_deferred_foreign_keys_raise_at_commit(make_app: MakeApp) -> None:
    """PRAGMA defer_foreign_keys: COMMIT fails, and the orphan is not there."""
    app = with_foreign_keys(make_app())
    async with app.engine.connect() as connection:
        await connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        await connection.execute(ORPHAN)
        with pytest.raises(IntegrityError):
            await connection.commit()
    async with app.engine.connect() as connection:
        assert 0 == await connection.scalar(text("SELECT count(*) FROM posts"))


async def test_memory_without_the_direct_call(
    kind: str, make_isolation: Callable[..., Isolation], make_app: MakeApp
) -> None:
    """The switch: aiosqlite with its thread, on a copy of the template all the same."""
    isolation = make_isolation(kind, sqlite_direct=False)
    isolation.open("a test")
    app = make_app()
    await asyncio.gather(*map(app.add, "abcd"))
    async with app.session() as session:
        assert 1 == await session.scalar(text("SELECT count(*) FROM seeds"))

    assert list("abcd") == await app.names()


async def test_types_are_adapted_as_by_the_driver(app: Application) -> None:
    """bytes, None, large integers and text come back as they went."""
    async with app.engine.connect() as connection:
        row = (
            await connection.exec_driver_sql(
                "SELECT ?, ?, ?, ?", (b"\0", None, 2**60, "ü")
            )
        ).one()

        assert (b"\0", None, 2**60, "ü") == tuple(row)


async def test_errors_are_those_of_sqlite3(app: Application) -> None:
    """The original error is the driver's, with its code."""
    await app.add("taken")
    with pytest.raises(IntegrityError) as caught:
        await app.add("taken")

    assert isinstance(caught.value.orig, sqlite3.IntegrityError)


async def test_a_listener_for_all_engines_reaches_the_plugins_own(
    kind: str, make_isolation: Callable[..., Isolation]
) -> None:
    """SQLAlchemy's recipe listens on the class; it ran when the first one connected."""

    def enforce(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    event.listen(Engine, "connect", enforce)
    try:
        isolation = make_isolation(kind)
        isolation.open("a test")
        async with isolation.sessionmaker() as session:
            assert 1 == await session.scalar(text("PRAGMA foreign_keys"))
    finally:
        event.remove(Engine, "connect", enforce)
