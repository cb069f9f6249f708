"""Statements that fail: the test goes on exactly as with transactions of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError

if TYPE_CHECKING:
    from sqlalchemy import Executable

    from tests.isolation.conftest import Application

postgresql = pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread", "psycopg"])
sqlite = pytest.mark.parametrize("kind", ["aiosqlite", "aiosqlite-file"])

INSERT = "INSERT INTO users (id, name) VALUES "


async def test_integrity_error_rollback_and_on(app: Application) -> None:
    """The session that failed rolls back and commits something else."""
    await app.add("taken")
    async with app.session() as session:
        session.add(app.User(name="taken"))
        with pytest.raises(IntegrityError):
            await session.flush()
        await session.rollback()
        session.add(app.User(name="free"))
        await session.commit()

    assert ["free", "taken"] == await app.names()


async def test_integrity_error_at_commit_leaves_nothing_of_the_session(
    app: Application,
) -> None:
    """The row that was flushed before goes with the one that failed."""
    await app.add("taken")
    async with app.session() as session:
        session.add(app.User(name="first"))
        await session.flush()
        session.add(app.User(name="taken"))
        with pytest.raises(IntegrityError):
            await session.commit()

    assert ["taken"] == await app.names()


async def test_a_session_that_failed_wants_its_rollback(app: Application) -> None:
    """SQLAlchemy's PendingRollbackError, until the application rolls back."""
    await app.add("taken")
    async with app.session() as session:
        session.add(app.User(name="taken"))
        with pytest.raises(IntegrityError):
            await session.flush()
        with pytest.raises(PendingRollbackError):
            await session.scalars(select(app.User))

    assert ["taken"] == await app.names()


async def test_a_failure_in_one_session_does_not_touch_another(
    app: Application,
) -> None:
    """Both have open transactions on the one connection; only one of them failed."""
    other = await app.flushed("other")
    async with app.session() as session:
        with pytest.raises(DBAPIError):
            await session.execute(text("SELECT * FROM nowhere"))
        other.add(app.User(name="more"))
        await other.commit()
    await other.close()

    assert ["more", "other"] == await app.names()


async def test_a_failure_on_an_engines_connection_does_not_end_the_test(
    app: Application,
) -> None:
    """The recipes' test is over here: current transaction is aborted."""
    await app.add("before")
    async with app.engine.connect() as connection:
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT nonsense"))
    await app.add("after")

    assert ["after", "before"] == await app.names()


@postgresql
async def test_after_an_error_the_transaction_is_aborted_as_on_the_server(
    app: Application,
) -> None:
    """Every statement fails until the rollback, with the driver's own error."""
    async with app.engine.connect() as connection:
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT nonsense"))
        for _ in range(2):
            with pytest.raises(DBAPIError, match="current transaction is aborted"):
                await connection.execute(text("SELECT 1"))
        await connection.rollback()

        assert 1 == await connection.scalar(text("SELECT 1"))


@postgresql
async def test_a_commit_after_an_error_is_a_rollback(app: Application) -> None:
    """PostgreSQL answers ROLLBACK to the COMMIT of an aborted transaction."""
    async with app.engine.connect() as connection:
        await connection.execute(text(f"{INSERT} (1, 'lost')"))
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT nonsense"))
        await connection.commit()

    assert [] == await app.names()


@sqlite
async def test_on_sqlite_only_the_statement_fails(app: Application) -> None:
    """What came before stays, and what comes after works, as SQLite has it."""
    async with app.engine.connect() as connection:
        await connection.execute(text(f"{INSERT} (1, 'kept')"))
        with pytest.raises(IntegrityError):
            await connection.execute(text(f"{INSERT} (2, 'kept')"))
        await connection.execute(text(f"{INSERT} (3, 'later')"))
        await connection.commit()

    assert ["kept", "later"] == await app.names()


async def test_twenty_tasks_that_want_the_same_name(app: Application) -> None:
    """One wins, nineteen get the IntegrityError, nobody hangs."""

    async def register() -> bool:
        async with app.session() as session:
            session.add(app.User(name="wanted"))
            try:
                await session.commit()
            except IntegrityError:
                await session.rollback()
                return False
            return True

    won = await asyncio.gather(*(register() for _ in range(20)))

    assert 1 == sum(won)
    assert ["wanted"] == await app.names()


async def test_executemany_that_fails_in_the_middle(app: Application) -> None:
    """None of its rows is there after the rollback."""
    await app.add("taken")
    rows = [{"name": name} for name in ("a", "b", "taken", "c")]
    async with app.session() as session:
        with pytest.raises(IntegrityError):
            await session.execute(insert(app.User), rows)
        await session.rollback()

    assert ["taken"] == await app.names()


async def test_get_or_create_with_a_savepoint(app: Application) -> None:
    """The usual form: insert in a savepoint, read where that failed."""
    await app.add("tag")

    async def get_or_create(name: str) -> Any:
        async with app.session() as session, session.begin():
            try:
                async with session.begin_nested():
                    session.add(app.User(name=name))
            except IntegrityError:
                pass
            return await session.scalar(select(app.User).filter_by(name=name))

    users = await asyncio.gather(*map(get_or_create, ["tag", "new", "tag", "new"]))

    assert ["tag", "new", "tag", "new"] == [user.name for user in users]
    assert ["new", "tag"] == await app.names()


