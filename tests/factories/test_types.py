"""The types that editors and mypy see."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from tests.factories.library import Author, AuthorFactory, Book, BookFactory

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


async def test_a_factory_gives_its_model(session: AsyncSession) -> None:
    """Awaited in each of the ways, built, and on a session that is given."""
    assert_type(await AuthorFactory(), Author)
    assert_type(await AuthorFactory.create(name="x"), Author)
    assert_type(await BookFactory.create_batch(2), list[Book])
    assert_type(await AuthorFactory.using(session)(), Author)
    assert_type(AuthorFactory.build(), Author)

    built = BookFactory.build_batch(2)
    assert_type(built, list[Book])
    assert 2 == len(built)
