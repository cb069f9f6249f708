"""Over a bridge as without one: rows, errors, and where I/O is allowed."""

from __future__ import annotations

import asyncio
import json
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import JSON, literal, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, MissingGreenlet

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tests.loops.conftest import Application

DUPLICATES = {
    "asyncpg": ("UniqueViolationError", "23505", "asyncpg"),
    "psycopg": ("UniqueViolation", "23505", "psycopg"),
    "asyncmy": ("IntegrityError", "23000", "asyncmy"),
    "aiomysql": ("IntegrityError", "23000", "aiomysql"),
    "memory": ("IntegrityError", "SQLITE_CONSTRAINT_UNIQUE", "pytest_asyncdb"),
    "file": ("IntegrityError", "SQLITE_CONSTRAINT_UNIQUE", "aiosqlite"),
}
"""The driver's error for a row twice: its class, its code, whose frames it shows."""


async def test_rows_that_are_streamed(app: Application) -> None:
    """A server's cursor, seven rows at a time."""
    names = [f"{number:02}" for number in range(30)]
    await app.add(*names)
    query = select(app.User.name).order_by(app.User.name)
    async with app.sessions() as session:
        stream = await session.stream_scalars(query.execution_options(yield_per=7))
        rows = [name async for name in stream]

    assert names == rows
    assert names == await app.names()


async def test_a_stream_that_is_left_in_the_middle(app: Application) -> None:
    """The cursor is closed with its result, and the next statement works."""
    await app.add(*(f"{number:02}" for number in range(30)))
    query = select(app.User.name).order_by(app.User.name)
    async with app.engine.connect() as connection:
        async with connection.stream(query.execution_options(yield_per=5)) as stream:
            first = await stream.fetchone()

        assert ("00",) == first
        assert 30 == len((await connection.execute(query)).all())


async def test_streams_of_two_tasks_at_once(app: Application) -> None:
    """Cursors of two transactions stand open on the one connection."""
    names = [f"{number:02}" for number in range(20)]
    await app.add(*names)

    async def read() -> list[str]:
        query = select(app.User.name).order_by(app.User.name)
        async with app.engine.connect() as connection:
            stream = await connection.stream(query.execution_options(yield_per=3))
            return [row[0] async for row in stream]

    assert [names, names] == list(await asyncio.gather(read(), read()))


async def test_the_error_is_the_drivers_own(app: Application, kind: str) -> None:
    """Its class, its SQLSTATE, and the driver's frames in the traceback."""
    await app.add("twice")
    with pytest.raises(IntegrityError) as caught:
        await app.add("twice")
    original: Any = caught.value.orig
    cause = original.__cause__ or original
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    frames = "".join(traceback.format_exception(original))
    name, expected, owner = DUPLICATES[kind]

    assert (name, expected) == (type(cause).__name__, code)
    assert f"{owner}/" in frames
    assert ["twice"] == await app.names()


async def test_the_error_shows_where_the_application_called(app: Application) -> None:
    """The traceback leads from the test to the driver without a gap."""
    async with app.engine.connect() as connection:
        with pytest.raises(DBAPIError) as caught:
            await connection.execute(text("SELECT nonsense"))
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]

    assert "test_the_error_shows_where_the_application_called" == names[0]
    assert "do_execute" in names


async def test_run_sync_flushes_and_reads(app: Application) -> None:
    """Sync code inside of SQLAlchemy's greenlet."""

    def work(session: Session) -> list[str]:
        session.add(app.User(name="sync"))
        session.flush()
        return list(session.scalars(select(app.User.name)))

    async with app.sessions() as session:
        assert ["sync"] == await session.run_sync(work)
        await session.commit()

    assert ["sync"] == await app.names()


async def test_a_commit_after_an_error_keeps_what_the_product_keeps(
    app: Application,
) -> None:
    """PostgreSQL rolls back, the others keep; nobody else's rows are touched."""
    await app.add("before")
    async with app.engine.connect() as connection:
        await connection.execute(text("INSERT INTO users (name) VALUES ('early')"))
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT nonsense"))
        await connection.commit()
    await app.add("next")
    kept = [] if app.engine.dialect.name == "postgresql" else ["early"]

    assert ["before", *kept, "next"] == await app.names()


async def test_a_savepoint_of_the_application_after_an_error(app: Application) -> None:
    """An error inside of `begin_nested` costs the nested transaction alone."""
    await app.add("taken")
    async with app.sessions() as session:
        nested = await session.begin_nested()
        session.add(app.User(name="taken"))
        with pytest.raises(IntegrityError):
            await session.flush()
        await nested.rollback()
        session.add(app.User(name="after"))
        await session.commit()

    assert ["after", "taken"] == await app.names()


async def test_io_outside_of_a_greenlet_is_refused(app: Application) -> None:
    """As in production: a lazy load must not work in tests alone."""
    async with app.sessions() as session:
        await session.execute(text("SELECT 1"))

        with pytest.raises(MissingGreenlet):
            session.sync_session.execute(text("SELECT 1"))


def test_io_without_a_loop_is_refused(app: Application) -> None:
    """So it is for the sync side of an async engine in a sync test."""
    with pytest.raises(MissingGreenlet), app.engine.sync_engine.connect() as connection:
        connection.execute(text("SELECT 1"))


async def test_json_is_decoded_as_each_engine_says(
    app: Application, isolation: object
) -> None:
    """Two engines with decoders of their own share the connection."""
    del isolation
    numbers = type(app)(app.url, decode=lambda text: json.loads(text)["n"])
    query = select(literal({"n": 1}, JSON))
    seen = []
    for each in (app, numbers, app):
        async with each.engine.connect() as connection:
            seen.append(await connection.scalar(query))

    assert [{"n": 1}, 1, {"n": 1}] == seen


async def test_context_variables_of_the_caller_are_seen_by_what_it_runs(
    app: Application,
) -> None:
    """Event listeners run in the caller's context and thread."""
    import threading
    from contextvars import ContextVar

    from sqlalchemy import event

    tenant = ContextVar("tenant", default="nobody")
    seen = []
    event.listen(
        app.engine.sync_engine,
        "before_cursor_execute",
        lambda *_: seen.append((tenant.get(), threading.current_thread())),
    )
    tenant.set("somebody")
    await app.names()

    assert [("somebody", threading.main_thread())] == seen
