"""Which products there are: the built-in ones, and those that others publish."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.errors import UnknownBackend

if TYPE_CHECKING:
    from pytest_asyncdb.backends._base import Backend

__all__ = ["ENTRY_POINTS", "backend_names", "get_backend"]

ENTRY_POINTS: Final = "pytest_asyncdb.backends"
"""Group under which another distribution publishes a subclass of `Backend`."""

_BUILT_IN: Final = {
    "mariadb": ("pytest_asyncdb.backends._mysql", "MariaDB"),
    "mysql": ("pytest_asyncdb.backends._mysql", "MySQL"),
    "postgresql": ("pytest_asyncdb.backends._postgresql", "PostgreSQL"),
    "sqlite": ("pytest_asyncdb.backends._sqlite", "SQLite"),
}


def backend_names() -> tuple[str, ...]:
    """Names of all products that can be asked for, sorted."""
    published = (entry.name for entry in entry_points(group=ENTRY_POINTS))
    return tuple(sorted({*_BUILT_IN, *published}))


@cache
def get_backend(name: str) -> Backend:
    """The backend of a product.

    Raises `UnknownBackend` for a name that neither this package nor another one has.
    """
    if name in _BUILT_IN:
        module, attribute = _BUILT_IN[name]
        return _made(getattr(import_module(module), attribute))
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        return _made(entry.load())
    raise UnknownBackend.named(name, backend_names())


def _made(kind: type[Backend]) -> Backend:
    return kind()
