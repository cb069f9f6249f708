"""What would end the test's transaction: refused before it is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from pytest_asyncdb.errors import IsolationError, TransactionControlRefused
from tests.isolation.kinds import MYSQL

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.isolation import Isolation
    from tests.isolation.conftest import Application, Ending

postgresql = pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread", "psycopg"])

ESCAPED = "SELECT '\\'; COMMIT; --'"
REFUSED = [
    "COMMIT",
    "commit",
    "COMMIT;",
    "  ;; COMMIT",
    "COMMIT WORK",
    "COMMIT AND CHAIN",
    "END",
    "end transaction",
    "ROLLBACK",
    "ROLLBACK WORK",
    "ROLLBACK TRANSACTION",
    "ROLLBACK AND CHAIN",
    "ABORT",
    "BEGIN",
    "BEGIN ISOLATION LEVEL SERIALIZABLE",
    "begin immediate",
    "START TRANSACTION",
    "PREPARE TRANSACTION 'leaked'",
    "COMMIT PREPARED 'leaked'",
    "ROLLBACK PREPARED 'leaked'",
    "-- a comment\nCOMMIT",
    "/* a comment */ COMMIT",
    "/* one */ -- two\n /* three */ COMMIT",
    "SELECT 1; COMMIT",
    "COMMIT; BEGIN; SAVEPOINT sp2",
    "SAVEPOINT a; COMMIT",
    "INSERT INTO users (id, name) VALUES (1, 'it''s'); COMMIT",
    "SELECT 'a' AS \"odd;name\"; COMMIT",
    ESCAPED,
    "SELECT E'\\''; COMMIT",
    "SELECT $$;$$; COMMIT",
    "SELECT $tag$ $$ $tag$; COMMIT",
]

HARMLESS = [
    "SELECT 'COMMIT'",
    "SELECT '; COMMIT; '",
    "SELECT 'it''s; COMMIT'",
    "/* COMMIT */ SELECT 1",
    "SELECT 1 -- ; COMMIT",
    'SELECT 1 AS "COMMIT"',
    "SELECT CASE WHEN 1 = 1 THEN 1 END",
    "SELECT 1;",
    "INSERT INTO users (id, name) VALUES (1, '; ROLLBACK; ')",
]


@pytest.mark.parametrize("statement", REFUSED)
async def test_control_as_text_is_refused(
    app: Application, isolation: Isolation, kind: str, statement: str
) -> None:
    """The error names the word; nothing has been sent, and the session goes on."""
    if kind in MYSQL and statement == ESCAPED:
        pytest.skip("with a backslash that escapes, it is one string")
    async with app.session() as session:
        session.add(app.User(name="before"))
        await session.flush()
        sent = isolation.round_trips
        with pytest.raises(TransactionControlRefused) as caught:
            await (await session.connection()).exec_driver_sql(statement)

        assert sent == isolation.round_trips
        assert caught.value.remedies
        await session.commit()
    assert ["before"] == await app.names()


@pytest.mark.parametrize("statement", HARMLESS)
async def test_words_in_literals_and_comments_are_not_refused(
    app: Application, statement: str
) -> None:
    """Only statements count."""
    async with app.engine.connect() as connection:
        result = await connection.exec_driver_sql(statement)

        assert result.rowcount != 0


async def test_the_refusal_quotes_the_word_and_the_statement(app: Application) -> None:
    """Cause, what was tried, remedies."""
    async with app.engine.connect() as connection:
        with pytest.raises(TransactionControlRefused) as caught:
            await connection.execute(text("SELECT 1; commit and chain"))

    assert "COMMIT" in caught.value.cause
    assert "commit and chain" in caught.value.tried[0]


@postgresql
async def test_a_do_block_has_its_own_begin_and_end(app: Application) -> None:
    """BEGIN and END of a procedural language are no transaction control."""
    block = "DO $$ BEGIN INSERT INTO users (id, name) VALUES (1, 'block'); END $$"
    async with app.engine.begin() as connection:
        await connection.exec_driver_sql(block)

    assert ["block"] == await app.names()


@postgresql
async def test_a_commit_inside_a_do_block(app: Application) -> None:
    """The server forbids it inside of a transaction, and nothing is kept."""
    block = "DO $$ BEGIN INSERT INTO users (id, name) VALUES (1, 'x'); COMMIT; END $$"
    async with app.engine.connect() as connection:
        with pytest.raises(DBAPIError, match="invalid transaction termination"):
            await connection.exec_driver_sql(block)

    assert [] == await app.names()


@postgresql
async def test_a_function_with_a_body_of_standard_sql(app: Application) -> None:
    """BEGIN ATOMIC … END belongs to CREATE FUNCTION, in all its semicolons."""
    async with app.engine.begin() as connection:
        await connection.exec_driver_sql(
            "CREATE FUNCTION enlist(n text) RETURNS void LANGUAGE sql BEGIN ATOMIC "
            "INSERT INTO users (id, name) VALUES (7, n); SELECT 1; END"
        )
        await connection.exec_driver_sql("SELECT enlist('by a function')")

    assert ["by a function"] == await app.names()


@pytest.mark.parametrize("kind", ["aiosqlite", "aiosqlite-file"])
async def test_a_trigger_of_sqlite(app: Application) -> None:
    """CREATE TRIGGER … BEGIN … END is one statement."""
    async with app.engine.begin() as connection:
        await connection.exec_driver_sql(
            "CREATE TRIGGER twin AFTER INSERT ON users WHEN NEW.name = 'one' BEGIN "
            "INSERT INTO users (name) VALUES ('two'); SELECT 1; END"
        )
        await connection.exec_driver_sql("INSERT INTO users (name) VALUES ('one')")

    assert ["one", "two"] == await app.names()


@pytest.mark.parametrize("kind", ["psycopg"])
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 AS a$$; COMMIT; SELECT 1 AS b$$",
        "SELECT name'a\\'; COMMIT; --'",
        "SELECT 1 /* /* */ ; COMMIT; */",
    ],
)
async def test_a_commit_that_is_hidden_well(app: Application, statement: str) -> None:
    """Names with dollars, typed literals, comments in comments: seen, and refused."""
    async with app.engine.connect() as connection:
        await connection.exec_driver_sql("INSERT INTO users VALUES (1, 'hidden')")
        with pytest.raises(TransactionControlRefused):
            await connection.exec_driver_sql(statement)


@pytest.mark.parametrize("kind", ["aiosqlite", "aiosqlite-file"])
@pytest.mark.parametrize("verb", ["ROLLBACK", "ABORT", "FAIL", "IGNORE", "REPLACE"])
def test_conflict_clauses_of_sqlite(
    app: Application, ending: Ending, next_test: Callable[..., None], verb: str
) -> None:
    """ON CONFLICT ROLLBACK ends the whole transaction: said, and nothing is kept."""

    async def conflict() -> None:
        await app.add("taken")
        async with app.engine.connect() as connection:
            await connection.execute(
                text(f"INSERT OR {verb} INTO users (name) VALUES ('taken')")
            )
            await connection.commit()

    try:
        asyncio.run(conflict())
    except (DBAPIError, IsolationError):
        assert verb in {"ROLLBACK", "ABORT", "FAIL"}
    if verb == "ROLLBACK":
        ending.fatal("has been ended by the server")
    next_test()
    asyncio.run(app.add("taken"))

    assert ["taken"] == asyncio.run(app.names())


@postgresql
async def test_two_phase_sessions_are_refused(app: Application) -> None:
    """A prepared transaction would survive the test, and hang the next drop_all."""
    async with app.sessions(twophase=True) as session:
        session.add(app.User(name="prepared"))
        with pytest.raises(
            TransactionControlRefused, match=r"two-phase|PREPARE TRANSACTION"
        ):
            await session.commit()

    assert [] == await app.names()


@pytest.mark.parametrize("where", ["engine", "option", "connection", "session"])
async def test_autocommit_is_refused(
    app: Application, make_app: Callable[..., Application], where: str
) -> None:
    """However it is asked for; the error names it, and nothing is written."""
    if where == "engine":
        app = make_app(isolation_level="AUTOCOMMIT")
    elif where == "option":
        app.engine = app.engine.execution_options(isolation_level="AUTOCOMMIT")
    with pytest.raises(TransactionControlRefused, match="AUTOCOMMIT"):  # noqa: PT012
        if where == "session":
            async with app.session() as session:
                await session.connection(
                    execution_options={"isolation_level": "AUTOCOMMIT"}
                )
                await session.execute(text("INSERT INTO users VALUES (1, 'auto')"))
        async with app.engine.connect() as connection:
            if where == "connection":
                await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("INSERT INTO users VALUES (1, 'auto')"))


async def test_after_autocommit_was_refused_others_go_on(app: Application) -> None:
    """The refusal poisons neither this engine nor this test."""
    engine = app.engine.execution_options(isolation_level="AUTOCOMMIT")
    with pytest.raises(TransactionControlRefused):
        async with engine.connect() as connection:
            await connection.execute(text("SELECT name FROM users"))
    await app.add("on")

    assert ["on"] == await app.names()


async def test_a_health_check_in_autocommit_is_answered_or_refused(
    app: Application,
) -> None:
    """SELECT 1 is what pools ping with; to an application it has a row."""
    engine = app.engine.execution_options(isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            answer = await connection.scalar(text("SELECT 1"))
    except TransactionControlRefused:
        answer = 1

    assert 1 == answer


@postgresql
@pytest.mark.parametrize("level", ["SERIALIZABLE", "REPEATABLE READ"])
async def test_another_isolation_level_poisons_nobody(
    app: Application, level: str
) -> None:
    """One connection asks for it; the others, and this one, work as before."""
    async with app.engine.connect() as connection:
        strict = await connection.execution_options(isolation_level=level)
        await strict.execute(text("INSERT INTO users (name) VALUES ('strict')"))
        await strict.commit()
        assert level == await strict.get_isolation_level()
    await app.add("other")

    assert ["other", "strict"] == await app.names()


@postgresql
async def test_a_read_only_connection_poisons_nobody(app: Application) -> None:
    """Options of one connection, `postgresql_readonly` among them, are its own."""
    async with app.engine.connect() as connection:
        readonly = await connection.execution_options(
            isolation_level="SERIALIZABLE",
            postgresql_readonly=True,
            postgresql_deferrable=True,
        )
        await readonly.execute(text("SELECT 1"))
    await app.add("writes")

    assert ["writes"] == await app.names()
