"""What the ORM tells of its loads, for as long as anybody records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import event
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.orm.attributes import instance_state

from pytest_asyncdb.statements._statement import Origin

if TYPE_CHECKING:
    from sqlalchemy.orm import InstanceState, ORMExecuteState, QueryContext

    from pytest_asyncdb.statements._statement import Line

__all__ = ["ORIGIN", "loaded_at", "start", "stop"]

ORIGIN: Final = "asyncdb_origin"


class _Tracing:
    """Listens to all sessions and mappers while it has users."""

    def __init__(self) -> None:
        self._users = 0
        self._loaded_by: WeakKeyDictionary[InstanceState[Any], Origin] = (
            WeakKeyDictionary()
        )

    def start(self) -> None:
        self._users += 1
        if self._users == 1:
            event.listen(Session, "do_orm_execute", self._executing)
            event.listen(Mapper, "load", self._loaded)

    def stop(self) -> None:
        self._users -= 1
        if self._users == 0:
            event.remove(Session, "do_orm_execute", self._executing)
            event.remove(Mapper, "load", self._loaded)
            self._loaded_by.clear()

    def loaded_at(self, state: InstanceState[Any]) -> Line | None:
        """The line whose query has loaded an object; None where that is not known."""
        origin = self._loaded_by.get(state)
        return origin.line if origin is not None else None

    def _executing(self, state: ORMExecuteState) -> None:
        """The session is about to execute: say why in its execution options."""
        state.update_execution_options(**{ORIGIN: self._origin(state)})

    def _origin(self, state: ORMExecuteState) -> Origin:
        if state.is_relationship_load:
            owner = state.lazy_loaded_from
            path: Any = state.loader_strategy_path
            parent = None if owner is None else self._loaded_by.get(owner)
            key = None if owner is None else owner.identity_key
            kind = "eager load" if owner is None else "lazy load"
            return Origin(kind, tuple(path.path), key, parent)
        return Origin("refresh" if state.is_column_load else "application")

    def _loaded(self, target: object, context: QueryContext) -> None:
        """An object was made of a row."""
        origin: object = context.execution_options.get(ORIGIN)
        if isinstance(origin, Origin):
            state: InstanceState[Any] = instance_state(target)
            self._loaded_by[state] = origin
            origin.keys.update(state.identity or ())


_tracing: Final = _Tracing()
start: Final = _tracing.start
stop: Final = _tracing.stop
loaded_at: Final = _tracing.loaded_at
