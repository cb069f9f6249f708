"""`sqlalchemy_get_or_create`: one row for one key, whoever inserts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import lazyload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_asyncdb.factories._run import Run

__all__ = ["get_or_create"]


def get_or_create(
    run: Run,
    model: type[Any],
    key: Mapping[str, Any],
    given: Mapping[str, Any],
    make: Callable[[], Any],
) -> Any:
    """The object with that key, made by `make` where there is none.

    `given` is the part of the key that the caller has named: where an insert conflicts
    with another row than that of the whole key, the row of this part is meant.
    """
    name = _hashable(model, key)
    if name is not None and name in run.found:
        return run.found[name]
    if any(_is_new(value) for value in key.values()):
        run.settle()
    found = _select(run, model, key)
    if found is None:
        found = _insert(run, model, key, given, make)
    if name is not None:
        run.found[name] = found
    return found


def _hashable(model: type[Any], key: Mapping[str, Any]) -> object | None:
    name = (model, tuple(sorted(key.items(), key=lambda item: item[0])))
    try:
        hash(name)
    except TypeError:
        return None
    return name


def _is_new(value: object) -> bool:
    state = inspect(value, raiseerr=False)
    return bool(getattr(state, "pending", False))


def _insert(
    run: Run,
    model: type[Any],
    key: Mapping[str, Any],
    given: Mapping[str, Any],
    make: Callable[[], Any],
) -> Any:
    """Insert under a savepoint; where another session was faster, take its row."""
    if run.persistence is None:
        return make()
    run.flush()
    try:
        with run.session.begin_nested():
            made = make()
            run.flush()
    except IntegrityError:
        found = _select(run, model, key) or _select_latest(run, model, key)
        if found is None and given and dict(given) != dict(key):
            found = _select(run, model, given) or _select_latest(run, model, given)
        if found is None:
            raise
        return found
    return made


def _select(run: Run, model: type[Any], key: Mapping[str, Any]) -> Any:
    with run.session.no_autoflush:
        return (
            run.session.scalars(select(model).filter_by(**key)).unique().one_or_none()
        )


def _select_latest(run: Run, model: type[Any], key: Mapping[str, Any]) -> Any:
    """The same past the snapshot of a transaction that repeats its reads."""
    statement = select(model).filter_by(**key).options(lazyload("*"))
    return run.session.scalars(statement.with_for_update(read=True)).one_or_none()
