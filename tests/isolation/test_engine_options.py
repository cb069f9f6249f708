"""What an engine's connections are made with, and what its listeners send."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, func, select, text

from pytest_asyncdb.errors import TransactionControlRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.isolation.conftest import Application

    MakeApp = Callable[..., Application]

pytestmark = pytest.mark.usefixtures("isolation")
postgresql = pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread", "psycopg"])
asyncpg = pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread"])


async def test_a_connect_listener_that_sends_statements(make_app: MakeApp) -> None:
    """Its SET or PRAGMA holds in every transaction of the engine."""
    app = make_app()
    command, ask, setting = {
        "sqlite": ("PRAGMA cache_size = -777", "PRAGMA cache_size", "-777"),
        "postgresql": ("SET work_mem = '777kB'", "SHOW work_mem", "777kB"),
        "mariadb": ("SET sort_buffer_size = 7168", "SELECT @@sort_buffer_size", "7168"),
    }[app.url.get_backend_name()]

    @event.listens_for(app.engine.sync_engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(command)
        cursor.close()

    found = []
    for _ in range(2):
        async with app.engine.connect() as connection:
            found.append(str(await connection.scalar(text(ask))))

    assert [setting, setting] == found


async def test_a_connect_listener_that_writes(
    app: Application, make_app: MakeApp
) -> None:
    """As the first statement of the test: its row goes with the others."""
    other = make_app()

    @event.listens_for(other.engine.sync_engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO users (name) VALUES ('by a listener')")
        cursor.close()
        connection.commit()

    async with other.engine.connect():
        pass

    assert ["by a listener"] == await app.names()


async def test_a_connect_listener_while_another_session_is_open(
    app: Application, make_app: MakeApp
) -> None:
    """It runs in the middle of the other's transaction, and neither notices."""
    held = await app.flushed("held")
    other = make_app()

    @event.listens_for(other.engine.sync_engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        assert (1,) == tuple(cursor.fetchone())
        cursor.close()

    await other.add("other")
    await held.commit()
    await held.close()

    assert ["held", "other"] == await app.names()


@postgresql
async def test_json_is_decoded_as_each_engine_says(
    kind: str, make_app: MakeApp
) -> None:
    """Codecs belong to the connection, of which there is one for all engines."""
    plain = make_app()
    marked = make_app(json_deserializer=lambda _: "by the application")
    found = []
    for app in (plain, marked, plain):
        async with app.engine.connect() as connection:
            found.append(
                await connection.scalar(text("SELECT '{\"a\": 1}'::jsonb -> 'a'"))
            )

    assert [1, "by the application", 1] == found


@postgresql
async def test_json_is_encoded_as_each_engine_says(make_app: MakeApp) -> None:
    """json_serializer is SQLAlchemy's own, before the driver."""
    from sqlalchemy import JSON, bindparam

    app = make_app(json_serializer=lambda value: json.dumps({"wrapped": value}))
    async with app.engine.connect() as connection:
        statement = text("SELECT CAST(:v AS jsonb) ->> 'wrapped'").bindparams(
            bindparam("v", type_=JSON)
        )

        assert "1" == await connection.scalar(statement, {"v": 1})


@asyncpg
async def test_server_settings_hold_in_the_engines_transactions(
    app: Application, make_app: MakeApp
) -> None:
    """search_path and timezone of connect_args, and not in another engine's."""
    other = make_app(
        connect_args={
            "server_settings": {"timezone": "Asia/Tokyo", "search_path": "pg_catalog"}
        }
    )
    question = text("SELECT current_setting('timezone') || current_schema()")
    found = []
    for each in (other, app, other):
        async with each.engine.connect() as connection:
            found.append(await connection.scalar(question))

    assert ["Asia/Tokyopg_catalog", "UTCpublic", "Asia/Tokyopg_catalog"] == found


@asyncpg
async def test_server_settings_hold_after_a_rollback(make_app: MakeApp) -> None:
    """SET LOCAL goes with ROLLBACK TO, so it is sent again."""
    app = make_app(connect_args={"server_settings": {"timezone": "Asia/Tokyo"}})
    for _ in range(2):
        async with app.engine.connect() as connection:
            await connection.execute(text("INSERT INTO users (name) VALUES ('x')"))
            assert "Asia/Tokyo" == await connection.scalar(text("SHOW timezone"))
            await connection.rollback()
            assert "Asia/Tokyo" == await connection.scalar(text("SHOW timezone"))


@pytest.mark.parametrize("kind", ["psycopg"])
async def test_options_of_libpq_hold_in_the_engines_transactions(
    app: Application, make_app: MakeApp
) -> None:
    """-c name=value, as psycopg takes it."""
    other = make_app(connect_args={"options": "-c timezone=Asia/Tokyo"})
    found = []
    for each in (other, app):
        async with each.engine.connect() as connection:
            found.append(await connection.scalar(text("SHOW timezone")))

    assert ["Asia/Tokyo", "UTC"] == found


async def test_the_dialect_is_initialised(make_app: MakeApp) -> None:
    """Version and default schema are known after the first connect, as for real."""
    app = make_app()
    await app.names()
    dialect = app.engine.dialect

    assert dialect.server_version_info is not None
    expected = {"postgresql": "public", "mariadb": app.url.database}
    assert dialect.default_schema_name == expected.get(dialect.name, "main")


async def test_a_checkout_listener_that_sends_statements(make_app: MakeApp) -> None:
    """Tenants are often set there; it belongs to the connection's first transaction."""
    app = make_app()

    @event.listens_for(app.engine.sync_engine, "checkout")
    def _checkout(connection: Any, *_: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        assert (1,) == tuple(cursor.fetchone())
        cursor.close()

    await asyncio.gather(*map(app.add, "abcd"))

    assert list("abcd") == await app.names()


async def test_a_connect_listener_that_raises(
    app: Application, make_app: MakeApp
) -> None:
    """Its error reaches the application; others, and a second try, are not harmed."""
    other, errors = make_app(), [LookupError("no such secret")]

    @event.listens_for(other.engine.sync_engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        connection.cursor().execute("SELECT 1")
        if errors:
            raise errors.pop()

    held = await app.flushed("held")
    with pytest.raises(LookupError):
        await other.names()
    await other.add("second try")
    await held.commit()
    await held.close()

    assert ["held", "second try"] == await app.names()


@postgresql
async def test_a_begin_listener_that_sends_set_local(
    app: Application, make_app: MakeApp
) -> None:
    """For each transaction of its engine; the other engine's are not touched."""
    other = make_app()
    ask = "SHOW timezone"

    @event.listens_for(other.engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("SET LOCAL timezone = 'Asia/Tokyo'")

    found = []
    for each in (other, app, other):
        async with each.engine.connect() as connection:
            found.append(await connection.scalar(text(ask)))
            await connection.commit()

    assert ["Asia/Tokyo", "UTC", "Asia/Tokyo"] == found


@pytest.mark.parametrize("kind", ["psycopg"])
async def test_autocommit_by_connect_args_is_refused(make_app: MakeApp) -> None:
    """It would commit each statement for real."""
    app = make_app(connect_args={"autocommit": True})
    with pytest.raises(TransactionControlRefused, match="AUTOCOMMIT"):
        await app.add("committed")


@pytest.mark.parametrize("kind", ["psycopg"])
async def test_options_in_the_url_hold(app: Application, make_app: MakeApp) -> None:
    """postgresql://…?options=-csearch_path%3D… is the same database all the same."""
    url = app.url.update_query_dict({"options": "-c timezone=Asia/Tokyo"})
    async with make_app(url).engine.connect() as connection:
        assert "Asia/Tokyo" == await connection.scalar(text("SHOW timezone"))
    await app.add("on")

    assert ["on"] == await make_app(url).names()


async def test_the_schema_translate_map(make_app: MakeApp) -> None:
    """Options of a connection that change the SQL are no business of the sandbox."""
    app = make_app()
    schemas = {"postgresql": "public", "mariadb": app.url.database}
    schema = schemas.get(app.url.get_backend_name(), "main")
    async with app.engine.connect() as connection:
        translated = await connection.execution_options(
            schema_translate_map={None: schema}
        )
        assert 1 == await translated.scalar(select(func.count()).select_from(app.Seed))
