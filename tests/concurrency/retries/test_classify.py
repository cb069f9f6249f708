"""Errors as they really arrive on each driver, and what `classify` says of them."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Final

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asyncdb.concurrency import Condition, classify
from tests.concurrency.retries.provoked import PROVOKED, attempt, end, shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

# Each row: the class and the code through SQLAlchemy, whether it has given the
# connection up, what the next statement of the transaction gives.
_ASYNCPG: Final = {
    "serialization_failure": ("DBAPIError", "40001", False, "DBAPIError 25P02"),
    "serialization_failure, at COMMIT": (
        *("DBAPIError", "40001", False, "PendingRollbackError"),
    ),
    "deadlock_detected": ("DBAPIError", "40P01", False, "DBAPIError 25P02"),
    "lock_not_available": ("DBAPIError", "55P03", False, "DBAPIError 25P02"),
    "lock_not_available, NOWAIT": ("DBAPIError", "55P03", False, "DBAPIError 25P02"),
    "query_canceled": ("DBAPIError", "57014", False, "DBAPIError 25P02"),
    "idle_in_transaction_session_timeout": (
        *("InterfaceError", None, True, "PendingRollbackError"),
    ),
    "transaction_timeout": ("InterfaceError", None, True, "PendingRollbackError"),
    "admin_shutdown": ("InterfaceError", None, True, "PendingRollbackError"),
    "admin_shutdown, meanwhile": ("DBAPIError", "08003", True, "PendingRollbackError"),
    "unique_violation": ("IntegrityError", "23505", False, "DBAPIError 25P02"),
    "read_only_sql_transaction": ("DBAPIError", "25006", False, "DBAPIError 25P02"),
}
_ABORTED: Final = "InternalError 25P02"
_PSYCOPG: Final = {
    "serialization_failure": ("OperationalError", "40001", False, _ABORTED),
    "serialization_failure, at COMMIT": (
        *("OperationalError", "40001", False, "PendingRollbackError"),
    ),
    "deadlock_detected": ("OperationalError", "40P01", False, _ABORTED),
    "lock_not_available": ("OperationalError", "55P03", False, _ABORTED),
    "lock_not_available, NOWAIT": ("OperationalError", "55P03", False, _ABORTED),
    "query_canceled": ("OperationalError", "57014", False, _ABORTED),
    "idle_in_transaction_session_timeout": (
        *("InternalError", "25P03", True, "PendingRollbackError"),
    ),
    "transaction_timeout": ("InternalError", "25P04", True, "PendingRollbackError"),
    "admin_shutdown": ("OperationalError", "57P01", True, "PendingRollbackError"),
    "admin_shutdown, meanwhile": (
        *("OperationalError", "57P01", True, "PendingRollbackError"),
    ),
    "unique_violation": ("IntegrityError", "23505", False, _ABORTED),
    "read_only_sql_transaction": ("InternalError", "25006", False, _ABORTED),
}
# 99: what the transaction wrote before is still there. 100: it has been undone.
_AIOMYSQL: Final = {
    "deadlock_detected": ("OperationalError", 1213, False, "reads 100"),
    "lock_not_available": ("OperationalError", 1205, False, "reads 99"),
    "lock_not_available, NOWAIT": ("OperationalError", 1205, False, "reads 99"),
    "serialization_failure": ("OperationalError", 1020, False, "reads 100"),
    "query_canceled": ("OperationalError", 1969, False, "reads 99"),
    "unique_violation": ("IntegrityError", 1062, False, "reads 99"),
    "read_only_sql_transaction": ("OperationalError", 1290, False, "reads 100"),
    "connection_failure, meanwhile": (
        *("OperationalError", 2013, True, "PendingRollbackError"),
    ),
    "connection_failure": ("OperationalError", 2013, True, "PendingRollbackError"),
}
_ASYNCMY: Final = _AIOMYSQL | {
    "connection_failure": ("OperationalError", 2006, True, "PendingRollbackError"),
}
_SHARED: Final = "SQLITE_LOCKED_SHAREDCACHE"
_AIOSQLITE: Final = {
    "lock_not_available": ("OperationalError", "SQLITE_BUSY", False, "reads 100"),
    "lock_not_available, at COMMIT": (
        *("OperationalError", "SQLITE_BUSY", False, "PendingRollbackError"),
    ),
    "lock_not_available, shared cache": (
        *("OperationalError", _SHARED, False, f"OperationalError {_SHARED}"),
    ),
    "serialization_failure": (
        *("OperationalError", "SQLITE_BUSY_SNAPSHOT", False, "reads 100"),
    ),
    "unique_violation": (
        *("IntegrityError", "SQLITE_CONSTRAINT_UNIQUE", False, "reads 99"),
    ),
    "read_only_sql_transaction": (
        *("OperationalError", "SQLITE_READONLY", False, "reads 100"),
    ),
    "query_canceled": ("OperationalError", "SQLITE_INTERRUPT", False, "reads 100"),
}
TABLE: Final[Mapping[str, Mapping[str, tuple[object, ...]]]] = {
    "asyncpg": _ASYNCPG,
    "psycopg": _PSYCOPG,
    "aiomysql": _AIOMYSQL,
    "asyncmy": _ASYNCMY,
    "aiosqlite": _AIOSQLITE,
}
CELLS: Final = [(driver, case) for driver, cases in TABLE.items() for case in cases]
PERMANENT: Final = {
    "query_canceled",
    "transaction_timeout",
    "unique_violation",
    "read_only_sql_transaction",
}


class _Conflict(Exception):
    """An application's own error."""


