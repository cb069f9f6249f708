"""What applications build on sessions: streams, scopes, SQLModel, sync code, ASGI."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
from sqlmodel import select as sqlmodel_select
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelSession

from tests.isolation.kinds import MYSQL, TARGETS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sqlalchemy import Executable
    from sqlalchemy.orm import Session

    from pytest_asyncdb.isolation import Isolation
    from tests.isolation.conftest import Application

FIFTY = [f"{number:02}" for number in range(50)]


async def test_a_session_made_from_an_engine(app: Application) -> None:
    """AsyncSession(engine) without a sessionmaker."""
    async with AsyncSession(app.engine) as session, session.begin():
        session.add(app.User(name="direct"))

    assert ["direct"] == await app.names()


async def test_a_session_on_a_connection(app: Application) -> None:
    """The recipes' own form inside a test: it joins the connection's transaction."""
    async with app.engine.connect() as connection:
        await connection.begin()
        async with AsyncSession(connection) as session:
            session.add(app.User(name="undone"))
            await session.commit()
        await connection.rollback()

    assert [] == await app.names()


async def test_a_session_on_a_connection_with_savepoints(app: Application) -> None:
    """The recipe of SQLAlchemy's documentation, in a suite that has not moved yet."""
    async with app.engine.connect() as connection:
        await connection.begin()
        async with AsyncSession(
            connection, join_transaction_mode="create_savepoint"
        ) as session:
            session.add(app.User(name="undone"))
            await session.rollback()
            session.add(app.User(name="kept"))
            await session.commit()
        await connection.commit()

    assert ["kept"] == await app.names()


async def test_a_flush_that_changes_several_rows(app: Application) -> None:
    """One executemany, whose number of rows the ORM compares with its own."""
    await app.add("one", "two")
    async with app.session() as session, session.begin():
        for user in await session.scalars(select(app.User)):
            user.name += " changed"

    assert ["one changed", "two changed"] == await app.names()


async def test_a_scoped_session(app: Application) -> None:
    """One session per task, as async_scoped_session has it."""
    scoped = async_scoped_session(app.sessions, scopefunc=asyncio.current_task)

    async def work(name: str) -> None:
        scoped.add(app.User(name=name))
        await scoped.commit()
        await scoped.remove()

    await asyncio.gather(*map(work, FIFTY[:10]))

    assert FIFTY[:10] == await app.names()


async def test_sessions_of_sqlmodel(app: Application) -> None:
    """`exec` of SQLModel's AsyncSession."""
    async with SQLModelSession(app.engine) as session:
        session.add(app.User(name="model"))
        await session.commit()
        found = await session.exec(sqlmodel_select(app.User))

        assert ["model"] == [user.name for user in found]


async def test_streaming_while_others_write(app: Application) -> None:
    """Every row of the stream arrives once, whatever is written meanwhile."""
    await app.add(*FIFTY)
    found = []
    async with app.session() as session:
        stream = await session.stream_scalars(
            select(app.User.name).order_by(app.User.name),
            execution_options={"yield_per": 7},
        )
        async for name in stream:
            found.append(name)
            if name.endswith("0"):
                await app.add(f"{name} more")

    assert FIFTY == [name for name in found if "more" not in name]
    assert 55 == len(await app.names())


async def test_two_streams_at_once(app: Application) -> None:
    """Both read to the end, one row each in turn."""
    await app.add(*FIFTY)
    statement = select(app.User.name).order_by(app.User.name)

    async def read() -> list[str]:
        async with app.session() as session:
            stream = await session.stream_scalars(
                statement, execution_options={"yield_per": 5}
            )
            return [name async for name in stream]

    assert [FIFTY, FIFTY] == list(await asyncio.gather(read(), read()))


async def test_a_stream_that_is_not_read_to_its_end(app: Application) -> None:
    """The rest is forgotten with its session, and the test goes on."""
    await app.add(*FIFTY)
    async with (
        app.engine.connect() as connection,
        connection.stream(
            text("SELECT name FROM users ORDER BY name"),
            execution_options={"yield_per": 3},
        ) as stream,
    ):
        assert "00" == (await anext(aiter(stream)))[0]
    await app.add("after")

    assert 51 == len(await app.names())


async def test_a_stream_whose_transaction_failed_meanwhile(app: Application) -> None:
    """A statement that fails in the same session ends it; others go on."""
    await app.add(*FIFTY)
    async with app.session() as session:
        stream = await session.stream_scalars(
            select(app.User.name), execution_options={"yield_per": 3}
        )
        await anext(aiter(stream))
        with pytest.raises(Exception, match="nowhere"):
            await session.execute(text("SELECT * FROM nowhere"))
    await app.add("after")

    assert 51 == len(await app.names())


async def test_run_sync_with_queries_inside(app: Application) -> None:
    """Lazy loads, flushes and nested transactions of sync code."""

    def work(session: Session) -> int:
        with session.begin_nested():
            session.add(app.User(name="nested"))
        session.add(app.User(name="plain"))
        session.flush()
        return session.scalar(select(func.count()).select_from(app.User)) or 0

    async with app.session() as session:
        assert 2 == await session.run_sync(work)
        await session.commit()

    assert ["nested", "plain"] == await app.names()


