"""The driver's own connection: its statements are the sandbox's too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from pytest_asyncdb.errors import FinishedTest, TransactionControlRefused
from tests.isolation.kinds import execute

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from tests.isolation.conftest import Application, Ending

asyncpg = pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread"])
psycopg = pytest.mark.parametrize("kind", ["psycopg"])
sqlite = pytest.mark.parametrize("kind", ["aiosqlite", "aiosqlite-file"])

INSERT = "INSERT INTO users (id, name) VALUES "


async def driver(connection: AsyncConnection) -> Any:
    """The driver's connection under it."""
    return (await connection.get_raw_connection()).driver_connection


async def test_an_insert_as_the_first_statement_does_not_survive(
    app: Application,
) -> None:
    """Before BEGIN was sent; the observer looks afterwards."""
    async with app.engine.begin() as connection:
        await execute(await driver(connection), f"{INSERT} (1, 'first')")

    assert ["first"] == await app.names()


@asyncpg
async def test_asyncpg_commits_by_itself_where_no_transaction_was_begun(
    app: Application,
) -> None:
    """SQLAlchemy begins with its own first statement; before that, each one is kept."""
    async with app.engine.connect() as connection:
        await (await driver(connection)).execute(f"{INSERT} (1, 'kept')")

    assert ["kept"] == await app.names()


async def test_it_is_part_of_its_connections_transaction(app: Application) -> None:
    """The rollback of the connection undoes what went past SQLAlchemy."""
    async with app.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        await execute(await driver(connection), f"{INSERT} (1, 'undone')")
        await connection.rollback()

    assert [] == await app.names()


@pytest.mark.parametrize("name", ["commit", "rollback", "close"])
async def test_the_drivers_own_ends_are_refused(app: Application, name: str) -> None:
    """Where the driver has such a method at all."""
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        if not hasattr(raw, name):
            pytest.skip(f"the driver has no {name}()")
        with pytest.raises(TransactionControlRefused):
            await getattr(raw, name)()
    await app.add("on")

    assert ["on"] == await app.names()


async def test_control_as_text_is_refused_there_too(app: Application) -> None:
    """COMMIT through the driver."""
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        with pytest.raises(TransactionControlRefused):
            await execute(raw, "COMMIT")


@asyncpg
async def test_fetch_fetchrow_fetchval_of_asyncpg(app: Application) -> None:
    """Arguments and results of asyncpg's own."""
    await app.add("a", "b")
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        sql = "SELECT name FROM users WHERE name = $1"

        assert [("a",)] == [tuple(row) for row in await raw.fetch(sql, "a")]
        assert ("b",) == tuple(await raw.fetchrow(sql, "b"))
        assert 2 == await raw.fetchval("SELECT count(*) FROM users")


@asyncpg
async def test_executemany_and_a_script_of_asyncpg(app: Application) -> None:
    """Many sets of arguments, and many statements in one text."""
    async with app.engine.begin() as connection:
        raw = await driver(connection)
        await raw.executemany(f"{INSERT} ($1, $2)", [(1, "one"), (2, "two")])
        await raw.execute(f"{INSERT} (3, 'three'); {INSERT} (4, 'four')")

    assert ["four", "one", "three", "two"] == await app.names()


@asyncpg
async def test_copy_of_asyncpg_after_a_pending_rollback(app: Application) -> None:
    """ROLLBACK TO that has not travelled yet must go before COPY, or takes its rows."""
    async with app.engine.connect() as connection:
        await connection.execute(text(f"{INSERT} (1, 'undone')"))
        await connection.rollback()
        await connection.begin()
        raw = await driver(connection)
        await raw.copy_records_to_table(
            "users", records=[(2, "copied")], columns=["id", "name"]
        )
        await connection.commit()

    assert ["copied"] == await app.names()


@asyncpg
async def test_a_prepared_statement_of_asyncpg(app: Application) -> None:
    """prepare() gives an object whose calls are statements as well."""
    await app.add("a")
    async with app.engine.connect() as connection:
        statement = await (await driver(connection)).prepare(
            "SELECT name FROM users WHERE name = $1"
        )

        assert "a" == await statement.fetchval("a")
        assert None is await statement.fetchval("b")


