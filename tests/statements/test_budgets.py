"""What a block of statements is expected to be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import literal, select

from pytest_asyncdb.errors import BudgetExceeded, StatementsRefused
from tests.statements.blog import Comment, Post, User

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from pytest_asyncdb.statements import Recorder


async def _work(session: AsyncSession) -> None:
    """Two reads of users and one write of a post."""
    for name in ("ann", "bob"):
        await session.scalars(select(User).where(User.name == name))
    session.add(Post(title="new", author_id=1))
    await session.flush()


@pytest.mark.parametrize(
    "expected",
    [
        {"at_most": 3},
        {"at_most": 9, "reads": 2},
        {"exactly": 3},
        {"exactly": 3, "reads": 2, "writes": 1},
        {"tables": {"users", "posts"}},
        {"tables": ["users", "posts", "comments"], "no_n_plus_one": True},
    ],
)
async def test_a_budget_that_is_kept(
    session: AsyncSession, recorder: Recorder, expected: dict[str, Any]
) -> None:
    """Passes; the block can be looked at afterwards."""
    async with recorder.expect(**expected) as block:
        await _work(session)

    assert 3 == len(block.statements)
    assert 3 == len(block.log)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"at_most": 2}, "3 statements were sent, at most 2 expected"),
        ({"exactly": 4}, "3 statements were sent, exactly 4 expected"),
        ({"reads": 1}, "2 of them read, 1 expected"),
        ({"writes": 0}, "1 of them write, 0 expected"),
        ({"tables": {"users"}}, "the table posts was touched"),
    ],
)
async def test_a_budget_that_is_exceeded(
    session: AsyncSession, recorder: Recorder, expected: dict[str, Any], said: str
) -> None:
    """Says by what, and shows all statements by shape, with counts and lines."""
    with pytest.raises(BudgetExceeded) as caught:
        async with recorder.expect(**expected):
            await _work(session)

    message = str(caught.value)
    assert message.startswith(said)
    assert re.search(r"2 x SELECT .* FROM users WHERE users.name = ", message)
    assert re.search(r"sent at .*test_budgets.py:\d+ in _work\n", message)
    assert re.search(r"1 x INSERT INTO posts .*\n\s+flush at .*in _work", message)
    assert isinstance(caught.value, AssertionError)


async def test_parameters_are_not_shown(
    session: AsyncSession, recorder: Recorder
) -> None:
    """They may be secrets."""
    with pytest.raises(BudgetExceeded) as caught:
        async with recorder.expect(at_most=0):
            await session.scalars(select(User).where(User.name == "secret"))

    assert "secret" not in str(caught.value)
    assert "secret" not in repr(recorder.log)


async def test_only_the_block_counts(session: AsyncSession, recorder: Recorder) -> None:
    """Not what was sent before it and after it."""
    await session.execute(select(literal(1)))
    async with recorder.expect(exactly=1) as block:
        await session.execute(select(literal(2)))
    await session.execute(select(literal(3)))

    assert 1 == len(block.statements)
    assert 3 == len(recorder.log)


async def test_a_block_that_fails_shows_its_own_error(recorder: Recorder) -> None:
    """An error of the block comes first."""
    with pytest.raises(ZeroDivisionError):
        async with recorder.expect(exactly=1):
            _ = 1 / 0


async def test_a_block_without_await(session: AsyncSession, recorder: Recorder) -> None:
    """`with` does as well, for sync tests."""
    with recorder.expect(exactly=1):
        await session.execute(select(Comment.id))

    with pytest.raises(BudgetExceeded), recorder.expect(exactly=1):
        pass


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "expect() without an argument"),
        ({"at_most": 1, "exactly": 1}, "expect(at_most=1, exactly=1) cannot be met"),
        ({"at_most": 1, "reads": 2}, "expect(at_most=1, reads=2) cannot be met"),
        ({"exactly": 3, "reads": 1, "writes": 1}, "cannot be met by any number"),
        ({"exactly": 1, "reads": 1, "writes": 1}, "cannot be met by any number"),
        ({"at_most": -1}, "expect(at_most=-1): a number of statements is an int"),
        ({"exactly": "3"}, "expect(exactly='3'): a number of statements is an int"),
        ({"exactly": True}, "expect(exactly=True)"),
        ({"tables": "users"}, "a set of names is needed"),
    ],
)
def test_what_nothing_can_meet(
    recorder: Recorder, arguments: dict[str, Any], said: str
) -> None:
    """Is refused at the call."""
    with pytest.raises(StatementsRefused) as caught:
        recorder.expect(**arguments)

    assert said in str(caught.value)


def test_a_closed_recorder(recorder: Recorder) -> None:
    """Would count nothing."""
    recorder.close()
    with (
        pytest.raises(StatementsRefused, match="has been closed"),
        recorder.expect(at_most=1),
    ):
        pass
