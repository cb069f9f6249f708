"""What a factory refuses, and what it says then."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import factory
import pytest
from factory.alchemy import SQLAlchemyModelFactory

from pytest_asyncdb.errors import FactoryRefused
from pytest_asyncdb.factories import AsyncModelFactory
from tests.factories.library import Author, AuthorFactory, Book, BookFactory

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

DEFINE: Any = type(AsyncModelFactory)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"titel": 1},
            r"BookFactory knows no attribute 'titel', and neither does Book",
        ),
        ({"titel": 1}, r"did you mean title\?"),
        ({"author__nmae": 1}, r"AuthorFactory knows no attribute 'author__nmae'"),
        ({"author__nmae": 1}, r"did you mean name\?"),
        ({"price__scale": 1, "zzz__a": 2}, r"no attribute 'zzz'"),
    ],
)
@pytest.mark.parametrize("call", ["create", "build", "stub"])
def test_a_name_that_nobody_knows(given: dict[str, Any], said: str, call: str) -> None:
    """At the call, before anything is awaited, with the nearest names."""
    with pytest.raises(FactoryRefused) as caught:
        getattr(BookFactory, call)(**given)

    assert re.search(said, str(caught.value))


def test_a_name_that_only_the_constructor_knows() -> None:
    """A model's own constructor may take more than it maps."""

    class Odd(Author):
        def __init__(self, *, shout: str, **attributes: Any) -> None:
            super().__init__(name=shout.upper(), **attributes)

    class OddFactory(AsyncModelFactory[Odd]):
        class Meta:
            model = Odd

    assert "HEY" == OddFactory.build(shout="hey").name


@pytest.mark.parametrize("model", [int, "Author"])
def test_a_model_that_is_not_mapped(model: Any) -> None:
    """When the factory is defined."""
    attributes = {"Meta": type("Meta", (), {"model": model})}
    with pytest.raises(FactoryRefused, match="is not mapped"):
        DEFINE("Wrong", (AsyncModelFactory,), attributes)


@pytest.mark.parametrize("option", ["persistence", "flush_policy"])
def test_an_option_with_an_unknown_value(option: str) -> None:
    """The values that there are are listed."""
    attributes = {"Meta": type("Meta", (), {"model": Author, option: "sometimes"})}
    with pytest.raises(FactoryRefused, match=f"{option} is 'sometimes'") as caught:
        DEFINE("Wrong", (AsyncModelFactory,), attributes)

    assert "use one of: 'co" in str(caught.value)


@pytest.mark.parametrize("size", [-1, 2.0, "3", True, None])
def test_a_size_that_is_none(size: Any) -> None:
    """A number of objects is an int that is not negative."""
    with pytest.raises(FactoryRefused, match="was asked for"):
        AuthorFactory.create_batch(size)


@pytest.mark.parametrize("call", ["create", "build"])
def test_a_factory_without_a_model(call: str) -> None:
    """Nothing can be made of it."""
    with pytest.raises(FactoryRefused, match="AsyncModelFactory is abstract"):
        getattr(AsyncModelFactory, call)()


@pytest.mark.parametrize("declaration", ["LazyFunction", "PostGeneration"])
def test_a_coroutine_cannot_be_built(declaration: str) -> None:
    """Neither a value nor a hook; the coroutine is closed."""

    async def fetched(*_: object, **__: object) -> str:
        return "never"

    class Fetching(AuthorFactory):
        nickname = getattr(factory, declaration)(fetched)

    with pytest.raises(FactoryRefused, match=r"Fetching.nickname gave a coroutine"):
        Fetching.build()


async def test_a_sub_factory_of_sync_sessions(session: AsyncSession) -> None:
    """Where the class is named that has to change."""

    class Sync(SQLAlchemyModelFactory):
        class Meta:
            model = Author

    with pytest.raises(FactoryRefused, match="Sync is a SQLAlchemyModelFactory"):
        await BookFactory(author=factory.SubFactory(Sync))
    assert not session.in_nested_transaction()


async def test_internals_outside_of_a_call() -> None:
    """`_create` without `create` has no session."""
    with pytest.raises(FactoryRefused, match=r"outside of BookFactory\.create"):
        BookFactory._create(Book)


def test_without_factory_boy() -> None:
    """The extra that brings it is named."""
    program = """
import sys

class Missing:
    @staticmethod
    def find_spec(name, *_):
        if name == "factory":
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, Missing)
from pytest_asyncdb.factories import AsyncModelFactory
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert 1 == done.returncode
    assert "AsyncModelFactory needs factory_boy" in done.stderr
    assert 'pip install "pytest-asyncdb[factories]"' in done.stderr