@asyncpg
async def test_a_transaction_of_asyncpg_is_refused(app: Application) -> None:
    """The sandbox could not see its end."""
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        with pytest.raises(TransactionControlRefused):
            raw.transaction()


@psycopg
async def test_a_cursor_of_psycopg(app: Application) -> None:
    """cursor() as context manager, execute, iteration."""
    await app.add("a", "b")
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        async with raw.cursor() as cursor:
            await cursor.execute("SELECT name FROM users ORDER BY name")

            assert [("a",), ("b",)] == [row async for row in cursor]


@psycopg
async def test_copy_of_psycopg_after_a_pending_rollback(app: Application) -> None:
    """As with asyncpg: the rows of COPY stay."""
    async with app.engine.connect() as connection:
        await connection.execute(text(f"{INSERT} (1, 'undone')"))
        await connection.rollback()
        await connection.begin()
        raw = await driver(connection)
        async with (
            raw.cursor() as cursor,
            cursor.copy("COPY users (id, name) FROM STDIN") as copy,
        ):
            await copy.write_row((2, "copied"))
        await connection.commit()

    assert ["copied"] == await app.names()


@psycopg
async def test_a_pipeline_or_transaction_of_psycopg_is_refused(
    app: Application,
) -> None:
    """The sandbox could not see where it ends."""
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        with pytest.raises(TransactionControlRefused):
            raw.transaction()


@sqlite
async def test_rows_of_aiosqlite(app: Application) -> None:
    """It gives a cursor that is awaited and iterated."""
    await app.add("a", "b")
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        async with raw.execute("SELECT name FROM users ORDER BY name") as cursor:
            assert [("a",), ("b",)] == [tuple(row) async for row in cursor]


@sqlite
async def test_a_script_of_aiosqlite_is_refused_or_rolled_back(
    app: Application,
) -> None:
    """sqlite3's executescript commits first, all by itself."""
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        with pytest.raises(TransactionControlRefused):
            await raw.executescript(f"{INSERT} (1, 'script')")


async def test_a_failing_statement_of_the_driver(app: Application) -> None:
    """The connection's transaction has failed; the test has not."""
    await app.add("before")
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        with pytest.raises(Exception, match=r"nowhere"):
            await execute(raw, "SELECT * FROM nowhere")
    await app.add("after")

    assert ["after", "before"] == await app.names()


def test_it_does_not_work_in_the_next_test(
    app: Application, ending: Ending, next_test: Callable[..., None]
) -> None:
    """Who keeps it gets the name of the test that it belongs to."""

    async def kept() -> tuple[AsyncConnection, Any]:
        connection = await app.engine.connect()
        return connection, await driver(connection)

    async def late(raw: Any) -> None:
        await execute(raw, f"{INSERT} (1, 'late')")

    connection, raw = asyncio.run(kept())
    ending.leak("was left open")
    next_test()
    with pytest.raises(FinishedTest, match="test_it_does_not_work"):
        asyncio.run(late(raw))
    asyncio.run(connection.close())


async def test_its_calls_may_be_given_to_a_task(app: Application) -> None:
    """`wait_for`, `gather` and `create_task` drive what they get by themselves."""
    async with app.engine.begin() as connection:
        raw = await driver(connection)
        send = getattr(raw, "execute", None) or raw.query
        await asyncio.wait_for(send(f"{INSERT} (1, 'one')"), 3)
        await asyncio.gather(send(f"{INSERT} (2, 'two')"))

    assert ["one", "two"] == await app.names()


@asyncpg
def test_a_codec_that_one_test_registers_is_gone_in_the_next(
    app: Application, next_test: Callable[..., None]
) -> None:
    """set_type_codec changes the physical connection; the next test has another."""

    async def register() -> None:
        async with app.engine.connect() as connection:
            await (await driver(connection)).set_type_codec(
                "int4",
                schema="pg_catalog",
                encoder=str,
                decoder=lambda value: f"decoded {value}",
            )

    async def number() -> Any:
        async with app.engine.connect() as connection:
            return await connection.scalar(text("SELECT 7::int4"))

    asyncio.run(register())
    next_test()

    assert 7 == asyncio.run(number())
