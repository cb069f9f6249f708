"""Every declaration and option of factory_boy, awaited.

What each does is what factory_boy's documentation says of it. A test per behaviour
stands here or, where a database matters more, in test_create.py, test_batches.py and
test_get_or_create.py; docs/factories.md has the table.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import factory
import factory.fuzzy
import pytest
from factory.errors import CyclicDefinitionError

from pytest_asyncdb.factories import AsyncModelFactory
from tests.factories.conftest import rows
from tests.factories.library import (
    Author,
    AuthorFactory,
    Book,
    BookFactory,
    ProfileFactory,
    Tag,
    TagFactory,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


@pytest.fixture
def kind() -> str:
    """What is declared is the same on every database."""
    return "sqlite"


@pytest.mark.parametrize(
    ("declaration", "expected"),
    [
        ("constant", ["constant", "constant"]),
        (factory.Sequence(lambda n: f"n{n}"), ["n0", "n1"]),
        (factory.LazyFunction(lambda: "lazy"), ["lazy", "lazy"]),
        (factory.LazyAttribute(lambda o: o.email[:2]), ["a0", "a1"]),
        (
            factory.LazyAttributeSequence(lambda o, n: f"{o.email[:2]}-{n}"),
            ["a0-0", "a1-1"],
        ),
        (
            factory.SelfAttribute("email"),
            ["a0@books.example", "a1@books.example"],
        ),
        (factory.SelfAttribute("none", default="instead"), ["instead", "instead"]),
        (factory.Iterator(["x", "y"]), ["x", "y"]),
        (factory.Iterator(["x"]), ["x", "x"]),
        (factory.Iterator([("x", 1), ("y", 2)], getter=lambda i: i[0]), ["x", "y"]),
        (factory.Iterator(["x", "y", "z"], cycle=False), ["x", "y"]),
        (factory.Transformer("abc", transform=str.upper), ["ABC", "ABC"]),
        (factory.Maybe("email", "yes", "no"), ["yes", "yes"]),
        (factory.Maybe("nickname", "yes", factory.Sequence(str)), ["0", "1"]),
        (factory.fuzzy.FuzzyChoice(["only"]), ["only", "only"]),
        (factory.Faker("lexify", text="fixed"), ["fixed", "fixed"]),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_declaration_of_an_attribute(
    session: AsyncSession, declaration: Any, expected: list[str]
) -> None:
    """In a call of its own, and in a batch that begins again."""

    class Declared(AuthorFactory):
        name = declaration

    if isinstance(declaration, factory.Iterator):
        declaration.iterator = None
    one = [await Declared(), await Declared()]

    assert expected == [each.name for each in one]


async def test_lazy_decorators(session: AsyncSession) -> None:
    """lazy_attribute, lazy_attribute_sequence, sequence and iterator."""

    class Decorated(AuthorFactory):
        @factory.sequence
        def email(self: Any) -> str:
            return f"{self}@decorated.example"

        @factory.lazy_attribute
        def name(self: Any) -> str:
            return str(self.email.partition("@")[0])

        @factory.lazy_attribute_sequence
        def nickname(self: Any, number: int) -> str:
            return f"{self.name}/{number}"

    author = await Decorated()

    assert ("0@decorated.example", "0", "0/0") == (
        author.email,
        author.name,
        author.nickname,
    )


async def test_faker_takes_a_locale_and_arguments(session: AsyncSession) -> None:
    """Arguments may be declarations themselves."""
    day = factory.Faker(
        "date_between_dates",
        date_start=dt.date(2026, 1, 1),
        date_end=factory.LazyAttribute(lambda _: dt.date(2026, 1, 1)),
    )

    class Declared(AuthorFactory):
        class Params:
            born = day

        name = factory.LazyAttribute(lambda o: str(o.born))
        nickname = factory.Faker("first_name", locale="de_DE")

    author = await Declared()

    assert "2026-01-01" == author.name
    assert author.nickname


async def test_a_value_passes_through_a_transformer(session: AsyncSession) -> None:
    """Unless it is forced."""

    class Loud(AuthorFactory):
        name = factory.Transformer("x", transform=str.upper)

    forced = factory.Transformer.Force("quiet")
    authors = [await Loud(name="abc"), await Loud(name=forced)]

    assert ["ABC", "quiet"] == [author.name for author in authors]


async def test_dicts_and_lists(session: AsyncSession) -> None:
    """Their values are declarations that see each other, and what is around them."""

    class Declared(AuthorFactory):
        class Params:
            parts = factory.Dict(
                {
                    "first": "Ann",
                    "full": factory.LazyAttribute(lambda o: f"{o.first} B."),
                    "email": factory.SelfAttribute("..email"),
                }
            )
            words = factory.List(["x", factory.Sequence(str)])

        name = factory.LazyAttribute(lambda o: o.parts["full"])
        nickname = factory.LazyAttribute(lambda o: "-".join(o.words))

    author = await Declared(parts__first="Eve", words__0="z")

    assert ("Eve B.", "z-0") == (author.name, author.nickname)


async def test_a_sub_factory_sees_what_holds_it(session: AsyncSession) -> None:
    """By `..name`, and by `factory_parent`."""
    author = factory.SubFactory(
        AuthorFactory,
        name=factory.SelfAttribute("..title"),
        nickname=factory.LazyAttribute(lambda o: str(o.factory_parent.price)),
    )
    book = await BookFactory(author=author, title="Both")

    assert ("Both", "9.99") == (book.author.name, book.author.nickname)


async def test_a_sub_factory_by_its_path(session: AsyncSession) -> None:
    """For factories that refer to each other."""
    path = f"{AuthorFactory.__module__}.AuthorFactory"
    book = await BookFactory(author=factory.SubFactory(path, name="Path"))

    assert "Path" == book.author.name


async def test_a_sub_factory_can_be_replaced(session: AsyncSession) -> None:
    """By an object, or by another factory at the call."""
    author = await AuthorFactory()
    books = [await BookFactory(author=author), await BookFactory(author__name="Z")]

    assert author is books[0].author
    assert {"Author": 2, "Book": 2} == await rows(session)


async def test_parameters_are_no_attributes(session: AsyncSession) -> None:
    """They are there for other declarations, and can be given."""

    class Declared(AuthorFactory):
        class Params:
            domain = "params.example"

        email = factory.LazyAttributeSequence(lambda o, n: f"{n}@{o.domain}")

    authors = [await Declared(), await Declared(domain="x.example")]

    assert ["0@params.example", "1@x.example"] == [each.email for each in authors]


class Traited(AuthorFactory):
    """Traits that build upon each other."""

    class Params:
        """Switches."""

        star = factory.Trait(name="Star", nickname="*")
        megastar = factory.Trait(star=True, nickname="***")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("Ann", None)),
        ({"star": True}, ("Star", "*")),
        ({"megastar": True}, ("Star", "***")),
        ({"star": True, "nickname": "own"}, ("Star", "own")),
    ],
)
async def test_traits(
    session: AsyncSession, given: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    """Traits may switch others on; what is given wins."""
    author = await Traited(**given)

    assert expected == (author.name, author.nickname)


async def test_traits_of_a_sub_factory(session: AsyncSession) -> None:
    """Switched on from outside, or by a factory that derives from it."""

    class Star(Traited):
        star = True

    book = await BookFactory(author=factory.SubFactory(Traited), author__star=True)

    assert "Star" == book.author.name
    assert "Star" == (await Star()).name


async def test_post_generation_receives_its_arguments(session: AsyncSession) -> None:
    """The object, that it is created, what was given, and the rest."""
    received: list[Any] = []

    class Hooked(AuthorFactory):
        @factory.post_generation
        def hook(self: Any, create: object, extracted: Any, **rest: Any) -> None:
            received.append((self.name, create, extracted, rest))

    await Hooked(hook=42, hook__extra=1)
    await Hooked()
    Hooked.build(hook="built")

    assert [
        ("Ann", True, 42, {"extra": 1}),
        ("Ann", True, None, {}),
        ("Ann", False, "built", {}),
    ] == received


async def test_hooks_run_in_the_order_of_their_declaration(
    session: AsyncSession,
) -> None:
    """Async ones as well, and what they give is handed on at the end."""
    ended: dict[str, Any] = {}

    class Hooked(AuthorFactory):
        @factory.post_generation
        async def second_name(self: Any, *_: object, **__: object) -> str:
            self.nickname = "first hook"
            return "one"

        @factory.post_generation
        def last(self: Any, *_: object, **__: object) -> str:
            self.nickname += ", second hook"
            return "two"

        @classmethod
        def _after_postgeneration(
            cls, instance: Any, create: object, results: Any = None
        ) -> None:
            ended.update(results, create=create, nickname=instance.nickname)

    await Hooked()

    assert "first hook, second hook" == ended["nickname"]
    assert {"second_name": "one", "last": "two"}.items() <= ended.items()


async def test_a_method_is_called_on_the_object(session: AsyncSession) -> None:
    """PostGenerationMethodCall, with arguments of the call."""

    class Renamed(AuthorFactory):
        renaming = factory.PostGenerationMethodCall("rename", "Eve", suffix="!")

    authors = [await Renamed(), await Renamed(renaming="Zed", renaming__suffix="?")]

    assert ["Eve!", "Zed?"] == [author.name for author in authors]


async def test_a_related_object_may_be_given(session: AsyncSession) -> None:
    """RelatedFactory makes none then."""

    class Famous(AuthorFactory):
        profile = factory.RelatedFactory(ProfileFactory, "author")

    author = await Famous(profile=None)

    assert {"Author": 1} == await rows(session)
    assert author.profile is None


async def test_the_size_of_a_related_list_may_be_a_function(
    session: AsyncSession,
) -> None:
    """Called for each object."""
    sizes = iter([1, 3])

    class Famous(AuthorFactory):
        books = factory.RelatedFactoryList(
            BookFactory, "author", size=lambda: next(sizes), price=Decimal(5)
        )

    authors = await Famous.create_batch(2)

    assert [1, 3] == [len(author.books) for author in authors]
    assert {Decimal(5)} == {book.price for book in authors[1].books}


async def test_maybe_of_hooks(session: AsyncSession) -> None:
    """One of two declarations for the time after the object is made."""

    class Some(AuthorFactory):
        class Params:
            is_famous = False

        profile = factory.Maybe(
            "is_famous", factory.RelatedFactory(ProfileFactory, "author")
        )

    await Some()
    await Some(is_famous=True, profile__bio="Famous.")

    assert {"Author": 2, "Profile": 1} == await rows(session)


async def test_container_attributes(session: AsyncSession) -> None:
    """A declaration of a sub-factory that sees all that it is held by."""
    name = factory.ContainerAttribute(lambda _, chain: chain[0].title)
    book = await BookFactory(author__name=name, title="Held")

    assert "Held" == book.author.name


async def test_names_that_differ_from_the_model(session: AsyncSession) -> None:
    """`rename`, `exclude` and `inline_args` of class Meta."""

    class Label(Tag):
        def __init__(self, name: str) -> None:
            super().__init__(name=name)

    class Positional(AsyncModelFactory[Label]):
        class Meta:
            model = Label
            exclude = ("prefix",)
            inline_args = ("name",)
            rename = {"label": "name"}  # noqa: RUF012 - as factory_boy has it

        prefix = "p"
        label = factory.LazyAttributeSequence(lambda o, n: f"{o.prefix}{n}")

    assert ["p0", "given"] == [
        (await Positional()).name,
        (await Positional(label="given")).name,
    ]


async def test_a_factory_inherits(session: AsyncSession) -> None:
    """Declarations, options and the sequence of the same model."""

    class Base(AsyncModelFactory[Author]):
        class Meta:
            abstract = True
            persistence = "flush"

        name = "Base"

    class One(Base):
        class Meta:
            model = Author

        email = factory.Sequence(lambda n: f"i{n}@x.example")

    class Two(One):
        name = "Two"

    authors = [await One(), await Two(), await One()]

    assert ["i0@x.example", "i1@x.example", "i2@x.example"] == [
        author.email for author in authors
    ]
    assert session.in_transaction()


async def test_sequences_can_be_set(session: AsyncSession) -> None:
    """For one call, from a number on, and for a factory by itself."""

    class FromTen(TagFactory):
        @classmethod
        def _setup_next_sequence(cls) -> int:
            return 10

    class Own(AsyncModelFactory[Tag]):
        class Meta:
            model = Tag

        name = factory.Sequence(lambda n: f"own{n}")

        @classmethod
        def _setup_next_sequence(cls) -> int:
            return 10

    TagFactory.reset_sequence(5)
    tags = [await TagFactory(), await TagFactory(__sequence=42), await Own()]

    assert ["tag5", "tag42", "own10"] == [tag.name for tag in tags]
    assert "tag6" == (await FromTen()).name


async def test_hooks_of_the_class_itself(session: AsyncSession) -> None:
    """`_adjust_kwargs` and `_create`, which may be async."""

    class Adjusted(AuthorFactory):
        @classmethod
        def _adjust_kwargs(cls, **kwargs: Any) -> dict[str, Any]:
            kwargs["name"] = kwargs.pop("title", "none")
            return kwargs

        @classmethod
        async def _create(cls, model_class: Any, *args: Any, **kwargs: Any) -> Any:
            return super()._create(model_class, *args, nickname="made", **kwargs)

    author = await Adjusted(title="Dr")

    assert ("Dr", "made") == (author.name, author.nickname)
    assert author.id is not None


async def test_strategies(session: AsyncSession) -> None:
    """`generate`, `simple_generate` and their batches; class Meta's own."""

    class Built(AuthorFactory):
        class Meta:
            strategy = factory.BUILD_STRATEGY

    created: Any = AuthorFactory.generate(factory.CREATE_STRATEGY)
    batch: Any = AuthorFactory.simple_generate_batch(True, 2)  # noqa: FBT003
    built: Any = AuthorFactory.simple_generate(create=False)
    implied: Any = Built()

    assert (await created).id is not None
    assert 2 == len(await batch)
    assert not {"id"} & {*vars(built), *vars(implied)}


async def test_a_cycle_of_attributes_is_refused(session: AsyncSession) -> None:
    """With the way around it."""
    same = factory.SelfAttribute
    with pytest.raises(CyclicDefinitionError, match="name → nickname → name"):
        await AuthorFactory(name=same("nickname"), nickname=same("name"))


async def test_functions_that_make_a_factory(session: AsyncSession) -> None:
    """`make_factory` with our class."""
    made: Any = factory.make_factory(
        Book,
        title="Made",
        price=1,
        author=factory.SubFactory(AuthorFactory),
        FACTORY_CLASS=AsyncModelFactory,
    )
    book = await made()

    assert "Made" == book.title
    assert book.id is not None
