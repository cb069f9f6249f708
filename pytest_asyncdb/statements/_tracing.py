"""What the ORM tells of its loads, for as long as anybody records."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event
from sqlalchemy.orm import Mapper, SessionTransaction, loading

from pytest_asyncdb.statements._lines import way
from pytest_asyncdb.statements._statement import Origin

if TYPE_CHECKING:
    from types import FrameType

    from sqlalchemy.orm import InstanceState, QueryContext

    from pytest_asyncdb.statements._statement import Line, Way

__all__ = ["expired_at", "loaded_at", "origin_of", "start", "stop"]

_ORIGIN: Final = "asyncdb_origin"
_MOST: Final = 500
_LOADED_BY: Final = "asyncdb_loaded_by"
_EXPIRED_BY: Final = "asyncdb_expired_by"
"""Attributes of an object's state; a dictionary with weak keys costs ten times more."""
_LOAD_OPTIONS: Final = "_sa_orm_load_options"
_END: Final = SessionTransaction._remove_snapshot.__code__  # noqa: SLF001
"""What expires all objects of a session, one after the other."""


class _Tracing:
    """Listens to all mappers while it has users.

    Sessions are not listened to: with a listener to `do_orm_execute`, SQLAlchemy
    prepares each statement twice.
    """

    def __init__(self) -> None:
        self._users = 0
        self._runs: dict[int, Origin | None] = {}
        self._end: tuple[int, Way] | None = None

    def start(self) -> None:
        self._users += 1
        if self._users == 1:
            event.listen(Mapper, "load", self._loaded, raw=True)
            event.listen(Mapper, "expire", self._expired, raw=True)

    def stop(self) -> None:
        self._users -= 1
        if self._users == 0:
            event.remove(Mapper, "load", self._loaded)
            event.remove(Mapper, "expire", self._expired)
            self._runs.clear()
            self._end = None

    def loaded_at(self, state: InstanceState[Any]) -> Line | None:
        """The line whose query has loaded an object; None where that is not known."""
        origin: Origin | None = getattr(state, _LOADED_BY, None)
        return origin.line if origin is not None else None

    def expired_at(self, state: InstanceState[Any]) -> Line | None:
        """The line that has expired an object last; None where that is not known."""
        found: Way | None = getattr(state, _EXPIRED_BY, None)
        return found.line if found is not None else None

    def origin_of(self, context: Any, way: Way) -> Origin:  # noqa: ANN401
        """What the ORM is about, for all recorders the same."""
        known: Origin | None = getattr(context, _ORIGIN, None)
        if known is not None:
            return known
        self._end = None
        origin = context.asyncdb_origin = self._origin(context)
        origin.way = way
        return origin

    def _origin(self, context: Any) -> Origin:  # noqa: ANN401 - see above
        """What `ORMExecuteState` reads from the same places.

        A statement of the application has other options, or none.
        """
        options = getattr(context.invoked_statement, "_compile_options", None)
        path = getattr(options, "_current_path", None)
        if path is None or path.is_root:
            refreshes = getattr(options, "_for_refresh_state", False)
            return Origin("refresh" if refreshes else "application")
        load_options = context.execution_options[_LOAD_OPTIONS]
        owner = load_options._lazy_loaded_from  # noqa: SLF001
        if owner is None:
            return Origin("eager load", tuple(path.path))
        parent = getattr(owner, _LOADED_BY, None)
        return Origin("lazy load", tuple(path.path), owner.key, parent)

    def _loaded(self, state: InstanceState[Any], context: QueryContext) -> None:
        """An object was made of a row."""
        run: int = context.runid
        try:
            origin = self._runs[run]
        except KeyError:
            if len(self._runs) > _MOST:
                self._runs.clear()
            origin = self._runs[run] = _origin_of_rows()
        if origin is not None and state.key is not None:
            setattr(state, _LOADED_BY, origin)
            origin.identities.append(state.key[1])

    def _expired(self, state: InstanceState[Any], _names: object) -> None:
        """All attributes of an object, or some, are to be loaded again."""
        caller = sys._getframe(3)  # noqa: SLF001 - below SQLAlchemy's dispatch
        if caller.f_code is not _END:
            setattr(state, _EXPIRED_BY, way())
            return
        if self._end is None or self._end[0] != id(caller):
            self._end = id(caller), way()
        setattr(state, _EXPIRED_BY, self._end[1])


def _origin_of_rows() -> Origin | None:
    """The origin of the statement whose rows are being made into objects.

    The ORM tells its listeners of everything but that, so it is read from the frame of
    the function that goes through the rows.
    """
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001
    while frame is not None:
        code = frame.f_code
        if code.co_name == "chunks" and code.co_filename == loading.__file__:
            cursor = frame.f_locals["cursor"]
            return getattr(cursor.context, _ORIGIN, None)
        frame = frame.f_back
    return None


_tracing: Final = _Tracing()
start: Final = _tracing.start
stop: Final = _tracing.stop
loaded_at: Final = _tracing.loaded_at
expired_at: Final = _tracing.expired_at
origin_of: Final = _tracing.origin_of