def _wrapped(error: BaseException) -> Sequence[BaseException]:
    """The error as it is, in one and two layers of wrapping, and in groups."""
    once = _caused(_Conflict("once"), error)
    twice = _caused(_Conflict("twice"), once)
    group = ExceptionGroup("a task group", [_Conflict("beside"), once])
    return error, once, twice, group, _caused(_Conflict("of a group"), group)


def _caused(error: Exception, cause: BaseException) -> Exception:
    with pytest.raises(type(error)) as caught:
        raise error from cause
    return caught.value


def _expected(driver: str, case: str) -> tuple[str, bool, str, bool]:
    """Name, transient, rolled back, disconnected."""
    _, code, gone, _ = TABLE[driver][case]
    name = case.partition(",")[0]
    if driver == "asyncpg" and gone:
        name = {"08003": "connection_does_not_exist"}.get(
            str(code), "connection_failure"
        )
    only_statement = driver == "aiosqlite" or code in {1205, 1290, 1969, 1062}
    undone = "statement" if only_statement else "transaction"
    return name, name not in PERMANENT, undone, bool(gone)


def test_the_table_has_a_row_for_all_that_is_provoked() -> None:
    """On each driver."""
    assert {driver: set(cases) for driver, cases in PROVOKED.items()} == {
        driver: set(cases) for driver, cases in TABLE.items()
    }


@pytest.mark.parametrize(("driver", "case"), CELLS)
async def test_the_table_of_real_errors(
    engine: AsyncEngine, driver: str, case: str
) -> None:
    """Class, code, connection and next statement; `classify` agrees in all."""
    found = await PROVOKED[driver][case](engine)
    seen = shape(found.error)

    assert TABLE[driver][case] == (
        *(seen.kind, seen.code, seen.invalidated, found.following),
    )
    for error in _wrapped(found.error):
        condition = classify(error)
        assert condition is not None
        assert not condition.outcome_unknown
        assert _expected(driver, case) == (
            condition.name,
            condition.transient,
            condition.rolled_back,
            condition.disconnected,
        )


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "aiomysql", "asyncmy"])
async def test_a_session_that_ends_before_its_commit(engine: AsyncEngine) -> None:
    """Whoever sent a COMMIT and got no answer cannot know what became of it."""
    async with engine.connect() as connection:
        await connection.execute(text("UPDATE accounts SET balance = 0"))
        await end(engine, connection)
        error = await attempt(connection.commit())

        assert error is not None
        for each in _wrapped(error):
            condition = classify(each)
            assert condition is not None, repr(error)
            assert condition.outcome_unknown
            assert condition.disconnected
            assert not condition.transient
            assert None is condition.rolled_back


