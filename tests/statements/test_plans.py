"""How a server finds rows, and whether an index is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import (
    Executable,
    Index,
    create_engine,
    delete,
    func,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.orm import aliased

from pytest_asyncdb.errors import PlanUnexpected, StatementsRefused
from pytest_asyncdb.statements import record
from tests.statements.blog import Comment, Post, User

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

    from pytest_asyncdb.statements import Recorder

OTHER = aliased(Post, name="other")


@pytest.mark.parametrize(
    "statement",
    [
        select(Post).where(Post.author_id == 1),
        select(OTHER).where(OTHER.author_id == 1),
        select(User.id).join(Post, Post.author_id == User.id).where(User.name == "ann"),
        update(Post).where(Post.author_id == 1).values(title="new"),
        delete(Post).where(Post.author_id == -1),
        text("SELECT * FROM posts WHERE author_id = 1"),
    ],
)
async def test_a_condition_without_an_index(
    session: AsyncSession, recorder: Recorder, statement: Executable
) -> None:
    """Reads the whole table, whatever the statement is."""
    await session.execute(statement)
    await session.rollback()
    plans = await recorder.explain()

    with pytest.raises(PlanUnexpected, match="whole tables are read") as caught:
        plans.no_full_scan("posts")
    assert "    - posts: " in str(caught.value)
    assert "test_plans.py:" in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        select(Comment).where(Comment.post_id == 1),
        select(Comment.id).join(Post).where(Post.title == "ann 1"),
        update(Comment).where(Comment.post_id == 1).values(body="new"),
        delete(Comment).where(Comment.post_id == -1),
    ],
)
async def test_a_condition_with_an_index(
    session: AsyncSession, recorder: Recorder, statement: Executable
) -> None:
    """Does not, however few rows there are."""
    await session.execute(statement)
    await session.rollback()
    plans = await recorder.explain()

    plans.no_full_scan("comments")
    plans.uses_index("ix_comments_post_id")


async def test_an_index_that_is_added(
    engine: AsyncEngine, session: AsyncSession, recorder: Recorder
) -> None:
    """Is what was missing."""
    index = Index("ix_new", Post.__table__.c.author_id)
    async with engine.begin() as connection:
        await connection.run_sync(index.create)
    try:
        await session.execute(select(Post).where(Post.author_id == 1))
        await session.rollback()
        plans = await recorder.explain(recorder.log[-1])
    finally:
        async with engine.begin() as connection:
            await connection.run_sync(index.drop)
        Post.__table__.indexes.remove(index)  # type: ignore[attr-defined]

    plans.no_full_scan("posts")
    plans.uses_index("ix_new")


async def test_all_rows_are_a_full_scan(
    session: AsyncSession, recorder: Recorder
) -> None:
    """Also where they are read along an index."""
    await session.execute(select(Post).order_by(Post.id))
    await session.execute(select(func.count()).select_from(User))
    await session.rollback()
    plans = await recorder.explain()

    assert [{"posts"}, {"users"}] == [each.full_scans for each in plans]


async def test_an_index_that_is_not_used(
    session: AsyncSession, recorder: Recorder
) -> None:
    """Is named with those that are."""
    await session.execute(select(Post).where(Post.title == "a"))
    await session.rollback()
    plans = await recorder.explain()

    plans.uses_index("ix_posts_title")
    with pytest.raises(PlanUnexpected) as caught:
        plans.uses_index("ix_posts_titel")
    assert "no plan uses the index ix_posts_titel" in str(caught.value)
    assert "indexes that are used: ix_posts_title" in str(caught.value)


async def test_explaining_is_not_recorded(
    session: AsyncSession, recorder: Recorder
) -> None:
    """Nor does it change how the next statement is planned."""
    await session.execute(select(Post).where(Post.title == "a"))
    await session.rollback()
    await recorder.explain()

    assert 1 == len(recorder.log)


async def test_what_has_no_plan(session: AsyncSession, recorder: Recorder) -> None:
    """Is refused where it is named; a log without a plan is, too."""
    with pytest.raises(StatementsRefused, match="no statement has been recorded"):
        await recorder.explain()
    await session.execute(text("CREATE TABLE more (id INTEGER)"))
    await session.execute(text("DROP TABLE more"))
    await session.commit()

    with pytest.raises(StatementsRefused, match="there is no plan of: CREATE TABLE"):
        await recorder.explain(recorder.log[0])


async def test_a_table_that_no_statement_touches(
    session: AsyncSession, recorder: Recorder
) -> None:
    """A misspelt name would pass for ever."""
    await session.execute(select(Post).where(Post.title == "a"))
    await session.rollback()
    plans = await recorder.explain()

    with pytest.raises(StatementsRefused, match="no recorded statement touches"):
        plans.no_full_scan("post")


async def test_common_table_expressions_are_no_tables(
    session: AsyncSession, recorder: Recorder
) -> None:
    """What they are made of is."""
    titles = select(Post.title).where(Post.title == "ann 1").cte("titles")
    await session.execute(select(titles.c.title).distinct())
    await session.rollback()

    (await recorder.explain()).no_full_scan()


@pytest.mark.parametrize("kind", ["mariadb"], indirect=True)
async def test_a_server_that_looks_before_it_plans(
    session: AsyncSession, recorder: Recorder
) -> None:
    """Says nothing of how it would find rows that do not exist."""
    await session.execute(select(Post).where(Post.id == -1, Post.author_id == 1))
    await session.rollback()
    plans = await recorder.explain()

    with pytest.raises(StatementsRefused, match="the server made no plan"):
        plans.no_full_scan("posts")


async def test_a_sync_engine_explains() -> None:
    """By the same call."""
    engine = create_engine("sqlite://")
    with record(engine) as recorder, engine.connect() as connection:
        connection.execute(select(literal(1)))
        plans = await recorder.explain()

    assert [frozenset()] == [each.full_scans for each in plans]
