"""Errors of factories, and of the values that models accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.errors._base import AsyncDBError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = ["FactoryProblems", "FactoryRefused", "ValueUnknown", "ValuesExhausted"]


class FactoryRefused(AsyncDBError):
    """A factory is declared or called in a way that it cannot follow."""

    @classmethod
    def not_installed(cls, name: str) -> Self:
        """factory_boy is missing."""
        return cls(
            f"{name} needs factory_boy, which is not installed",
            remedies=['pip install "pytest-asyncdb[factories]"'],
        )

    @classmethod
    def no_session(cls, factory: str) -> Self:
        """No test is isolated, and no session was given."""
        return cls(
            f"{factory} has no session to create with",
            tried=["the session of the running test: it asks for no database fixture"],
            remedies=[
                "ask for db_session in the test, or for a fixture made by register()",
                f"outside of a test: await {factory}.using(session).create()",
                f"for an object without a database: {factory}.build()",
            ],
        )

    @classmethod
    def closed_session(cls) -> Self:
        """The session was closed for good."""
        return cls(
            "the session of the factory has been closed, and cannot be used again",
            remedies=["create before it is closed, or on another: F.using(session)"],
        )

    @classmethod
    def session(cls, factory: str, value: object) -> Self:
        """What was given is no `AsyncSession`."""
        kind = type(value).__name__
        return cls(
            f"{factory} needs an AsyncSession, and was given an object of type {kind}",
            remedies=[
                "give what async_sessionmaker()() makes: F.using(session)",
                "let the project's own fixture db_session give an AsyncSession",
            ],
        )

    @classmethod
    def in_thread(cls, factory: str) -> Self:
        """It was called in a thread, and the test's session belongs to another one."""
        return cls(
            f"{factory} was called in a thread that is not the test's",
            tried=["the test's session: a session serves one thread at a time"],
            remedies=[
                "create before the thread is started",
                f"or with a session of the thread's own: {factory}.using(session)",
            ],
        )

    @classmethod
    def outside(cls, factory: str) -> Self:
        """Its internals were called without a session."""
        return cls(
            f"{factory}._create() was called outside of {factory}.create()",
            remedies=[f"await {factory}.create()"],
        )

    @classmethod
    def unmapped(cls, factory: str, model: object) -> Self:
        """`Meta.model` is no class that SQLAlchemy maps."""
        name = getattr(model, "__name__", repr(model))
        return cls(
            f"{factory}: its model {name} is not mapped",
            remedies=[
                f"derive {name} from a DeclarativeBase, and give it a __tablename__",
                "for what is no row: factory.Factory, factory.DictFactory",
            ],
        )

    @classmethod
    def abstract(cls, factory: str) -> Self:
        """The factory names no model."""
        return cls(
            f"{factory} is abstract and makes nothing",
            remedies=["set model in its class Meta, and leave abstract out"],
        )

    @classmethod
    def attribute(
        cls,
        factory: str,
        model: str,
        name: str,
        near: Sequence[str],
        known: Sequence[str],
    ) -> Self:
        """Neither the factory nor the model knows the name."""
        meant = f"did you mean {', '.join(near)}?" if near else ""
        return cls(
            f"{factory} knows no attribute {name!r}, and neither does {model}",
            remedies=[*filter(None, [meant]), f"there are: {', '.join(known)}"],
        )

    @classmethod
    def choice(cls, option: str, value: object, known: Sequence[object]) -> Self:
        """An option of `class Meta` has a value that it does not know."""
        return cls(
            f"class Meta: {option} is {value!r}",
            remedies=[f"use one of: {', '.join(map(repr, known))}"],
        )

    @classmethod
    def size(cls, factory: str, size: object) -> Self:
        """The number of objects is none."""
        return cls(
            f"{factory}.create_batch() was asked for {size!r} objects",
            remedies=["give an int that is not negative"],
        )

    @classmethod
    def coroutine(cls, factory: str, name: str, strategy: str) -> Self:
        """A declaration gave a coroutine where nothing can be awaited."""
        return cls(
            f"{factory}.{name} gave a coroutine, which {strategy}() cannot await",
            remedies=[
                f"await {factory}.create(), which awaits it",
                f"or give the value: {factory}.{strategy}({name}=...)",
            ],
        )

    @classmethod
    def foreign(cls, factory: str) -> Self:
        """A sub-factory writes with a session of its own."""
        return cls(
            f"{factory} is a SQLAlchemyModelFactory, which knows sync sessions only",
            remedies=[f"let {factory} derive from AsyncModelFactory"],
        )

    @classmethod
    def cycle(cls, models: Sequence[str]) -> Self:
        """Rows of these models need each other."""
        return cls(
            f"{models[0]} cannot be made: {' needs '.join(models)}",
            tried=["deriving a parent for each foreign key that must not be NULL"],
            remedies=[
                "declare one of these relationships in the factory, or give it",
                "or let one of the foreign keys be NULL until the other row is there",
            ],
        )

    @classmethod
    def not_plain(cls, factory: str, name: str, value: object) -> Self:
        """JSON has no such value."""
        return cls(
            f"{factory}.payload(): {name} is of type {type(value).__name__}, "
            "which JSON does not have",
            remedies=[
                f"give a value for it: {factory}.payload({name}=...)",
                f"or the Pydantic model that knows it: {factory}.payload(Schema)",
            ],
        )

    @classmethod
    def no_key(cls, factory: str, names: Sequence[str]) -> Self:
        """A field of `sqlalchemy_get_or_create` has no value."""
        return cls(
            f"{factory}: sqlalchemy_get_or_create names {', '.join(names)}, "
            "for which there is no value",
            remedies=["declare it in the factory, or give it when you call it"],
        )

    @classmethod
    def name(cls, factory: str, name: str) -> Self:
        """A fixture cannot be called like that."""
        return cls(
            f"register({factory}, {name!r}): a fixture cannot have that name",
            remedies=["give a name that Python knows as one, such as 'admin'"],
        )

    @classmethod
    def not_in_module(cls, factory: str) -> Self:
        """Fixtures of a factory belong to a module."""
        return cls(
            f"register({factory}) was called inside of a function or a class",
            tried=["defining its fixtures in the module that calls it"],
            remedies=["call it at the top level of conftest.py or of a test module"],
        )


