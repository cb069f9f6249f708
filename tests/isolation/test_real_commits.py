"""Tests whose sessions commit for real, and what is left of them: nothing."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import (
    delete,
    event,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import greenlet_spawn

from pytest_asyncdb.errors import EngineRefused, FinishedTest, TransactionControlRefused
from pytest_asyncdb.isolation import Isolation
from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.settings import ServerOptions, parse_target
from tests.isolation.conftest import Isolations
from tests.isolation.kinds import MYSQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg
    from sqlalchemy import Engine

    from pytest_asyncdb.provisioning import Database
    from pytest_asyncdb.typing import SchemaBuilder
    from tests.isolation.conftest import Application, Databases, Ending

SERVERS: Final = ("asyncpg", "asyncpg-thread", "psycopg", *MYSQL)
POSTGRESQL: Final = ("asyncpg", "asyncpg-thread", "psycopg")
MODES: Final = ("commit", "database")


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """How the tests are isolated."""
    return str(request.param)


@pytest.fixture
def begin(
    kind: str,
    mode: str,
    make_isolation: Callable[..., Isolation],
    ending: Ending,
) -> Iterator[Callable[[], Isolation]]:
    """Begin a test, after ending the one before."""
    isolation = make_isolation(kind)

    def again(name: str = "a test") -> Isolation:
        ending.check(isolation.close())
        isolation.open(name, mode=mode)
        return isolation

    yield again
    ending.check(isolation.close())


@pytest.fixture
def real(begin: Callable[[], Isolation], make_app: Callable[..., Application]) -> Any:
    """An application in a test that commits."""
    begin()
    return make_app()


def _another_session(app: Application) -> psycopg.Connection:
    """A session that takes no part."""
    import psycopg

    plain = app.url.set(drivername="postgresql")
    return psycopg.connect(plain.render_as_string(hide_password=False))


async def test_what_is_committed_is_seen_by_others_and_gone_afterwards(
    begin: Callable[[], Isolation], make_app: Callable[..., Application]
) -> None:
    """Also by an engine that is made in the next test."""
    for _ in range(3):
        begin()
        app = make_app()
        await app.add("ann")

        assert ["ann"] == await app.names()
        await app.engine.dispose()


async def test_keys_begin_anew(
    begin: Callable[[], Isolation], make_app: Callable[..., Application]
) -> None:
    """Sequences and AUTO_INCREMENT are where the template had them."""
    for _ in range(2):
        begin()
        app = make_app()
        async with app.session() as session:
            session.add(app.User(name="ann"))
            await session.flush()
            await session.rollback()
            session.add(app.User(name="bob"))
            await session.commit()
            found = await session.scalar(select(app.User.id))

        assert found == (1 if "sqlite" in app.url.drivername else 2)


async def test_keys_begin_anew_after_sandboxes_of_an_earlier_isolation(
    kind: str,
    databases: Databases,
    make_isolation: Callable[..., Isolation],
    make_app: Callable[..., Application],
    ending: Ending,
) -> None:
    """A run that has been on another database meanwhile comes back with a new one."""
    earlier = Isolations(databases)
    earlier.make(kind).open("a test")
    await make_app().add("ann")
    earlier.close()
    isolation = make_isolation(kind)
    isolation.open("the next", mode="commit")
    app = make_app()
    await app.add("bob")
    async with app.session() as session:
        found = await session.scalar(select(app.User.id))

    assert 1 == found
    ending.check(isolation.close())


async def test_rows_of_the_seed_come_back(
    begin: Callable[[], Isolation], make_app: Callable[..., Application]
) -> None:
    """Whatever was done to them."""
    for _ in range(2):
        begin()
        app = make_app()
        async with app.session() as session:
            assert ["seed"] == list(await session.scalars(select(app.Seed.name)))
            await session.execute(delete(app.Seed))
            await session.execute(insert(app.Seed).values(name="other"))
            await session.commit()


@pytest.mark.parametrize("kind", POSTGRESQL)
@pytest.mark.parametrize("mode", ["commit"])
async def test_rows_of_the_seed_stay_where_others_were_only_inserted(
    begin: Callable[[], Isolation], make_app: Callable[..., Application]
) -> None:
    """Also after a test that has rewritten them, so that they are younger."""
    places = []
    for test in range(6):
        begin()
        app = make_app()
        async with app.session() as session:
            places += list(await session.execute(text("SELECT ctid, name FROM seeds")))
            await session.execute(insert(app.Seed).values(name="other"))
            await session.commit()
            if test == 2:
                await session.execute(delete(app.Seed).where(app.Seed.name == "other"))
                await session.execute(update(app.Seed).values(name="rewritten"))
                await session.commit()

    assert ["seed"] * 6 == [name for _, name in places]
    assert 2 == len(set(places)) == len(set(places[:3])) + len(set(places[3:]))


@pytest.mark.parametrize("kind", POSTGRESQL)
@pytest.mark.parametrize("mode", ["commit"])
@pytest.mark.parametrize("undone", [False, True])
async def test_a_transaction_that_began_before_the_seed_was_put_back(
    undone: bool,  # noqa: FBT001
    begin: Callable[[], Isolation],
    make_app: Callable[..., Application],
) -> None:
    """What it commits in a later test goes with that one."""
    begin()
    app = make_app()
    with _another_session(app) as other:
        other.execute("INSERT INTO seeds VALUES ('old')")
        async with app.session() as session:
            await session.execute(update(app.Seed).values(name="rewritten"))
            await session.commit()
        begin()
        other.rollback() if undone else other.commit()
        other.execute("SELECT pg_stat_force_next_flush()")
        other.rollback()
        await make_app().add("ann")
        begin()
        async with make_app().session() as session:
            assert ["seed"] == list(await session.scalars(select(app.Seed.name)))


@pytest.mark.parametrize("kind", SERVERS)
async def test_transactions_that_overlap_end_in_any_order(real: Application) -> None:
    """A rollback takes no row of another transaction along."""
    first, second = await real.flushed("ann"), await real.flushed("bob")
    await second.commit()
    await first.rollback()

    assert ["bob"] == await real.names()
    await first.close()
    await second.close()


async def test_autocommit_is_what_it_is(
    real: Application,
) -> None:
    """A statement of an AUTOCOMMIT connection stays, without COMMIT."""
    engine = real.engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(insert(real.User).values(name="ann"))

    assert ["ann"] == await real.names()


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_level_of_one_connection_is_not_the_next_ones(
    begin: Callable[[], Isolation], make_app: Callable[..., Application]
) -> None:
    """What an engine sets for all of its connections stays its own."""
    begin()
    strict = make_app(isolation_level="SERIALIZABLE")
    async with strict.engine.connect() as connection:
        assert "SERIALIZABLE" == await connection.get_isolation_level()
    begin()
    plain = make_app()
    async with plain.engine.connect() as connection:
        assert "SERIALIZABLE" != await connection.get_isolation_level()


@pytest.mark.parametrize("kind", POSTGRESQL)
@pytest.mark.parametrize("mode", ["commit"])
async def test_no_connection_is_opened_and_no_database_made_for_a_test_with_rows(
    begin: Callable[[], Isolation], make_app: Callable[..., Application]
) -> None:
    """The server process stays, and so does the database."""
    found = set()
    for _ in range(3):
        begin()
        app = make_app()
        await app.add("ann")
        async with app.engine.connect() as connection:
            asked = text(
                "SELECT pg_backend_pid(), oid FROM pg_database"
                " WHERE datname = current_database()"
            )
            found.add(tuple((await connection.execute(asked)).one()))

    assert 1 == len(found)


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_leaked_transaction_holds_nothing_up(
    begin: Callable[[], Isolation],
    make_app: Callable[..., Application],
    ending: Ending,
) -> None:
    """It is rolled back, and the next test writes the same row."""
    begin()
    app = make_app()
    left = await app.flushed("ann")
    ending.leak("was left open")
    begin()
    await make_app().add("ann")
    with pytest.raises(FinishedTest, match="a test"):
        await left.execute(select(1))
    await left.close()


@pytest.mark.parametrize("kind", POSTGRESQL)
async def test_a_running_query_fails_its_test_only(
    begin: Callable[[], Isolation],
    make_app: Callable[..., Application],
    ending: Ending,
) -> None:
    """It is cancelled on the server."""
    begin()
    app = make_app()
    task = asyncio.create_task(_sleep(app))
    await asyncio.sleep(0.2)
    ending.fatal("still inside a statement: SELECT pg_sleep")
    ending.leak("was left open")
    ending.leak("still running")
    begin()
    await asyncio.gather(task, return_exceptions=True)

    assert [] == await make_app().names()


async def _sleep(app: Application) -> None:
    async with app.session() as session:
        await session.execute(text("SELECT pg_sleep(30)"))


@pytest.mark.parametrize("kind", POSTGRESQL)
async def test_the_session_is_as_new_for_the_next_test(
    begin: Callable[[], Isolation], make_app: Callable[..., Application]
) -> None:
    """Settings, locks, temporary tables and prepared statements are gone."""
    begin()
    app = make_app()
    async with app.engine.connect() as connection:
        for each in (
            "SET statement_timeout = 1234",
            "SELECT pg_advisory_lock(11)",
            "CREATE TEMP TABLE passing (id INT)",
            "LISTEN news",
        ):
            await connection.exec_driver_sql(each)
        await connection.commit()
    begin()
    async with make_app().engine.connect() as connection:
        asked = text(
            "SELECT current_setting('statement_timeout'),"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            "  AND database = (SELECT oid FROM pg_database"
            "                   WHERE datname = current_database())),"
            " to_regclass('pg_temp.passing'),"
            " (SELECT count(*) FROM pg_listening_channels())"
        )

        assert ("0", 0, None, 0) == tuple((await connection.execute(asked)).one())


@pytest.mark.parametrize("kind", MYSQL)
async def test_xa_is_refused(real: Application) -> None:
    """Nobody could tell afterwards whose prepared transaction it is."""
    async with real.engine.connect() as connection:
        with pytest.raises(TransactionControlRefused, match="in no isolation"):
            await connection.exec_driver_sql("XA START 'one'")


def test_sync_code_commits_too(begin: Callable[[], Isolation]) -> None:
    """The session of sync code is on a connection of its own."""
    from sqlalchemy.orm import Session

    from tests.isolation.conftest import User

    isolation = begin()
    with Session(isolation.sync_engine) as session:
        session.add(User(name="ann"))
        session.commit()

        assert 1 == session.scalar(select(func.count(User.id)))


def test_a_loop_for_each_call(real: Application) -> None:
    """A session of one loop, then another one's: the connections serve all."""
    for name in ("ann", "bob", "cid"):
        asyncio.run(real.add(name))

    assert ["ann", "bob", "cid"] == asyncio.run(real.names())


