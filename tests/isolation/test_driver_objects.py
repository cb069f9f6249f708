"""What the driver's connection makes, remembers, and can be set to."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from pytest_asyncdb.errors import TransactionControlRefused
from tests.isolation.kinds import MYSQL, execute

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from tests.isolation.conftest import Application

    NextTest = Callable[..., None]

asyncpg = pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread"])
psycopg = pytest.mark.parametrize("kind", ["psycopg"])
sqlite = pytest.mark.parametrize("kind", ["aiosqlite", "aiosqlite-file"])

NAMES = "SELECT name FROM users ORDER BY name"


async def driver(connection: AsyncConnection) -> Any:
    """The driver's connection under it."""
    return (await connection.get_raw_connection()).driver_connection


# ----------------------------------------------------------- control, in disguise
async def test_control_given_by_keyword(app: Application, kind: str) -> None:
    """The text is refused wherever it stands among the arguments."""
    name = "query" if kind in {"asyncpg", "asyncpg-thread", "psycopg"} else "sql"
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        send = raw.query if kind in MYSQL else raw.execute
        with pytest.raises(TransactionControlRefused):
            await send(**{name: "COMMIT"})


@psycopg
@pytest.mark.parametrize("number", range(3))
async def test_control_that_is_no_str(app: Application, number: int) -> None:
    """Bytes are taken, and texts that are composed of parts."""
    from psycopg import sql

    text = sql.SQL("COMMIT")
    query = [b"COMMIT", text, sql.SQL("{}").format(text)][number]
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        with pytest.raises(TransactionControlRefused):
            await raw.execute(query)
        with pytest.raises(TransactionControlRefused):
            await raw.cursor().execute(query)


@asyncpg
async def test_control_that_is_prepared(app: Application) -> None:
    """prepare("COMMIT") and fetch("COMMIT")."""
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        for method in (raw.prepare, raw.fetch, raw.fetchval):
            with pytest.raises(TransactionControlRefused):
                await method("COMMIT")


@sqlite
async def test_control_by_other_methods_of_aiosqlite(app: Application) -> None:
    """Each method that takes SQL."""
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        for method in (raw.execute_fetchall, raw.execute_insert):
            with pytest.raises(TransactionControlRefused):
                await method("COMMIT")
        cursor = await raw.cursor()
        with pytest.raises(TransactionControlRefused):
            await cursor.execute("COMMIT")
        with pytest.raises(TransactionControlRefused):
            await cursor.executescript("SELECT 1")


# ------------------------------------------------------------------ what it makes
@asyncpg
async def test_a_cursor_of_asyncpg(app: Application) -> None:
    """Iterated, and awaited and fetched from."""
    await app.add("a", "b", "c")
    async with app.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        raw = await driver(connection)
        assert list("abc") == [row["name"] async for row in raw.cursor(NAMES)]
        cursor = await raw.cursor(NAMES)

        assert ["a", "b"] == [row["name"] for row in await cursor.fetch(2)]


@asyncpg
async def test_copy_out_of_asyncpg(app: Application) -> None:
    """copy_from_query and copy_to_table with files in memory."""
    await app.add("a", "b")
    async with app.engine.begin() as connection:
        raw = await driver(connection)
        output = io.BytesIO()
        await raw.copy_from_query(NAMES, output=output)
        source = io.BytesIO(b"70001\tcopied\n")
        await raw.copy_to_table("users", source=source, columns=["id", "name"])

        assert b"a\nb\n" == output.getvalue()
    assert ["a", "b", "copied"] == await app.names()


@psycopg
async def test_a_stream_of_psycopg(app: Application) -> None:
    """cursor.stream() gives rows one by one."""
    await app.add("a", "b", "c")
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        async with raw.cursor() as cursor:
            assert list("abc") == [row[0] async for row in cursor.stream(NAMES)]


@psycopg
async def test_copy_out_of_psycopg(app: Application) -> None:
    """COPY … TO STDOUT, row by row."""
    await app.add("a", "b")
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        async with (
            raw.cursor() as cursor,
            cursor.copy(f"COPY ({NAMES}) TO STDOUT") as copy,
        ):
            assert [("a",), ("b",)] == [row async for row in copy.rows()]


@psycopg
async def test_a_server_side_cursor_of_psycopg(app: Application) -> None:
    """cursor(name=…) on the driver's own connection."""
    await app.add("a", "b", "c")
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        async with raw.cursor(name="mine") as cursor:
            await cursor.execute(NAMES)

            assert [("a",), ("b",)] == await cursor.fetchmany(2)


