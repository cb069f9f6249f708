"""Objects in a falsifying example of Hypothesis: what they hold, not where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis.vendor import pretty
from sqlalchemy import inspect
from sqlalchemy.orm import ONETOMANY

from pytest_asyncdb.strategies._persist import references_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["let_print"]


def let_print(model: type[Any]) -> None:
    """Let Hypothesis print objects of a mapped class, unless that does so by itself.

    Whoever has said before how they are printed is left alone.
    """
    own: Any = model.__repr__
    if own is not object.__repr__:
        return
    name = model.__module__, model.__name__
    before = pretty.for_type_by_name(*name, _print)
    if before is not None:
        pretty.for_type_by_name(*name, before)


def _print(instance: Any, printer: Any, cycle: bool) -> None:  # noqa: FBT001
    """As a call of its class with all that is set."""
    name = type(instance).__name__
    with printer.group(len(name) + 1, f"{name}(", ")"):
        if cycle:
            printer.text("...")
            return
        for place, (attribute, value, key) in enumerate(_set(instance)):
            if place:
                printer.text(",")
                printer.breakable()
            printer.text(f"{attribute}=")
            printer.pretty(value)
            printer.text(key)


def _set(instance: Any) -> Iterator[tuple[str, Any, str]]:
    """Attributes with their values, and for a foreign key what of the value it is.

    Without what only lists the objects that refer to this one.
    """
    state = inspect(instance)
    for column in state.mapper.column_attrs:
        if column.key in state.dict:
            yield column.key, state.dict[column.key], ""
    for name, reference in references_of(instance).items():
        yield name, reference.target, f".{reference.attribute}"
    for relation in state.mapper.relationships:
        value = state.dict.get(relation.key)
        is_empty = not value if relation.uselist else value is None
        if not is_empty and relation.direction is not ONETOMANY:
            yield relation.key, value, ""