async def test_listeners_of_connect_run_in_each_test(
    begin: Callable[[], Isolation], make_app: Callable[..., Application]
) -> None:
    """As often as the engine has connected, to its own knowledge."""
    seen = []
    for _ in range(2):
        begin()
        app = make_app()
        event.listen(app.engine.sync_engine, "connect", lambda *_: seen.append(1))
        await app.names()

    assert [1, 1] == seen


async def test_a_connection_of_a_wider_fixture_is_refused(
    begin: Callable[[], Isolation], make_app: Callable[..., Application]
) -> None:
    """It reads as long as no test runs."""
    isolation = begin()
    app = make_app()
    with isolation.outside("a wider fixture"):
        connection = await app.engine.connect()
        await connection.execute(select(app.User))
        await connection.rollback()
    with pytest.raises(EngineRefused, match="wider than a test"):
        await connection.execute(select(app.User))
    with isolation.outside("a wider fixture"):
        await connection.close()


@pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread"])
async def test_a_notification_arrives_while_nothing_is_asked(
    real: Application,
) -> None:
    """The connections' loop goes on between two statements."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    host = asyncio.get_running_loop()

    def hear(*said: Any) -> None:
        host.call_soon_threadsafe(heard.put_nowait, said[-1])

    async with real.engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        await raw.add_listener("news", hear)
        async with real.engine.begin() as other:
            await other.exec_driver_sql("NOTIFY news, 'said'")

        assert "said" == await asyncio.wait_for(heard.get(), 5)
        await raw.remove_listener("news", hear)


async def test_sandboxes_and_real_commits_take_turns(
    kind: str,
    make_isolation: Callable[..., Isolation],
    make_app: Callable[..., Application],
) -> None:
    """Neither sees a row or a number that the other has drawn."""
    isolation = make_isolation(kind)
    for each in ("sandbox", "commit", "sandbox", "commit", "database"):
        isolation.open(each, mode=each)
        app = make_app()
        await app.add("ann")
        async with app.session() as session:
            found = await session.scalar(select(app.User.id))
        isolation.close()

        assert each == "sandbox" or found == 1, each


@pytest.mark.parametrize("kind", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("mode", ["commit"])
async def test_a_lock_of_a_session_that_takes_no_part_fails_the_test(
    begin: Callable[[], Isolation],
    make_app: Callable[..., Application],
    ending: Ending,
) -> None:
    """The finding names the session, and the next test has a database without it."""
    begin()
    app = make_app()
    await app.add("ann")
    with _another_session(app) as other:
        other.execute("LOCK TABLE users IN SHARE MODE")
        ending.fatal(r"holds a lock\n  pid \d+ of \w+, idle in transaction: LOCK TABLE")
        begin()
        other.close()
    app = make_app()

    assert [] == await app.names()


@pytest.mark.parametrize("kind", ["asyncpg", "psycopg"])
async def test_a_lock_of_an_engine_that_was_let_through_names_its_checkout(
    kind: str,
    make_isolation: Callable[..., Isolation],
    make_app: Callable[..., Application],
    ending: Ending,
) -> None:
    """The line that took the connection."""
    apart: list[Engine] = []
    isolation = make_isolation(kind, joins=lambda engine: engine not in apart)
    isolation.open("a test", mode="commit")
    app = make_app()
    await app.add("ann")
    engine = create_async_engine(app.url)
    apart.append(engine.sync_engine)
    connection = await engine.connect()
    await connection.execute(text("LOCK TABLE users IN SHARE MODE"))
    ending.fatal(r"LOCK TABLE.*\n    taken at \S+test_real_commits.py:\d+ in test_a_lo")
    ending.check(isolation.close())
    with contextlib.suppress(DBAPIError):
        await connection.close()
    await engine.dispose()


@pytest.mark.parametrize("kind", POSTGRESQL)
@pytest.mark.parametrize("mode", ["commit"])
async def test_what_another_process_has_committed_is_gone_too(
    begin: Callable[[], Isolation], make_app: Callable[..., Application]
) -> None:
    """In a test that has only read by itself."""
    begin()
    app = make_app()
    with _another_session(app) as other:
        other.execute("INSERT INTO users (name) VALUES ('theirs')")

    assert ["theirs"] == await app.names()
    begin()

    assert [] == await make_app().names()


@pytest.mark.parametrize("mode", ["commit"])
async def test_a_mode_that_was_set_by_hand_is_not_the_next_tests(
    kind: str,
    begin: Callable[[], Isolation],
    make_app: Callable[..., Application],
) -> None:
    """AUTOCOMMIT of the driver's connection ends with the test."""
    begin()
    app = make_app()
    async with app.engine.connect() as connection:
        raw: Any = await connection.get_raw_connection()

        def switch() -> None:
            if kind in MYSQL:
                raw.dbapi_connection.autocommit(value=True)
            elif kind.startswith("aiosqlite"):
                raw.dbapi_connection.isolation_level = None
            else:
                raw.dbapi_connection.autocommit = True

        await greenlet_spawn(switch)
        await connection.execute(insert(app.User).values(name="ann"))
    begin()
    await (await make_app().flushed("bob")).close()

    assert [] == await make_app().names()


