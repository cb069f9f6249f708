"""What only MySQL and MariaDB do: commit by themselves, and read SQL their own way."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session

from pytest_asyncdb.backends._text import classify
from pytest_asyncdb.errors import (
    EngineRefused,
    SandboxBroken,
    TransactionControlRefused,
)
from tests.isolation.kinds import MYSQL

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import URL

    from pytest_asyncdb.isolation import Isolation
    from tests.isolation.conftest import Application

    MakeApp = Callable[..., Application]
    NextTest = Callable[..., None]

pytestmark = pytest.mark.parametrize("kind", MYSQL)

COMMITTING = [
    "CREATE TABLE other (id INT)",
    "create or replace table other (id INT)",
    "/* a comment */ DROP TABLE posts",
    "# a comment\nDROP TABLE posts",
    "/*!50000 DROP TABLE posts */",
    "/*M! DROP TABLE posts */",
    "ALTER TABLE posts ADD note INT",
    "CREATE INDEX by_user ON posts (user_id)",
    "TRUNCATE posts",
    "RENAME TABLE posts TO others",
    "GRANT SELECT ON *.* TO nobody@localhost",
    "LOCK TABLES posts WRITE",
    "ANALYZE TABLE posts",
    "ANALYZE LOCAL TABLE posts",
    "FLUSH TABLES",
    "SET PASSWORD = ''",
    "SELECT 1; DROP TABLE posts",
]
CONTROL = [
    "SET autocommit = 1",
    "SET SESSION autocommit = ON",
    "SET @@session.autocommit = 0",
    "SET @x = 1, autocommit = 1",
    "BEGIN WORK",
    "/*! COMMIT */",
    "/*M!100100 ROLLBACK */",
    "SELECT 'it\\'s'; COMMIT",
    'SELECT "a;b"; COMMIT',
]
HARMLESS = [
    "SELECT 'DROP TABLE posts'",
    'SELECT "; COMMIT; "',
    "SELECT 'a\\'; COMMIT; -- '",
    "SELECT 1 # ; COMMIT",
    "SELECT 1 --\tCOMMIT",
    "SELECT 1 AS `COMMIT`",
    "ANALYZE SELECT * FROM posts",
    "SHOW CREATE TABLE posts",
    "DESCRIBE posts",
    "CREATE TEMPORARY TABLE beside (id INT)",
    "DROP TEMPORARY TABLE IF EXISTS beside",
]


@pytest.mark.parametrize("statement", COMMITTING)
async def test_what_commits_without_saying_so_is_refused(
    app: Application, isolation: Isolation, statement: str
) -> None:
    """Before it is sent; the rows of the test are still its own, and it goes on."""
    async with app.session() as session:
        session.add(app.User(name="before"))
        await session.flush()
        sent = isolation.round_trips
        with pytest.raises(TransactionControlRefused, match="would commit"):
            await (await session.connection()).exec_driver_sql(statement)

        assert sent == isolation.round_trips
        assert ["before"] == list(await session.scalars(select(app.User.name)))


@pytest.mark.parametrize("statement", [*CONTROL, "XA BEGIN 'x'", "XA PREPARE 'x'"])
async def test_transaction_control_in_their_words_is_refused(
    app: Application, statement: str
) -> None:
    """Nothing has been sent."""
    async with app.engine.connect() as connection:
        with pytest.raises(TransactionControlRefused):
            await connection.exec_driver_sql(statement)


@pytest.mark.parametrize("statement", HARMLESS)
async def test_what_only_looks_like_it_is_sent(
    app: Application, statement: str
) -> None:
    """Words in strings, names and comments, and what commits nothing."""
    async with app.engine.begin() as connection:
        await connection.exec_driver_sql(statement)
    await app.add("on")

    assert ["on"] == await app.names()


@pytest.mark.parametrize(
    ("statement", "reads"),
    [
        ("SELECT DATE_FORMAT(now(), '%Y'), IF(1, 2, 3) FROM posts", True),
        ("SELECT @rank := @rank + 1 FROM posts", False),
        ("SELECT 1 INTO @x", False),
        ("SELECT * FROM posts LOCK IN SHARE MODE", False),
        ("SELECT GET_LOCK('x', 1)", False),
        ("SELECT year(created) FROM posts", True),
    ],
)
def test_what_reads_is_told_from_what_writes(
    kind: str,
    statement: str,
    *,
    reads: bool,
) -> None:
    """By a list of the products' own functions, which no other product's SQL gets."""
    assert kind in MYSQL
    assert reads is classify(statement, mysql=True).reads


def test_a_commit_inside_of_a_procedure_is_noticed(
    kind: str, make_isolation: Callable[..., Isolation], make_app: MakeApp
) -> None:
    """No text tells of it: the test fails, and the next one finds a fresh database."""
    procedure = "CREATE PROCEDURE leaves() BEGIN INSERT INTO seeds VALUES ('x');"
    isolation = make_isolation(kind, extra=(f"{procedure} COMMIT; END",))
    app = make_app()
    isolation.open("the test")
    with pytest.raises(SandboxBroken, match="ended by the server"):
        app.sent("CALL leaves()")
    (finding,) = isolation.close()
    isolation.open("the next test")

    assert finding.fatal
    assert 1 == app.sent("SELECT count(*) FROM seeds")
    assert [] == isolation.close()


def test_rows_of_a_table_without_transactions_are_told(
    kind: str, make_isolation: Callable[..., Isolation], make_app: MakeApp
) -> None:
    """MyISAM keeps them: the test fails, and the next one finds a fresh database."""
    table = "CREATE TABLE kept (id INT) ENGINE = MyISAM"
    isolation = make_isolation(kind, extra=(table,))
    app = make_app()
    isolation.open("the test")
    app.sent("INSERT INTO kept VALUES (1)")
    (finding,) = isolation.close()
    isolation.open("the next test")

    assert finding.fatal
    assert "no transactions" in finding.text
    assert 0 == app.sent("SELECT count(*) FROM kept")
    assert [] == isolation.close()


@pytest.mark.parametrize(
    ("statement", "ask", "fresh"),
    [
        ("SET @x = 1", "SELECT @x IS NULL", 1),
        ("SET SESSION sql_mode = ''", "SELECT @@sql_mode = ''", 0),
        ("SET foreign_key_checks = 0", "SELECT @@foreign_key_checks", 1),
        ("SELECT @y := 1", "SELECT @y IS NULL", 1),
        ("SELECT GET_LOCK('ours', 0)", "SELECT IS_FREE_LOCK('ours')", 1),
        ("PREPARE one FROM 'SELECT 1'", "SELECT @x IS NULL", 1),
    ],
)
def test_session_state_ends_with_its_test(
    app: Application, next_test: NextTest, statement: str, ask: str, fresh: int
) -> None:
    """A rollback does not undo it, so the next test gets another connection."""
    before = app.sent("SELECT connection_id()")
    app.sent(statement)
    next_test()

    assert fresh == app.sent(ask)
    assert before != app.sent("SELECT connection_id()")


def test_a_test_that_leaves_no_state_keeps_the_connection(
    app: Application, next_test: NextTest
) -> None:
    """Reconnecting costs more than a whole test does."""
    before = app.sent("SELECT connection_id()")
    asyncio.run(app.add("one"))
    next_test()

    assert before == app.sent("SELECT connection_id()")


def test_a_temporary_table_ends_with_its_test(
    app: Application, next_test: NextTest
) -> None:
    """CREATE TEMPORARY TABLE commits nothing, and no rollback removes the table."""
    for _ in range(2):
        app.sent("CREATE TEMPORARY TABLE beside (id INT)")
        next_test()


async def slept(app: Application) -> None:
    """Insert a row, then sleep in the database until a timeout strikes."""
    async with asyncio.timeout(0.1), app.session() as session:
        session.add(app.User(name="undone"))
        await session.flush()
        await session.execute(text("SELECT SLEEP(30)"))


async def test_a_timeout_around_a_slow_statement(app: Application) -> None:
    """It ends at once; the connection and what was committed stay."""
    await app.add("before")
    async with app.engine.connect() as connection:
        number = await connection.scalar(text("SELECT connection_id()"))
    began = time.perf_counter()
    with pytest.raises(TimeoutError):
        await slept(app)
    took = time.perf_counter() - began
    async with app.engine.connect() as connection:
        assert number == await connection.scalar(text("SELECT connection_id()"))

    assert 5 > took
    assert ["before"] == await app.names()


async def test_a_stream_lets_others_send_meanwhile(app: Application) -> None:
    """Drivers for MySQL can send nothing else while a stream is read from the wire."""
    await app.add("a", "b")
    async with app.session() as session:
        found = []
        async for name in await session.stream_scalars(select(app.User.name)):
            found.append(name)
            await app.add(f"{name}{name}")

    assert ["a", "b"] == sorted(found)
    assert ["a", "aa", "b", "bb"] == await app.names()


@pytest.mark.usefixtures("isolation")
@pytest.mark.parametrize("level", ["READ COMMITTED", "SERIALIZABLE"])
async def test_an_isolation_level_is_noted(make_app: MakeApp, level: str) -> None:
    """The engine's and a connection's, and both are answered as they were given."""
    app = make_app(isolation_level=level)
    async with app.engine.connect() as connection:
        assert level == await connection.run_sync(lambda c: c.get_isolation_level())
    await app.add("on")

    assert ["on"] == await app.names()


@pytest.mark.usefixtures("isolation")
async def test_autocommit_is_refused(make_app: MakeApp) -> None:
    """Each statement would be committed for real."""
    app = make_app()
    async with app.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(TransactionControlRefused, match="AUTOCOMMIT"):
            await connection.execute(text("SELECT 2"))


@pytest.mark.usefixtures("isolation")
async def test_what_connections_begin_with(make_app: MakeApp) -> None:
    """Options of the driver that are statements hold in the sandbox too."""
    app = make_app(
        connect_args={"init_command": "SET @tenant = 7", "sql_mode": "ANSI_QUOTES"}
    )
    async with app.engine.connect() as connection:
        assert 7 == await connection.scalar(text("SELECT @tenant"))
        assert "ANSI_QUOTES" == await connection.scalar(text("SELECT @@sql_mode"))


async def test_the_number_of_the_last_row(app: Application) -> None:
    """The cursor has it, and LAST_INSERT_ID() is a read."""
    async with app.engine.begin() as connection:
        done = await connection.execute(text("INSERT INTO users (name) VALUES ('a')"))
        found = await connection.scalar(text("SELECT LAST_INSERT_ID()"))

    assert done.lastrowid == found


def test_a_sync_engine_of_pymysql(app: Application, kind: str) -> None:
    """It joins where aiomysql is the driver, which is built on it; else it is named."""
    engine = create_engine(app.url.set(drivername="mysql+pymysql"))
    if kind == "asyncmy":
        with pytest.raises(EngineRefused, match="pymysql"):
            engine.connect()
        return
    with Session(engine) as session:
        session.add(app.User(name="sync"))
        session.commit()

    assert ["sync"] == asyncio.run(app.names())


def test_a_deadlock_ends_the_test_that_loses_it(
    kind: str, make_isolation: Callable[..., Isolation], make_app: MakeApp
) -> None:
    """The server has rolled everything back, which its error does not say."""
    fill = ", ".join(f"({number})" for number in range(1, 50))
    extra = ("CREATE TABLE held (id INT PRIMARY KEY, n INT DEFAULT 0)",)
    isolation = make_isolation(
        kind, extra=(*extra, f"INSERT INTO held (id) VALUES {fill}")
    )
    app = make_app()
    isolation.open("the test")
    with closing(connected(isolation._link.database.url)) as other:
        send(other, "UPDATE held SET n = 1 WHERE id > 1")
        app.sent("UPDATE held SET n = 1 WHERE id = 1")
        waits = threading.Thread(
            target=send, args=(other, "UPDATE held SET n = 1 WHERE id = 1")
        )
        waits.start()
        time.sleep(0.2)
        with pytest.raises(Exception, match="Deadlock found"):
            app.sent("UPDATE held SET n = 1 WHERE id = 2")
        waits.join()
        other.rollback()
    (finding,) = isolation.close()
    isolation.open("the next test")

    assert "ended by the server" in finding.text
    assert 0 == app.sent("SELECT sum(n) FROM held")
    assert [] == isolation.close()


def connected(url: URL) -> pymysql.Connection:
    """A connection that nobody captures."""
    return pymysql.connect(
        user=url.username,
        unix_socket=str(url.query["unix_socket"]),
        database=url.database,
    )


def send(raw: pymysql.Connection, statement: str) -> Any:
    """One statement of it."""
    with raw.cursor() as cursor:
        return cursor.execute(statement)
