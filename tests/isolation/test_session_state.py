"""What a rollback does not undo must not reach the next test either."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import DBAPIError

from pytest_asyncdb.errors import TransactionControlRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.isolation import Isolation
    from tests.isolation.conftest import Application

    NextTest = Callable[..., None]

postgresql = pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread", "psycopg"])
sqlite = pytest.mark.parametrize("kind", ["aiosqlite", "aiosqlite-file"])


@postgresql
@pytest.mark.parametrize(
    "statement",
    [
        "SET work_mem = '123kB'",
        "SET SESSION work_mem = '123kB'",
        "SELECT set_config('work_mem', '123kB', false)",
        "SELECT set_config('work_mem', '123kB', true)",
        "UPDATE pg_settings SET setting = '123' WHERE name = 'work_mem'",
    ],
)
def test_a_setting_is_reset(
    app: Application, next_test: NextTest, statement: str
) -> None:
    """However it was set, and although it was committed."""
    before = app.sent("SHOW work_mem")
    app.sent(statement)
    next_test()

    assert before == app.sent("SHOW work_mem")


@postgresql
@pytest.mark.parametrize(
    "statement",
    [
        "SET search_path = nowhere",
        "SET ROLE pg_read_all_data",
        "SET SESSION AUTHORIZATION pg_read_all_data",
        "SET TIME ZONE 'Asia/Tokyo'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET default_transaction_isolation = 'serializable'",
        "SET client_encoding = 'latin1'",
    ],
)
def test_settings_that_change_what_statements_do(
    app: Application, next_test: NextTest, statement: str
) -> None:
    """The next test writes, as the same role into the same schema in the same zone."""
    question = (
        "SELECT current_user || current_setting('timezone') || current_schema() "
        "|| current_setting('default_transaction_isolation') "
        "|| current_setting('client_encoding')"
    )
    before = app.sent(question)
    app.sent(statement)
    next_test()
    asyncio.run(app.add("writes"))

    assert before == app.sent(question)


@postgresql
@pytest.mark.parametrize(
    "function",
    ["pg_advisory_lock", "pg_advisory_xact_lock", "pg_try_advisory_lock_shared"],
)
def test_advisory_locks_are_released(
    app: Application, next_test: NextTest, function: str
) -> None:
    """The session's locks outlive a rollback; after the test nobody holds any."""
    app.sent(f"SELECT {function}(4711)")
    next_test()

    assert 0 == app.sent("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")


@postgresql
def test_a_prepared_statement_is_gone(app: Application, next_test: NextTest) -> None:
    """PREPARE under the same name works in the next test."""
    app.sent("PREPARE mine AS SELECT 1", "EXECUTE mine")
    next_test()

    assert 2 == app.sent("PREPARE mine AS SELECT 2", "EXECUTE mine")


@postgresql
def test_a_prepared_statement_of_sql_text_behind_a_comment(
    app: Application, next_test: NextTest
) -> None:
    """Words before it do not hide it."""
    app.sent("/* tool */ PREPARE other AS SELECT 1")
    next_test()

    assert None is app.sent("-- again\nPREPARE other AS SELECT 1")


@postgresql
def test_nobody_listens_any_more(app: Application, next_test: NextTest) -> None:
    """LISTEN that was committed."""
    app.sent("LISTEN news")
    next_test()

    assert 0 == app.sent("SELECT count(*) FROM pg_listening_channels()")


@postgresql
def test_a_cursor_with_hold_is_closed(app: Application, next_test: NextTest) -> None:
    """WITH HOLD outlives a commit, and here it must not outlive the test."""
    app.sent("DECLARE held CURSOR WITH HOLD FOR SELECT 1")
    next_test()

    assert 0 == app.sent("SELECT count(*) FROM pg_cursors WHERE name = 'held'")


@postgresql
@pytest.mark.parametrize("on_commit", ["", "ON COMMIT DROP", "ON COMMIT DELETE ROWS"])
def test_a_temporary_table_is_gone(
    app: Application, next_test: NextTest, on_commit: str
) -> None:
    """It would hide a table of the same name from every later test."""
    app.sent(f"CREATE TEMP TABLE users (id int, name text) {on_commit}")
    next_test()
    asyncio.run(app.add("in the real table"))

    assert ["in the real table"] == asyncio.run(app.names())


@postgresql
def test_a_temporary_table_by_select_into(
    app: Application, next_test: NextTest
) -> None:
    """SELECT … INTO TEMP makes one too."""
    app.sent("SELECT 1 AS id, 'x' AS name INTO TEMP users")
    next_test()

    assert [] == asyncio.run(app.names())


