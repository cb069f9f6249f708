"""Objects that can be read as soon as they are made, with nothing left to be loaded."""

from __future__ import annotations

import contextlib
import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import inspect, select, tuple_
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import MANYTOONE, lazyload, load_only
from sqlalchemy.orm.attributes import set_committed_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy.orm import InstanceState, Mapper, RelationshipProperty, Session

__all__ = ["Loaded", "load_expired", "loaded_of", "mark_empty", "reload"]

_NOT_LOADED: Final = ("dynamic", "write_only", "noload", "raise", "raise_on_sql")
_AT_ONCE: Final = 500


# ----------------------------------------------------------------------- collections
def mark_empty(instance: object) -> None:
    """Let the collections of an object that has no row yet count as loaded.

    Nothing can refer to a row before it is there, so they are known to be empty.
    """
    state: InstanceState[Any] = inspect(instance)
    if state.key is not None:
        return
    for key, make in _collections(state.mapper):
        if key not in state.dict:
            set_committed_value(instance, key, make())


@functools.cache
def _collections(mapper: Mapper[Any]) -> tuple[tuple[str, Callable[[], Any]], ...]:
    return tuple(
        (each.key, _nothing if not each.uselist else each.collection_class or list)
        for each in mapper.relationships
        if _is_known(each)
    )


def _is_known(relationship: RelationshipProperty[Any]) -> bool:
    return not (
        relationship.viewonly
        or relationship.direction is MANYTOONE
        or relationship.lazy in _NOT_LOADED
    )


def _nothing() -> None:
    """The other side of a one-to-one relationship that nobody has taken yet."""


# ------------------------------------------------------------------- after an error
@dataclass(frozen=True)
class Loaded:
    """An object that has a row, and the names of what was loaded of it."""

    instance: object
    names: frozenset[str]


def loaded_of(values: Iterable[object]) -> list[Loaded]:
    """Those of `values`, and of lists among them, that are objects with a row."""
    found = []
    for value in values:
        if isinstance(value, list):
            found += loaded_of(value)
        elif getattr(inspect(value, raiseerr=False), "persistent", False):
            found.append(Loaded(value, frozenset(vars(value))))
    return found


def reload(session: Session, known: Iterable[Loaded]) -> None:
    """After a rollback: load again what it has expired.

    Collections only of objects that are `known`. An error here is a second one, which
    would hide the first.
    """
    with contextlib.suppress(SQLAlchemyError):
        load_expired(session, list(session))
        for each in known:
            state: InstanceState[Any] = inspect(each.instance)
            names = each.names - {*state.dict}
            if state.persistent and names:
                session.refresh(each.instance, names & {*state.manager})


# --------------------------------------------------------------------- what expired
def load_expired(session: Session, instances: Iterable[object]) -> None:
    """Load what the database has filled in, a query for each kind of object."""
    expired = [
        state
        for state in map(inspect, instances)
        if state.persistent and state.expired_attributes
    ]
    groups: dict[tuple[Any, frozenset[str]], list[InstanceState[Any]]] = {}
    for state in expired:
        key = state.mapper, frozenset(state.expired_attributes)
        groups.setdefault(key, []).append(state)
    for (mapper, names), states in groups.items():
        for some in _chunks(states):
            _load(session, mapper, names, some)


def _chunks(
    states: Sequence[InstanceState[Any]],
) -> Iterable[list[InstanceState[Any]]]:
    left = iter(states)
    while some := list(itertools.islice(left, _AT_ONCE)):
        yield some


def _load(
    session: Session,
    mapper: Mapper[Any],
    names: frozenset[str],
    states: Sequence[InstanceState[Any]],
) -> None:
    """Select rows of objects that are there already: what is missing is filled in."""
    columns: list[Any] = [
        mapper.all_orm_descriptors[name] for name in names & _columns(mapper)
    ]
    if not columns:
        return
    keys = [state.identity for state in states]
    statement = (
        select(mapper.class_)
        .where(tuple_(*mapper.primary_key).in_(keys))
        .options(load_only(*columns), lazyload("*"))
    )
    session.scalars(statement).all()


def _columns(mapper: Mapper[Any]) -> frozenset[str]:
    return frozenset(mapper.column_attrs.keys())
