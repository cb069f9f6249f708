"""The mark that our own connections carry, so that capture lets them through."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_unguarded", "unguarded"]

_UNGUARDED: ContextVar[bool] = ContextVar("asyncdb_unguarded", default=False)


@contextmanager
def unguarded() -> Iterator[None]:
    """Connections made in this block are provisioning's own."""
    token = _UNGUARDED.set(True)
    try:
        yield
    finally:
        _UNGUARDED.reset(token)


def is_unguarded() -> bool:
    """Whether the code that asks runs inside `unguarded()`."""
    return _UNGUARDED.get()
