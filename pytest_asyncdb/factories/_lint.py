"""`lint()`: whether factories still make rows that the schema accepts."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from factory.declarations import Trait
from factory.enums import CREATE_STRATEGY
from sqlalchemy import String, inspect
from sqlalchemy.exc import DBAPIError

from pytest_asyncdb.factories._factory import now_or_later, session_of
from pytest_asyncdb.factories._names import names_of, takes
from pytest_asyncdb.factories._run import perform
from pytest_asyncdb.values import facts_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator

    from pytest_asyncdb.factories._factory import AsyncModelFactory
    from pytest_asyncdb.factories._options import AsyncOptions
    from pytest_asyncdb.factories._run import Run

__all__ = ["Problem", "lint"]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a factory, by itself or with one of its traits."""

    factory: str
    trait: str | None
    text: str

    def __str__(self) -> str:
        switched_on = "" if self.trait is None else f" with {self.trait}"
        return f"{self.factory}{switched_on}: {self.text}"


class _Done(Exception):
    """All was made that had to be; it is to be undone."""


def lint(
    factories: Iterable[type[AsyncModelFactory[Any]]], *, traits: bool = True
) -> Awaitable[list[Problem]]:
    """Make two objects with each factory, and with each trait, and undo them.

    Gives what went wrong, all of it; nothing stays in the database. The second object
    finds values that should be unique and are not. As `create()` does, it gives an
    awaitable, or in a sync test the list itself.
    """
    found: Awaitable[list[Problem]] = now_or_later(
        _lint(list(factories), traits=traits)
    )
    return found


async def _lint(
    factories: Iterable[type[AsyncModelFactory[Any]]], *, traits: bool
) -> list[Problem]:
    problems = []
    for factory in factories:
        name, meta = factory.__name__, factory._meta
        gone = [Problem(name, None, text) for text in _gone(meta)]
        problems += gone
        if not gone:
            names = [*_traits(meta)] if traits else []
            for trait in (None, *names):
                texts = await _tried(factory, trait)
                problems += [Problem(name, trait, text) for text in texts]
    return problems


def _traits(meta: AsyncOptions) -> Iterator[str]:
    return (name for name, each in meta.parameters.items() if isinstance(each, Trait))


async def _tried(factory: type[AsyncModelFactory[Any]], trait: str | None) -> list[str]:
    given = {} if trait is None else {trait: True}
    texts: list[str] = []

    def work(run: Run) -> None:
        for _ in range(2):
            factory._generate(CREATE_STRATEGY, dict(given))
        run.flush()
        texts.extend(dict.fromkeys(_too_long(run.made)))
        raise _Done

    try:
        await perform(
            session_of(factory),
            work,
            given,
            name=factory.__name__,
            persistence="flush",
            flush_policy="each",
        )
    except _Done:
        pass
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
        texts += [_told(error), *_missing(factory._meta)]
    return texts


def _told(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return f"{type(error).__name__}: {cause}".splitlines()[0]


# ------------------------------------------------------------------------- the model
def _gone(meta: AsyncOptions) -> Iterator[str]:
    """Declarations of what the model does not have."""
    hidden = {*meta.exclude, *meta.parameters, *meta.rename, *meta.inline_args}
    for name in meta.pre_declarations.declarations:
        if name not in hidden and not takes(meta, name):
            known = [each for each in names_of(meta) if each != name]
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            yield f"declares {name}, which {meta.model.__name__} does not have{meant}"


def _missing(meta: AsyncOptions) -> Iterator[str]:
    """Columns that need a value, and have no declaration."""
    facts = facts_of(meta.model)
    declared = {*meta.pre_declarations.declarations, *meta.rename.values()}
    names = [each.name for each in facts.attributes]
    names += [each.name for each in facts.keys]
    names += [each.name for each in facts.parents if not each.columns & declared]
    missing = [name for name in names if name not in declared]
    if missing:
        yield f"declares nothing for {', '.join(missing)}, which must not be NULL"


def _too_long(instances: Iterable[object]) -> Iterator[str]:
    """Texts that some databases cut off or refuse, and others take."""
    for instance in instances:
        mapper = inspect(type(instance))
        for each in mapper.column_attrs:
            kind, value = each.columns[0].type, vars(instance).get(each.key)
            if not isinstance(kind, String) or not isinstance(value, str):
                continue
            if kind.length is not None and len(value) > kind.length:
                where = f"{type(instance).__name__}.{each.key}"
                yield f"{where} is String({kind.length}), and {value!r} is longer"
