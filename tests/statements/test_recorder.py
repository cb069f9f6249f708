"""What is recorded of a statement."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, create_engine, exc, literal, select, text, update
from sqlalchemy.orm import Session, joinedload, selectinload

from pytest_asyncdb.errors import StatementsRefused
from pytest_asyncdb.statements import Recorder, record
from pytest_asyncdb.statements._listeners import Ears, Listeners
from tests.statements.blog import Comment, Post, User

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession


def _line() -> int:
    """Where it is called."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def _kinds(recorder: Recorder) -> list[str]:
    return [each.kind for each in recorder.log]


async def test_the_line_of_the_application(
    session: AsyncSession, recorder: Recorder
) -> None:
    """Through SQLAlchemy's greenlet, its frames and the driver's left out."""
    _, line = await session.scalars(select(User)), _line()

    (statement,) = recorder.log
    assert statement.line == (__file__, line, "test_the_line_of_the_application")
    assert f"test_recorder.py:{line} in test_the" in str(statement.line)
    assert statement.sql.startswith("SELECT users.id")
    assert statement.duration is not None
    assert 0 < statement.duration < 10


async def test_parameters_and_rows(session: AsyncSession, recorder: Recorder) -> None:
    """As they go to the driver; rows that were changed."""
    await session.execute(update(User).where(User.name < "c").values(name="dee"))

    (statement,) = recorder.log
    assert "dee" in list(statement.parameters)
    assert 2 == statement.rows
    assert statement.is_write
    assert {"users"} == statement.tables


async def test_a_lazy_load(session: AsyncSession, recorder: Recorder) -> None:
    """Names its relationship."""
    user = (await session.scalars(select(User))).first()
    assert user is not None
    _, line = await user.awaitable_attrs.posts, _line()

    assert ["application", "lazy load"] == _kinds(recorder)
    assert "User.posts" == recorder.log[1].relationship
    assert recorder.log[1].line is not None
    assert line == recorder.log[1].line.number


async def test_an_eager_load(session: AsyncSession, recorder: Recorder) -> None:
    """Of a second statement; a join is the query's own."""
    posts = selectinload(User.posts)
    await session.scalars(select(User).options(posts.joinedload(Post.comments)))

    assert ["application", "eager load"] == _kinds(recorder)
    assert "User.posts" == recorder.log[1].relationship
    assert {"posts", "comments"} == recorder.log[1].tables


async def test_a_join_reads_both_tables(
    session: AsyncSession, recorder: Recorder
) -> None:
    """Also one that an option adds."""
    await session.scalars(select(Post).options(joinedload(Post.author)))

    assert [{"posts", "users"}] == [each.tables for each in recorder.log]


async def test_a_flush_and_a_refresh(session: AsyncSession, recorder: Recorder) -> None:
    """Whoever asked for them, also a query that flushes by itself."""
    user = User(name="eve")
    session.add(user)
    await session.scalars(select(User.name))
    await session.refresh(user)

    assert ["flush", "application", "refresh"] == _kinds(recorder)
    assert recorder.log[0].is_write


async def test_savepoints_are_not_the_applications(
    session: AsyncSession, recorder: Recorder
) -> None:
    """They are in the log, but not among what is counted."""
    async with recorder.expect(exactly=1), session.begin_nested():
        await session.scalars(select(User))

    assert ["transaction", "application", "transaction"] == _kinds(recorder)


async def test_transactions_are_numbered(
    session: AsyncSession, engine: AsyncEngine, recorder: Recorder
) -> None:
    """In the order of their first statements."""
    await session.execute(select(literal(1)))
    await session.commit()
    await session.execute(select(literal(2)))
    await session.execute(select(literal(3)))
    await session.rollback()
    async with engine.connect() as connection:
        await connection.execute(select(literal(4)))

    assert [1, 2, 2, 3] == [each.transaction for each in recorder.log]


async def test_a_statement_that_fails(
    session: AsyncSession, recorder: Recorder
) -> None:
    """Is in the log with its error, and without a duration."""
    with pytest.raises(exc.DBAPIError):
        await session.execute(text("SELECT nothing FROM users"))

    (statement,) = recorder.log
    assert statement.error is not None
    assert statement.duration is None
    assert {"users"} == statement.tables


async def test_the_shape_of_a_statement(
    session: AsyncSession, recorder: Recorder
) -> None:
    """Is the same however long a list is."""
    for ids in ([1, 2], [1, 2, 3]):
        await session.scalars(select(Comment).where(Comment.id.in_(ids)))

    assert 1 == len({each.shape for each in recorder.log})
    assert recorder.log[0].shape.startswith("SELECT … FROM comments WHERE")


async def test_nothing_is_recorded_that_was_not_asked_for(
    session: AsyncSession, engine: AsyncEngine
) -> None:
    """Before, in a pause, and after the recorder is closed."""
    await session.execute(select(literal(1)))
    with record(engine) as recorder:
        await session.execute(select(literal(2)))
        with recorder.paused():
            await session.execute(select(literal(3)))
    await session.execute(select(literal(4)))

    assert 1 == len(recorder.log)
    assert not recorder.is_recording


async def test_recorders_beside_each_other(
    session: AsyncSession, engine: AsyncEngine, recorder: Recorder
) -> None:
    """Each has what was sent while it was open."""
    with record(engine) as other:
        user = await session.scalar(select(User).limit(1))
        assert user is not None
        await user.awaitable_attrs.posts
    await session.execute(select(literal(1)))

    assert ["application", "lazy load"] == _kinds(other)
    assert ["application", "lazy load", "application"] == _kinds(recorder)


async def test_other_engines_are_not_recorded(recorder: Recorder) -> None:
    """Only the one that was given."""
    with create_engine("sqlite://").connect() as connection:
        connection.execute(select(literal(1)))

    assert () == recorder.log


def test_a_sync_engine() -> None:
    """Is recorded as an async one is."""
    engine = create_engine("sqlite://")
    with record(engine) as recorder, Session(engine) as session:
        session.execute(select(literal(1)))

    assert ["application"] == _kinds(recorder)


def test_listeners_linger_for_some_tests() -> None:
    """So that tests which record one after the other do not add them each time."""
    engine = create_engine("sqlite://")
    listeners = Listeners(engine, lingers=True)
    sent: list[str] = []
    ears = Ears(lambda *told: sent.append(told[1]), lambda *_: None, lambda _: None)
    left = []
    for _ in range(2):
        listeners.add(ears)
        with engine.connect() as connection:
            connection.execute(select(literal(1)))
        listeners.remove(ears)
        for _ in range(25):
            left.append(len(list(engine.dispatch.before_cursor_execute)))
            listeners.end_test()
    with engine.connect() as connection:
        connection.execute(select(literal(2)))

    assert ["SELECT ? AS anon_1"] * 2 == sent
    assert ([1] * 21 + [0] * 4) * 2 == left


def test_what_a_dialect_asks_when_it_first_connects_is_not_recorded() -> None:
    """The application has not sent it."""
    engine = create_engine("sqlite://")
    with record(engine) as recorder:
        engine.connect().close()

    assert () == recorder.log


@pytest.mark.parametrize("value", ["sqlite://", None, Engine])
def test_what_is_no_engine(value: Any) -> None:
    """Is refused at the call."""
    with pytest.raises(StatementsRefused, match="statements of an engine are recorded"):
        record(value)