@psycopg
async def test_a_pipeline_of_psycopg_works_or_is_refused(app: Application) -> None:
    """Nothing hangs, and nothing is lost."""
    async with app.engine.begin() as connection:
        raw = await driver(connection)
        try:
            async with raw.pipeline():
                await raw.execute("INSERT INTO users (id, name) VALUES (1, 'piped')")
        except TransactionControlRefused:
            await raw.execute("INSERT INTO users (id, name) VALUES (1, 'piped')")

    assert ["piped"] == await app.names()


@psycopg
async def test_notifies_of_psycopg_end_or_are_refused(app: Application) -> None:
    """Waiting for notifications must not stop everybody else for ever."""
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        try:
            async for _ in raw.notifies(timeout=0.05):
                pass
        except TransactionControlRefused:
            pass
    await app.add("on")

    assert ["on"] == await app.names()


@sqlite
async def test_methods_of_aiosqlite_that_read(app: Application) -> None:
    """execute_fetchall, iterdump, total_changes."""
    await app.add("a")
    async with app.engine.connect() as connection:
        raw = await driver(connection)
        assert [("a",)] == [tuple(row) for row in await raw.execute_fetchall(NAMES)]
        dump = [line async for line in raw.iterdump()]

        assert any("'a'" in line for line in dump)


# ------------------------------------------------------------- what it remembers
@psycopg
def test_a_row_factory_of_one_test(app: Application, next_test: NextTest) -> None:
    """SQLAlchemy's rows of the next test are rows again."""
    from psycopg.rows import dict_row

    async def change() -> None:
        async with app.engine.connect() as connection:
            (await driver(connection)).row_factory = dict_row

    asyncio.run(change())
    next_test()
    asyncio.run(app.add("a"))

    assert ["a"] == asyncio.run(app.names())


@psycopg
def test_a_notice_handler_of_one_test(app: Application, next_test: NextTest) -> None:
    """It hears nothing of the next test."""
    heard: list[Any] = []

    async def listen() -> None:
        async with app.engine.connect() as connection:
            (await driver(connection)).add_notice_handler(heard.append)

    async def speak() -> None:
        async with app.engine.connect() as connection:
            await connection.exec_driver_sql("DO $$ BEGIN RAISE WARNING 'x'; END $$")

    asyncio.run(listen())
    next_test()
    asyncio.run(speak())

    assert [] == heard


@asyncpg
def test_a_log_listener_of_one_test(app: Application, next_test: NextTest) -> None:
    """It hears nothing of the next test."""
    heard: list[Any] = []

    async def listen() -> None:
        async with app.engine.connect() as connection:
            raw = await driver(connection)
            raw.add_log_listener(lambda *words: heard.append(words))

    async def speak() -> None:
        async with app.engine.connect() as connection:
            await connection.exec_driver_sql("DO $$ BEGIN RAISE WARNING 'x'; END $$")

    asyncio.run(listen())
    next_test()
    asyncio.run(speak())

    assert [] == heard


@sqlite
@pytest.mark.parametrize("name", ["isolation_level", "row_factory", "text_factory"])
def test_an_attribute_of_aiosqlite_that_one_test_sets(
    app: Application, next_test: NextTest, name: str
) -> None:
    """The next test's transactions and rows are as ever; this test's own too."""
    values: dict[str, Any] = {
        "isolation_level": "IMMEDIATE",
        "row_factory": lambda _, row: {"row": row},
        "text_factory": bytes,
    }

    async def change() -> None:
        async with app.engine.connect() as connection:
            try:
                setattr(await driver(connection), name, values[name])
            except (AttributeError, TransactionControlRefused):
                return

    asyncio.run(change())
    if name == "isolation_level":
        asyncio.run(app.add("a"))
        asyncio.run(app.add("b"))
    next_test()
    asyncio.run(app.add("c"))

    assert ["c"] == asyncio.run(app.names())


@sqlite
def test_a_function_that_one_test_registers(
    app: Application, next_test: NextTest
) -> None:
    """create_function of the driver's connection in a test is gone in the next one."""

    async def register() -> None:
        async with app.engine.connect() as connection:
            raw = await driver(connection)
            await raw.create_function("lower", 1, lambda _: "replaced")

    async def lower() -> Any:
        async with app.engine.connect() as connection:
            return await connection.scalar(text("SELECT lower('A')"))

    asyncio.run(register())
    next_test()

    assert "a" == asyncio.run(lower())


async def test_the_raw_connection_of_an_engine(app: Application) -> None:
    """`await engine.raw_connection()`, used and closed by hand."""
    raw = await app.engine.raw_connection()
    assert raw.driver_connection is not None
    await execute(raw.driver_connection, "SELECT 1")
    raw.close()
    await app.add("on")

    assert ["on"] == await app.names()
