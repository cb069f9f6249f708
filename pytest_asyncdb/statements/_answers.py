"""What lies behind errors of async SQLAlchemy, where that is certain."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import MissingGreenlet, StatementError
from sqlalchemy.orm.exc import DetachedInstanceError

from pytest_asyncdb.statements import _tracing
from pytest_asyncdb.statements._lines import line_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from pytest_asyncdb.statements._statement import Line

__all__ = ["answer"]


def answer(error: BaseException) -> str | None:
    """What happened in terms of the application, and the remedy; None if unknown.

    Of `MissingGreenlet` and `DetachedInstanceError`: which attribute was loaded, where,
    and, while somebody records, where its object had been loaded.
    """
    reason = error.orig if isinstance(error, StatementError) else error
    if not isinstance(reason, MissingGreenlet | DetachedInstanceError):
        return None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_globals.get("__name__", "").startswith("sqlalchemy.orm."):
            found = _loading(frame.f_code.co_name, frame.f_locals)
            if found is not None:
                return _text(reason, error.__traceback__, *found)
    return None


def _loading(name: str, values: Mapping[str, Any]) -> tuple[Any, str, Any] | None:
    """The object's state, the attribute, and the relationship if it is one.

    The names of SQLAlchemy's functions begin with `_` in some versions.
    """
    state = values.get("state")
    loader = values.get("self")
    relationship = getattr(loader, "parent_property", None)
    if (
        name.lstrip("_") == "load_for_state"
        and state is not None
        and relationship is not None
    ):
        return state, relationship.key, relationship
    if name.lstrip("_") == "load_scalar_attributes" and values.get("attribute_names"):
        return state, ", ".join(sorted(values["attribute_names"])), None
    return None


def _text(
    error: BaseException,
    tb: TracebackType | None,
    state: Any,  # noqa: ANN401 - an InstanceState
    key: str,
    relationship: Any,  # noqa: ANN401 - a property of any kind
) -> str:
    model, line = state.class_.__name__, line_of(tb)
    why = (
        "in code that nothing awaits"
        if isinstance(error, MissingGreenlet)
        else f"of a {model} that belongs to no session any more"
    )
    if relationship is None:
        remedies = _of_expired(model, key)
        what = f"{model}.{key} had expired or was deferred, and was loaded again"
    else:
        loaded = _tracing.loaded_at(state)
        remedies = _of_lazy(model, relationship, loaded)
        what = f"{relationship} was loaded lazily"
    at = f" at {line}" if line is not None else ""
    return "\n  - ".join([f"{what}{at}, {why}; what helps:", *remedies])


def _of_lazy(model: str, relationship: Any, loaded: Line | None) -> list[str]:  # noqa: ANN401
    where = f" at {loaded}" if loaded is not None else ""
    loader = "selectinload" if relationship.uselist else "joinedload"
    return [
        f"add .options({loader}({relationship})) to the query of {model}{where}",
        f"or await .awaitable_attrs.{relationship.key}, with AsyncAttrs as a base",
    ]


def _of_expired(model: str, key: str) -> list[str]:
    return [
        "give the sessionmaker expire_on_commit=False, if a commit has expired it",
        f"or await session.refresh() of the {model} before {key} is read",
    ]
