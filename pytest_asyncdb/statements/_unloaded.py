"""Answers to MissingGreenlet and DetachedInstanceError: what was not loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import MissingGreenlet, StatementError
from sqlalchemy.orm.exc import DetachedInstanceError

from pytest_asyncdb.statements import _tracing
from pytest_asyncdb.statements._clues import in_sqlalchemy, told
from pytest_asyncdb.statements._lines import line_of

if TYPE_CHECKING:
    from pytest_asyncdb.statements._clues import Clues
    from pytest_asyncdb.statements._statement import Line

__all__ = ["unloaded"]


def unloaded(error: BaseException, _clues: Clues) -> str | None:
    """Which attribute was loaded where, and, if somebody records, whose object."""
    reason = error.orig if isinstance(error, StatementError) else error
    if not isinstance(reason, MissingGreenlet | DetachedInstanceError):
        return None
    read = ""
    for name, values in in_sqlalchemy(error, "orm."):
        if name == "get" and not read:
            read = getattr(values.get("self"), "key", "")
        state, loader = values.get("state"), values.get("self")
        relationship = getattr(loader, "parent_property", None)
        where = _where(error, reason)
        if name == "load_for_state" and state is not None and relationship is not None:
            return _lazy(state, relationship, where)
        if name == "load_scalar_attributes" and values.get("attribute_names"):
            key = read or ", ".join(sorted(values["attribute_names"]))
            return _expired(state, key, where)
    return None


def _where(error: BaseException, reason: BaseException) -> str:
    line = line_of(error.__traceback__)
    at = f" at {line}" if line is not None else ""
    awaits = isinstance(reason, MissingGreenlet)
    return at + (
        ", in code that nothing awaits"
        if awaits
        else ", of a {model} that belongs to no session any more"
    )


def _lazy(state: Any, relationship: Any, where: str) -> str:  # noqa: ANN401
    model, loaded = state.class_.__name__, _tracing.loaded_at(state)
    loader = "selectinload" if relationship.uselist else "joinedload"
    return told(
        f"{relationship} was loaded lazily{where.format(model=model)}",
        [
            (
                f"add .options({loader}({relationship})) to the query of {model}"
                f"{_at(loaded)}"
            ),
            f"or await .awaitable_attrs.{relationship.key}, with AsyncAttrs as a base",
        ],
    )


def _expired(state: Any, key: str, where: str) -> str:  # noqa: ANN401
    """An attribute that was there before, or that was deferred."""
    model = state.class_.__name__
    expired, loaded = _tracing.expired_at(state), _tracing.loaded_at(state)
    had = (
        f"had expired{_at(expired)}" if state.expired else "had expired or was deferred"
    )
    of = f" (the {model} was loaded{_at(loaded)})" if loaded is not None else ""
    return told(
        f"{model}.{key} {had}, and was loaded again{where.format(model=model)}{of}",
        [
            "give the sessionmaker expire_on_commit=False, if a commit has expired it",
            f"or await session.refresh() of the {model} before {key} is read",
        ],
    )


def _at(line: Line | None) -> str:
    return f" at {line}" if line is not None else ""
