"""Whether factories still fit their models: `lint()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import factory
import pytest

from pytest_asyncdb.factories import AsyncModelFactory, lint
from tests.factories.conftest import rows
from tests.factories.library import (
    Author,
    AuthorFactory,
    Book,
    BookFactory,
    ProfileFactory,
    TagFactory,
    TaggedBookFactory,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


class Traited(AuthorFactory):
    """One of its traits works."""

    class Params:
        """Switches."""

        star = factory.Trait(nickname="*")
        same = factory.Trait(email="the same for all")
        failing = factory.Trait(name=factory.LazyAttribute(lambda o: o.nothing))


async def test_factories_that_work(session: AsyncSession) -> None:
    """No problem, and no row."""
    await AuthorFactory()
    all_of_them: list[Any] = [AuthorFactory, BookFactory, TagFactory, ProfileFactory]

    assert [] == await lint([*all_of_them, TaggedBookFactory])
    assert {"Author": 1} == await rows(session)


async def test_traits_that_fail(session: AsyncSession) -> None:
    """Each by itself; the second object finds what is not unique."""
    problems = await lint([Traited])

    assert ["same", "failing"] == [each.trait for each in problems]
    assert "IntegrityError" in problems[0].text
    assert str(problems[1]).startswith("Traited with failing: AttributeError: ")
    assert [] == await lint([Traited], traits=False)
    assert {} == await rows(session)


async def test_columns_without_a_declaration(session: AsyncSession) -> None:
    """What the database says, and which they are."""

    class Forgetful(AsyncModelFactory[Book]):
        class Meta:
            model = Book

        title = "x"

    problems = await lint([Forgetful])

    assert "declares nothing for price, author, which must not be NULL" in [
        each.text for each in problems
    ]


async def test_declarations_of_columns_that_are_gone(session: AsyncSession) -> None:
    """With the name that was meant."""

    class Outdated(AuthorFactory):
        nick_name = "Old"

    problems = await lint([Outdated])

    assert [
        "declares nick_name, which Author does not have; did you mean nickname?"
    ] == [each.text for each in problems]


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_values_that_are_too_long(session: AsyncSession) -> None:
    """SQLite takes them, other databases do not."""

    class Long(AuthorFactory):
        name: Any = "x" * 21

    problems = await lint([Long])

    assert 1 == len(problems)
    assert f"Author.name is String(20), and {'x' * 21!r} is longer" == problems[0].text
    assert Author is Long._meta.model
