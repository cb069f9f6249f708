"""DDL in a test: undone, and nobody remembers what it made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import DBAPIError

from tests.isolation.kinds import MYSQL

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.isolation.conftest import Application

    NextTest = Callable[..., None]

postgresql = pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread", "psycopg"])


@postgresql
def test_a_table_that_one_test_makes(app: Application, next_test: NextTest) -> None:
    """DDL is rolled back, and its statements work again: no stale cached plan."""
    for column in ("a int", "a text, b int", "b text"):
        app.sent(f"CREATE TABLE made ({column})", "SELECT * FROM made")
        app.sent("SELECT * FROM made")
        next_test()

    with pytest.raises(DBAPIError, match="made"):
        app.sent("SELECT * FROM made")


@postgresql
def test_a_column_that_one_test_adds(app: Application, next_test: NextTest) -> None:
    """`SELECT *` on the original table, on the altered one, and on the original one."""
    for altered in (False, True, False, True):
        asyncio.run(app.add("before"))
        if altered:
            app.sent("ALTER TABLE users ADD COLUMN age int DEFAULT 7")
            assert 7 == app.sent("SELECT age FROM users")
        for _ in range(6):  # psycopg prepares what it has sent five times
            app.sent("SELECT * FROM users")
        next_test()


@postgresql
def test_an_enum_type_that_tests_make_anew(
    app: Application, next_test: NextTest
) -> None:
    """The driver remembers types by OID; each test's has another."""
    for label in ("one", "two"):
        app.sent(f"CREATE TYPE mood AS ENUM ('{label}')")
        assert label == app.sent(f"SELECT '{label}'::mood")
        next_test()


def test_truncate_is_rolled_back(
    app: Application, next_test: NextTest, kind: str
) -> None:
    """And where a product has none, or it commits, DELETE of all rows."""
    without = kind.startswith("aiosqlite") or kind in MYSQL
    verb = "DELETE FROM" if without else "TRUNCATE"
    app.sent(f"{verb} seeds")
    assert 0 == app.sent("SELECT count(*) FROM seeds")
    next_test()

    assert 1 == app.sent("SELECT count(*) FROM seeds")


@postgresql
def test_a_sequence_that_a_test_restarts(app: Application, next_test: NextTest) -> None:
    """ALTER SEQUENCE … RESTART is rolled back; numbers that were taken are not."""
    app.sent("ALTER SEQUENCE users_id_seq RESTART WITH 2000000000")
    asyncio.run(app.add("late"))
    assert 2_000_000_000 == app.sent("SELECT id FROM users")
    next_test()
    asyncio.run(app.add("next"))

    assert 2_000_000_000 > app.sent("SELECT id FROM users")