class ValueUnknown(AsyncDBError):
    """Nothing is known of what a column accepts."""

    @classmethod
    def of_type(cls, column: str, kind: str) -> Self:
        """`kind` is the type, as it is written."""
        return cls(
            f"the column {column} is of type {kind}, for which no value can be derived",
            remedies=[
                f"declare it: {column} = ... in the factory, or when you call it"
            ],
        )

    @classmethod
    def refused(cls, names: Sequence[str], checks: Sequence[str], tried: int) -> Self:
        """The database refused all candidates."""
        return cls(
            f"no values could be found for {', '.join(names)}",
            tried=[f"{tried} candidates, refused by CHECK ({each})" for each in checks],
            remedies=[
                "declare one of them in the factory, or give it when you call it"
            ],
        )


class ValuesExhausted(AsyncDBError):
    """More different values were asked for than a column accepts."""

    @classmethod
    def of(cls, column: str, size: int) -> Self:
        """The column accepts `size` values."""
        return cls(
            f"the column {column} accepts {size} different values, and all were taken",
            remedies=[
                "ask for fewer objects",
                f"where the values need not differ, declare {column} in the factory",
            ],
        )


class FactoryProblems(AsyncDBError):
    """A factory makes what the schema does not accept."""

    @classmethod
    def of(cls, factory: str, problems: Sequence[str]) -> Self:
        """`problems` say each what is wrong, and with which trait."""
        return cls(f"{factory} makes no rows that the schema accepts", tried=problems)