@postgresql
async def test_a_value_that_the_driver_refuses_by_itself(app: Application) -> None:
    """The server saw nothing of it, so the transaction is not aborted."""
    async with app.engine.connect() as connection:
        await connection.execute(text(f"{INSERT} (1, 'kept')"))
        with pytest.raises((DBAPIError, TypeError, ValueError)):
            await connection.execute(text("SELECT :x"), {"x": object()})
        await connection.execute(text(f"{INSERT} (2, 'later')"))
        await connection.commit()

    assert ["kept", "later"] == await app.names()


async def test_an_error_in_run_sync(app: Application) -> None:
    """Sync code inside the session's greenlet fails and is rolled back."""

    def work(session: Any) -> None:
        session.add(app.User(name="undone"))
        session.flush()
        message = "no"
        raise LookupError(message)

    async with app.session() as session:
        with pytest.raises(LookupError):
            await session.run_sync(work)
        await session.rollback()

    assert [] == await app.names()


@postgresql
async def test_a_server_side_timeout(app: Application) -> None:
    """SET LOCAL statement_timeout holds for its transaction and no other one."""
    async with app.session() as session:
        await session.execute(text("SET LOCAL statement_timeout = '50ms'"))
        with pytest.raises(DBAPIError, match="statement timeout"):
            await session.execute(text("SELECT pg_sleep(5)"))
        await session.rollback()
        await session.execute(text("SELECT pg_sleep(0.1)"))
        session.add(app.User(name="on"))
        await session.commit()

    assert ["on"] == await app.names()


@postgresql
async def test_set_local_ends_with_its_transaction(app: Application) -> None:
    """On a server it ends at COMMIT; the next transaction must not see it."""
    async with app.engine.connect() as connection:
        await connection.execute(text("SET LOCAL work_mem = '77kB'"))
        await connection.commit()
        setting = await connection.scalar(text("SHOW work_mem"))

    assert "77kB" != setting


@postgresql
@pytest.mark.parametrize(
    "statement",
    [
        text("SELECT set_config('app.tenant', :value, true)").bindparams(value="one"),
        text("SET LOCAL app.tenant = 'one'"),
        text("set local app.tenant to one"),
        text("/* tenant */ SET LOCAL app.tenant = 'one'"),
    ],
)
async def test_a_tenant_is_set_for_one_transaction(
    app: Application, statement: Executable
) -> None:
    """Row level security often takes it from there; the next transaction has none."""
    question = text("SELECT coalesce(current_setting('app.tenant', true), '')")
    async with app.session() as session:
        await session.execute(statement)
        assert "one" == await session.scalar(question)
        await session.commit()
        assert "" == await session.scalar(question)
    async with app.session() as session:
        assert "" == await session.scalar(question)


@postgresql
async def test_a_role_is_set_for_one_transaction(app: Application) -> None:
    """SET LOCAL ROLE ends with its transaction, however that ends."""
    question = text("SELECT current_user")
    async with app.session() as session:
        before = await session.scalar(question)
        for end in (session.commit, session.rollback):
            await session.execute(text("SET LOCAL ROLE pg_read_all_data"))
            assert "pg_read_all_data" == await session.scalar(question)
            await end()
            assert before == await session.scalar(question)


@postgresql
async def test_set_of_a_rolled_back_transaction_is_undone(app: Application) -> None:
    """SET is undone by ROLLBACK, as on the server."""
    async with app.engine.connect() as connection:
        await connection.execute(text("SET work_mem = '99kB'"))
        await connection.rollback()
        setting = await connection.scalar(text("SHOW work_mem"))

    assert "99kB" != setting


@postgresql
async def test_now_is_the_same_in_all_transactions_of_a_test(app: Application) -> None:
    """A limit that is documented: `now()` is the start of the test's transaction."""
    found = []
    for _ in range(2):
        async with app.engine.begin() as connection:
            found.append(await connection.scalar(text("SELECT now()")))

    assert found[0] == found[1]


@postgresql
async def test_a_sequence_goes_on_over_a_rollback(app: Application) -> None:
    """As on a server: the number of a rolled back row is not given again."""
    first = await app.flushed("first")
    number = await first.scalar(select(app.User.id))
    await first.rollback()
    await first.close()
    async with app.session() as session:
        user = app.User(name="second")
        session.add(user)
        await session.flush()

        assert number is not None
        assert user.id > number
        await session.rollback()


async def test_the_first_statement_of_a_test_fails(app: Application) -> None:
    """It travelled with BEGIN; the test goes on from there."""
    async with app.engine.connect() as connection:
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT * FROM nowhere"))
    await app.add("on")

    assert ["on"] == await app.names()


async def test_every_second_statement_fails(app: Application) -> None:
    """Fifty failures of as many transactions leave fifty rows of the others."""
    for number in range(50):
        async with app.engine.connect() as connection:
            with pytest.raises(DBAPIError):
                await connection.execute(text("SELECT * FROM nowhere"))
        await app.add(f"{number:02}")

    assert 50 == len(await app.names())


@postgresql
async def test_a_failure_between_two_transactions_of_one_task(app: Application) -> None:
    """The inner one fails above the outer one's row, which is committed afterwards."""
    outer = await app.flushed("outer")
    for _ in range(3):
        async with app.session() as inner:
            inner.add(app.User(name="inner"))
            await inner.flush()
            with pytest.raises(DBAPIError):
                await inner.execute(text("SELECT * FROM nowhere"))
        outer.add(app.User(name=f"outer {_}"))
        await outer.flush()
    await outer.commit()
    await outer.close()

    assert ["outer", "outer 0", "outer 1", "outer 2"] == await app.names()