_LARGE: Final = (
    "CREATE TABLE large (id INT PRIMARY KEY, body TEXT)",
    "INSERT INTO large SELECT n, 'x' FROM generate_series(1, 100000) n",
)


@pytest.mark.parametrize("kind", ["asyncpg"])
async def test_a_large_seed_comes_back(
    kind: str,
    make_isolation: Callable[..., Isolation],
    databases: Databases,
    app_of: Callable[[Database], Application],
) -> None:
    """By a fresh database, which takes less time than its rows."""
    isolation = make_isolation(kind, extra=_LARGE)
    for _ in range(2):
        isolation.open("a test", mode="commit")
        app = app_of(databases.get(kind, *_LARGE))
        async with app.engine.begin() as connection:
            asked = text("SELECT count(*), min(body) FROM large")

            assert (100_000, "x") == tuple((await connection.execute(asked)).one())
            await connection.execute(text("UPDATE large SET body = 'y' WHERE id < 9"))
            await connection.execute(text("DELETE FROM large WHERE id > 90000"))
        isolation.close()


@pytest.mark.parametrize("kind", ["asyncpg"])
async def test_rows_inserted_beside_a_large_seed_go(
    kind: str,
    make_isolation: Callable[..., Isolation],
    databases: Databases,
    app_of: Callable[[Database], Application],
) -> None:
    """From the same database, as its rows need not be written again."""
    isolation = make_isolation(kind, extra=_LARGE)
    files = set()
    for _ in range(2):
        isolation.open("a test", mode="commit")
        app = app_of(databases.get(kind, *_LARGE))
        async with app.engine.begin() as connection:
            asked = text("SELECT count(*), min(body) FROM large")

            assert (100_000, "x") == tuple((await connection.execute(asked)).one())
            await connection.execute(text("INSERT INTO large VALUES (0, 'a')"))
            file = text("SELECT pg_relation_filepath('large')")
            files.add(await connection.scalar(file))
        isolation.close()

    assert 1 == len(files)


