"""What mixins fill in and leave out."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from patterns.mixins import current_user
from patterns.models import Article, User

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from pytest_asyncdb.factories import AsyncModelFactory


async def test_a_key_is_a_uuid_on_every_product(
    db_session: AsyncSession, article: Article
) -> None:
    """What is read is what was written, whatever the product stores it as."""
    db_session.expunge_all()
    found = await db_session.get_one(Article, article.id)

    assert isinstance(found.id, UUID)
    assert article is not found


async def test_times_are_those_of_the_database(
    db_session: AsyncSession, article: Article
) -> None:
    """A change is dated, and a row that nobody has changed is not."""
    await db_session.refresh(article)
    before = article.updated_at
    article.title = "better"
    await db_session.commit()
    await db_session.refresh(article)

    assert before is None
    assert article.updated_at is not None
    assert article.created_at <= article.updated_at


async def test_whose_request_it_is_is_written_down(
    db_session: AsyncSession, article: Article
) -> None:
    """The maker stays, and the last one who changed it is noted."""
    token = current_user.set("ann")
    try:
        article.title = "better"
        await db_session.commit()
    finally:
        current_user.reset(token)

    assert ("system", "ann") == (article.created_by, article.updated_by)


async def test_what_is_set_to_what_it_is_is_no_change(
    db_session: AsyncSession, article: Article
) -> None:
    """Nobody has changed it, so nobody is noted."""
    db_session.add(article)
    article.title = str(article.title)
    await db_session.commit()

    assert article.updated_by is None


async def test_what_is_hidden_is_not_found(
    db_session: AsyncSession, article_factory: type[AsyncModelFactory[Article]]
) -> None:
    """Neither by a query nor in a relationship, and it is still there."""
    kept = await article_factory()
    gone = await article_factory(author=kept.author)
    gone.hide()
    await db_session.commit()
    db_session.expunge_all()
    every = select(Article.id)
    authors = select(User).options(selectinload(User.articles))
    author = (await db_session.scalars(authors)).one()

    assert [kept.id] == list(await db_session.scalars(every))
    assert [kept.id] == [article.id for article in author.articles]
    assert {kept.id, gone.id} == set(
        await db_session.scalars(every, execution_options={"hidden": True})
    )