@postgresql
def test_state_of_a_rolled_back_transaction(
    app: Application, next_test: NextTest
) -> None:
    """An advisory lock of the session outlives the application's own rollback."""
    app.sent("SELECT pg_advisory_lock(1)", "SET work_mem = '123kB'", commit=False)
    next_test()

    assert 0 == app.sent("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")


@postgresql
def test_constraints_set_deferred(app: Application, next_test: NextTest) -> None:
    """SET CONSTRAINTS is the transaction's, and does not stop anything later."""
    app.sent("SET CONSTRAINTS ALL DEFERRED")
    next_test()
    asyncio.run(app.add("next"))

    assert ["next"] == asyncio.run(app.names())


@postgresql
def test_state_that_a_function_sets(app: Application, next_test: NextTest) -> None:
    """A function of the application hides set_config from everybody's eyes."""
    before = app.sent("SHOW work_mem")
    app.sent(
        "CREATE FUNCTION tune() RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM set_config('work_mem', '123kB', false); "
        "PERFORM pg_advisory_lock(99); END $$",
        "SELECT tune()",
    )
    next_test()

    assert before == app.sent("SHOW work_mem")
    assert 0 == app.sent("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")


@postgresql
def test_state_that_a_do_block_sets(app: Application, next_test: NextTest) -> None:
    """A lock taken in an anonymous block."""
    app.sent("DO $$ BEGIN PERFORM pg_advisory_lock(98); END $$")
    next_test()

    assert 0 == app.sent("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")


@postgresql
def test_state_that_a_function_of_the_schema_sets(
    kind: str, make_isolation: Callable[..., Isolation], make_app: Any
) -> None:
    """The function was there before any test; no statement tells what it does."""
    function = (
        "CREATE FUNCTION hold() RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_advisory_lock(97); END $$"
    )
    isolation = make_isolation(kind, extra=(function,))
    found = []
    for name in ("first", "second"):
        isolation.open(name)
        app = make_app(isolation._link.database.url)
        found.append(
            app.sent("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        )
        app.sent("SELECT hold()")
        isolation.close()

    assert [0, 0] == found


@sqlite
@pytest.mark.parametrize(
    "pragma",
    [
        "foreign_keys",
        "cache_size",
        "case_sensitive_like",
        "recursive_triggers",
        "reverse_unordered_selects",
        "query_only",
        "defer_foreign_keys",
        "ignore_check_constraints",
        "user_version",
        "application_id",
        "busy_timeout",
    ],
)
def test_a_pragma_is_set_back(
    app: Application, next_test: NextTest, pragma: str
) -> None:
    """Whatever the test set it to, in the middle of its work."""
    before = app.sent(f"PRAGMA {pragma}") if pragma != "case_sensitive_like" else None
    try:
        app.sent(f"PRAGMA {pragma} = 1")
    except (DBAPIError, TransactionControlRefused):
        pytest.skip("refused, so it cannot leak")
    next_test()

    if before is None:
        assert 1 == app.sent("SELECT 'a' LIKE 'A'")
    else:
        assert before == app.sent(f"PRAGMA {pragma}")
    asyncio.run(app.add("writes"))


@sqlite
def test_a_temporary_table_of_sqlite_is_gone(
    app: Application, next_test: NextTest
) -> None:
    """It would hide the real one."""
    app.sent("CREATE TEMP TABLE users (id int, name text)")
    next_test()
    asyncio.run(app.add("in the real table"))

    assert ["in the real table"] == asyncio.run(app.names())


@sqlite
def test_an_attached_database_is_gone(
    app: Application, next_test: NextTest, tmp_path: Any
) -> None:
    """ATTACH of a file, with or without a word of SQLite's against it."""
    try:
        app.sent(f"ATTACH DATABASE '{tmp_path / 'other.db'}' AS other")
    except DBAPIError:
        pytest.skip("SQLite refuses it inside of a transaction")
    next_test()

    with pytest.raises(DBAPIError, match="other"):
        app.sent("SELECT * FROM other.sqlite_master")


@postgresql
def test_the_kept_connection_is_the_same_for_tests_without_state(
    app: Application, next_test: NextTest
) -> None:
    """No driver connection is opened per test."""
    found = set()
    for _ in range(5):
        asyncio.run(app.add("one"))
        found.add(app.sent("SELECT pg_backend_pid()"))
        next_test()

    assert 1 == len(found)


@postgresql
def test_a_reset_costs_no_round_trip(
    app: Application, isolation: Isolation, next_test: NextTest
) -> None:
    """It travels with the ROLLBACK."""
    spent = []
    for statement in ("SELECT 1", "SET work_mem = '123kB'"):
        app.sent(statement)
        before = isolation.round_trips
        next_test()
        spent.append(isolation.round_trips - before)

    assert spent[0] == spent[1]