@pytest.mark.parametrize("kind", ["asyncpg"])
async def test_other_engines_made_in_the_middle_of_a_test_see_its_own_database(
    begin: Callable[[], Isolation], make_app: Callable[..., Application]
) -> None:
    """Whatever their URL says of host, user and database."""
    isolation = begin()
    await make_app().add("ann")
    elsewhere = isolation.engine.url.set(host="production", database="orders")
    app = make_app(elsewhere.set(query={}, username="admin", password="secret"))

    assert ["ann"] == await app.names()


@pytest.fixture(scope="module")
def preparing(tables: Callable[[], SchemaBuilder]) -> Iterator[Database]:
    """A database on a server that admits of prepared transactions."""
    options = ServerOptions(options={"max_prepared_transactions": "5"})
    with closing(Run(parse_target("postgresql@embedded"), server=options)) as run:
        yield run.database(tables())


@pytest.mark.parametrize("mode", MODES)
async def test_a_prepared_transaction_that_nobody_ends_is_rolled_back(
    mode: str, preparing: Database, app_of: Callable[[Database], Application]
) -> None:
    """It would hold its locks, and its database, for ever."""
    isolation = Isolation(
        lambda: preparing, product="postgresql", driver="asyncpg", url=preparing.url
    )
    isolation.install()
    for _ in range(2):
        isolation.open("a test", mode=mode)
        app = app_of(preparing)
        async with app.engine.connect() as connection:
            await connection.execute(insert(app.User).values(name="ann"))
            await connection.exec_driver_sql("PREPARE TRANSACTION 'later'")
        async with app.engine.connect() as connection:
            asked = text("SELECT count(*) FROM pg_prepared_xacts")

            assert 1 == await connection.scalar(asked)
        isolation.close()
    isolation.open("the next test", mode=mode)
    assert [] == await app_of(preparing).names()
    isolation.close()
    isolation.uninstall()
