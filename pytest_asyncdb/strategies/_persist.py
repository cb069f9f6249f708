"""Writing what was drawn: all of it or nothing, with the rows that it refers to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import inspect
from sqlalchemy.orm import MANYTOONE
from sqlalchemy.orm.attributes import set_committed_value

from pytest_asyncdb.errors import StrategyRefused
from pytest_asyncdb.strategies._running import session_of_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

__all__ = [
    "Reference",
    "db_persist",
    "graph_of",
    "objects_of",
    "refer",
    "references_of",
]

T = TypeVar("T")

_REFERENCES: Final = "asyncdb_references"
_NOT_LOADED: Final = ("dynamic", "write_only", "noload", "raise", "raise_on_sql")


@dataclass(frozen=True)
class Reference:
    """The key of another object, known once that is written."""

    target: Any
    attribute: str


def refer(instance: object, references: Mapping[str, Reference]) -> None:
    """Let `db_persist` fill in foreign keys for which there is no relationship."""
    if references:
        inspect(instance).info[_REFERENCES] = references


def references_of(instance: object) -> Mapping[str, Reference]:
    """The foreign keys that `db_persist` is to fill in."""
    found: Mapping[str, Reference] = inspect(instance).info.get(_REFERENCES, {})
    return found


async def db_persist(graph: T, /, *, session: AsyncSession | None = None) -> T:
    """Write `graph`, an object or a list of objects, and all that hangs on it.

    In one savepoint, so that what the database refuses leaves nothing behind, and the
    session usable. `session` is the running test's where none is given. Afterwards
    every attribute can be read without being awaited. Raises what the database says.
    """
    chosen = session_of_test() if session is None else session
    objects = [*objects_of(graph)]
    await chosen.run_sync(_write, objects)
    return graph


def objects_of(graph: Any) -> Iterator[Any]:
    """The objects of a graph; raises `StrategyRefused` for anything else."""
    if isinstance(graph, list | tuple | set | frozenset):
        for each in graph:
            yield from objects_of(each)
    elif hasattr(inspect(graph, raiseerr=False), "session"):
        yield graph
    else:
        raise StrategyRefused.not_mapped(graph)


def _write(session: Session, objects: Iterable[Any]) -> None:
    with session.begin_nested(), session.no_autoflush:
        started: set[int] = set()
        written = [
            each for root in objects for each in _persist(session, root, started)
        ]
        for each in written:
            expired = inspect(each).expired_attributes & _columns(each)
            if expired:
                session.refresh(each, expired)


def _persist(session: Session, root: Any, started: set[int]) -> list[Any]:
    """Write what hangs on `root`, after all that its rows refer to."""
    if id(root) in started:
        return []
    graph = graph_of(root)
    started |= {*map(id, graph)}
    written = []
    for each in graph:
        for name, reference in references_of(each).items():
            written += _persist(session, reference.target, started)
            setattr(each, name, getattr(reference.target, reference.attribute))
    session.add(root)
    for each in graph:
        _mark_empty(each)
    session.flush()
    return [*written, *graph]


def graph_of(root: Any) -> list[Any]:
    """The object, and those that are written when it is added to a session."""
    state = inspect(root)
    found = state.mapper.cascade_iterator("save-update", state)
    return [root, *(instance for instance, *_ in found)]


def _mark_empty(instance: object) -> None:
    """Nothing refers to a row that is not there: its collections need no query."""
    state = inspect(instance)
    if state is None or state.key is not None:
        return
    for each in state.mapper.relationships:
        known = each.viewonly or each.lazy in _NOT_LOADED or each.key in state.dict
        if not known and each.direction is not MANYTOONE:
            empty: Any = (each.collection_class or list)() if each.uselist else None
            set_committed_value(instance, each.key, empty)


def _columns(instance: object) -> set[str]:
    return {*inspect(instance).mapper.column_attrs.keys()}