@pytest.mark.parametrize("driver", ["asyncpg"])
async def test_a_driver_that_gives_up_waiting_for_a_commit(engine: AsyncEngine) -> None:
    """Its error has no code, and the COMMIT goes on without it."""
    impatient = create_async_engine(engine.url, connect_args={"command_timeout": 0.3})
    slow = """
        CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON accounts
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()
    """
    sleeps = "BEGIN PERFORM pg_sleep(2); RETURN NULL; END"
    function = f"CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS '{sleeps}'"
    async with engine.begin() as connection:
        await connection.execute(text(function))
        await connection.execute(text(slow))
    async with impatient.connect() as connection:
        await connection.execute(text("UPDATE accounts SET balance = 0 WHERE id = 1"))
        error = await attempt(connection.commit())
    await impatient.dispose()
    async with engine.begin() as connection:
        await connection.execute(text("DROP FUNCTION slow() CASCADE"))

    assert error is not None
    condition = classify(error)
    assert condition is not None, repr(error)
    assert condition.outcome_unknown


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "aiomysql", "asyncmy"])
async def test_a_server_that_is_not_there(engine: AsyncEngine) -> None:
    """Whoever could not connect has lost nothing."""
    url = engine.url.set(host="/nowhere", port=None, query={})
    if engine.dialect.name == "mariadb":
        url = engine.url.set(host="127.0.0.1", port=9, query={})
    nowhere = create_async_engine(url)
    error = await attempt(nowhere.connect().start())

    assert error is not None
    condition = classify(error)
    assert condition is not None
    assert "sqlclient_unable_to_establish_sqlconnection" == condition.name
    assert condition.transient
    assert not condition.outcome_unknown


@pytest.mark.parametrize("driver", ["aiosqlite"])
async def test_a_pool_that_has_none_to_give(url: str) -> None:
    """It is told by SQLAlchemy's own code, and retrying would not help."""
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    async with engine.connect():
        error = await attempt(engine.connect().start())
    await engine.dispose()

    assert error is not None
    assert Condition("pool_timeout") == classify(error)


def test_what_is_not_the_database_s() -> None:
    """Errors of the application, of its HTTP client, and cancellation."""
    others: list[BaseException] = [
        KeyError(1213),
        ConnectionRefusedError(111, "refused"),
        asyncio.CancelledError(),
        _Conflict("nothing behind it"),
    ]

    assert [None] * 4 == [classify(each) for each in others]


@pytest.mark.parametrize("driver", ["asyncpg"])
async def test_the_gravest_of_several(engine: AsyncEngine) -> None:
    """One of a group that cannot be repeated decides for all of them."""
    transient = await PROVOKED["asyncpg"]["serialization_failure"](engine)
    permanent = await PROVOKED["asyncpg"]["unique_violation"](engine)
    group = ExceptionGroup("", [transient.error, permanent.error])
    condition = classify(group)

    assert condition is not None
    assert "unique_violation" == condition.name


@pytest.mark.parametrize("driver", ["psycopg"])
async def test_an_error_of_another_process(engine: AsyncEngine) -> None:
    """Without its traceback, a lost connection may have been lost in a COMMIT."""
    found = await PROVOKED["psycopg"]["unique_violation"](engine)
    copy = pickle.loads(pickle.dumps(found.error.orig))  # noqa: S301 - our own
    lost = DBAPIError(None, None, copy, connection_invalidated=True)
    condition = classify(lost)

    assert condition is not None
    assert condition.outcome_unknown


def test_errors_that_cause_each_other() -> None:
    """A circle of causes has an end."""
    first, second = _Conflict("first"), _Conflict("second")
    first.__cause__, second.__cause__ = second, first

    assert None is classify(first)
