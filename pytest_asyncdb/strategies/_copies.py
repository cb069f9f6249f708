"""Graphs of objects again, for one more database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect
from sqlalchemy.orm.attributes import set_committed_value

from pytest_asyncdb.strategies._persist import Reference, refer, references_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["copies_of"]


def copies_of(roots: Iterable[Any]) -> list[Any]:
    """The same objects with all that hangs on them, which no session has.

    What several refer to is one object again.
    """
    made: dict[int, Any] = {}
    return [_copy(each, made) for each in roots]


def _copy(instance: Any, made: dict[int, Any]) -> Any:
    if instance is None or id(instance) in made:
        return made.get(id(instance))
    state = inspect(instance)
    made[id(instance)] = again = state.mapper.class_manager.new_instance()
    for each in state.mapper.column_attrs:
        if each.key in state.dict:  # as they are: no validator sees them twice
            set_committed_value(again, each.key, state.dict[each.key])
    for each in state.mapper.relationships:
        if each.key in state.dict and not each.viewonly:
            setattr(again, each.key, _related(state.dict[each.key], made))
    references = {
        name: Reference(_copy(each.target, made), each.attribute)
        for name, each in references_of(instance).items()
    }
    refer(again, references)
    return again


def _related(value: Any, made: dict[int, Any]) -> Any:
    """What a relationship holds: an object, or a list, a set or a dict of them."""
    if isinstance(value, dict):
        return {key: _copy(each, made) for key, each in value.items()}
    if isinstance(value, set):
        return {_copy(each, made) for each in value}
    if isinstance(value, list):
        return [_copy(each, made) for each in value]
    return _copy(value, made)