@pytest.mark.parametrize("kind", [kind for kind in TARGETS if kind not in MYSQL])
async def test_create_all_and_drop_all_inside_a_test(app: Application) -> None:
    """Of the application's own tables, by an old fixture that is still there."""
    metadata = app.User.metadata
    async with app.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    await app.add("new")

    assert ["new"] == await app.names()


async def test_the_inspector(app: Application) -> None:
    """Reflection through run_sync."""
    from sqlalchemy import inspect

    async with app.engine.connect() as connection:
        tables = await connection.run_sync(
            lambda sync: sorted(inspect(sync).get_table_names())
        )

    assert ["posts", "seeds", "users"] == tables


async def test_relations_and_server_defaults(app: Application) -> None:
    """Insert with a foreign key in one flush, and the numbers come back."""
    async with app.session() as session, session.begin():
        user = app.User(name="author")
        session.add(user)
        await session.flush()
        session.add_all([app.Post(user_id=user.id) for _ in range(3)])
    async with app.session() as session:
        count = await session.scalar(select(func.count()).select_from(app.Post))

    assert 3 == count


async def test_insertmanyvalues_of_many_rows(app: Application) -> None:
    """More rows than one statement takes."""
    names = [f"{number:05}" for number in range(1200)]
    await app.add(*names)

    assert names == await app.names()


async def test_a_dependency_that_commits_on_success_and_rolls_back_on_error(
    app: Application,
) -> None:
    """The `get_db` of every FastAPI application, in ten requests at once."""

    async def get_db() -> AsyncGenerator[AsyncSession]:
        async with app.session() as session:
            try:
                yield session
                await session.commit()
            except ZeroDivisionError:
                await session.rollback()
                raise

    async def request(number: int) -> None:
        dependency = get_db()
        session = await anext(dependency)
        session.add(app.User(name=f"{number}"))
        await session.flush()
        try:
            if number % 2:
                await dependency.athrow(ZeroDivisionError())
            else:
                await anext(dependency, None)
        except ZeroDivisionError:
            pass

    await asyncio.gather(*map(request, range(10)))

    assert ["0", "2", "4", "6", "8"] == await app.names()


async def test_the_fixtures_session_and_the_applications(
    app: Application, isolation: Isolation
) -> None:
    """A row that the test flushed is seen by the application, and the other way."""
    async with isolation.sessionmaker() as session:
        session.add(app.User(name="of the test"))
        await session.flush()
        assert ["of the test"] == await app.names()
        await app.add("of the application")

        assert 2 == len(list(await session.scalars(select(app.User))))
        await session.commit()


async def test_an_object_of_one_session_is_refreshed_after_anothers_commit(
    app: Application,
) -> None:
    """expire, refresh, merge across sessions."""
    async with app.session() as first:
        user = app.User(name="old")
        first.add(user)
        await first.commit()
        async with app.session() as second:
            copy = await second.get_one(app.User, user.id)
            copy.name = "new"
            await second.commit()
        await first.refresh(user)

        assert "new" == user.name


async def test_unit_of_work_by_four_sessions_with_versions(app: Application) -> None:
    """Update by primary key from several tasks; the last one wins, none is lost."""
    await app.add("0")

    async def add_one() -> None:
        async with app.session() as session, session.begin():
            user: Any = (await session.scalars(select(app.User))).one()
            await asyncio.sleep(0)
            user.name = str(int(user.name) + 1)

    for _ in range(5):
        await add_one()

    assert ["5"] == await app.names()


async def test_a_stream_that_nobody_closes_says_nothing_later(app: Application) -> None:
    """The server's cursor ends with its transaction, not in another test's gc."""
    await app.add(*FIFTY)
    streams: list[Any] = []
    async with app.session() as session:
        stream = await session.stream_scalars(
            select(app.User.name), execution_options={"yield_per": 3}
        )
        await anext(aiter(stream))
        with pytest.raises(Exception, match="nowhere") as caught:
            await session.execute(text("SELECT * FROM nowhere"))
        streams.append((stream, caught, streams))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        del stream, caught, streams, session
        gc.collect()

    assert [] == [str(each.message) for each in seen]


async def streamed(app: Application, query: Executable, size: int) -> None:
    """Read a query to its end, so many rows at a time."""
    options = {"yield_per": size}
    async with (
        app.engine.connect() as connection,
        connection.stream(query, execution_options=options) as stream,
    ):
        async for _ in stream:
            pass


@pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread", "psycopg"])
async def test_a_stream_that_fails_in_the_middle(app: Application) -> None:
    """The error comes with a later row, and ends its own transaction only."""
    held = await app.flushed("held")
    query = text("SELECT 1 / (8 - n) FROM generate_series(1, 20) AS n")
    # asyncpg's own error: SQLAlchemy does not translate those of fetching.
    with pytest.raises(Exception, match="division by zero"):
        await streamed(app, query, 3)
    await app.add("after")
    await held.commit()
    await held.close()

    assert ["after", "held"] == await app.names()


@pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread", "psycopg"])
async def test_a_stream_that_is_cancelled_between_two_rows(app: Application) -> None:
    """Its rows come slowly; the timeout strikes while one is being fetched."""
    query = text("SELECT pg_sleep(0.03 * n) FROM generate_series(1, 100) AS n")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(streamed(app, query, 1), 0.1)
    await app.add("after")

    assert ["after"] == await app.names()
