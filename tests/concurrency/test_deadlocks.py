"""A deadlock is told with its locks, their order and what the server said."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import DBAPIError

from pytest_asyncdb.concurrency import lanes
from pytest_asyncdb.concurrency._deadlock import explained
from pytest_asyncdb.concurrency._diagram import diagram
from tests.concurrency.traces import trace

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_TWO = trace(
    "a: UPDATE account SET v = 1 WHERE id = 1 -- 1 row",
    "b: UPDATE account SET v = 2 WHERE id = 2 -- 1 row",
    "a: UPDATE account SET v = 1 WHERE id = 2 -- waits for b",
    "b: UPDATE account SET v = 2 WHERE id = 1 -- deadlock_detected",
    "b: ROLLBACK",
    "a: COMMIT",
)


def test_each_transaction_is_told_with_what_it_held_and_wanted() -> None:
    """By the statements that took the locks, and the order that helps."""
    expected = """\
        step 3: a wanted UPDATE account SET v = 1 WHERE id = 2; b had that since step 2, UPDATE account SET v = 2 WHERE id = 2
        step 4: b wanted UPDATE account SET v = 2 WHERE id = 1; a had that since step 1, UPDATE account SET v = 1 WHERE id = 1
        the server ended b, which closed the circle
        in one order for all: lock rows of account by ascending primary key, such as SELECT ... ORDER BY id FOR UPDATE before the first UPDATE"""  # noqa: E501

    assert textwrap.dedent(expected).splitlines() == explained(_TWO)


def test_a_circle_of_three_is_followed_around() -> None:
    """Nobody waits for the one that the last statement waits for."""
    found = explained(
        trace(
            "a: UPDATE x SET v = 1 WHERE id = 1 -- 1 row",
            "b: UPDATE y SET v = 2 WHERE id = 1 -- 1 row",
            "c: UPDATE z SET v = 2 WHERE id = 1 -- 1 row",
            "a: UPDATE y SET v = 1 WHERE id = 1 -- waits for b",
            "b: UPDATE z SET v = 1 WHERE id = 1 -- waits for c",
            "c: UPDATE x SET v = 2 WHERE id = 1 -- deadlock_detected",
        )
    )

    assert (
        "c wanted UPDATE x SET v = 2 WHERE id = 1; a had that since step 1" in found[2]
    )
    assert found[-1].endswith("touch x before y before z in every transaction")


def test_locks_without_tables_are_told_by_their_keys() -> None:
    """Advisory locks have no rows."""
    found = explained(
        trace(
            "a: LOCK 7 -- 1 row",
            "b: LOCK 8 -- 1 row",
            "a: LOCK 8 -- waits for b",
            "b: LOCK 7 -- deadlock_detected",
        )
    )

    assert "b had that since step 2, LOCK 8" in found[0]
    assert found[-1].endswith("take the locks sorted by their key")


def test_a_schedule_without_a_deadlock_has_nothing_to_explain() -> None:
    """A failure of another kind is none."""
    assert [] == explained(trace("a: UPDATE t SET v = 1 -- serialization_failure"))


def test_the_picture_of_a_deadlock_explains_it() -> None:
    """Below the steps, in the place of general advice."""
    shown = diagram(_TWO)

    assert shown.startswith("deadlock: b and a waited for each other\n")
    assert "in one order for all: lock rows of account" in shown
    assert "what helps" not in shown


@pytest.mark.parametrize("server", ["postgresql+asyncpg", "postgresql+psycopg"])
async def test_the_server_s_own_words_are_kept(engine: AsyncEngine) -> None:
    """PostgreSQL says which process waited for which, and at which row."""
    sql = "UPDATE account SET value = value + 1 WHERE id = "
    beside = lanes(engine, 2)
    async with beside as (t1, t2):
        await t1.execute(f"{sql} 1")
        await t2.execute(f"{sql} 2")
        t1.start(f"{sql} 2")
        with pytest.raises(DBAPIError):
            await t2.execute(f"{sql} 1")

    found = "\n".join(explained(beside.trace))
    assert "the server says: Process" in found
    assert "while updating tuple" in found
    assert "t1 had that since step 1" in found
