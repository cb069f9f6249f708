"""Database products: what each can do, and the SQL that administers it."""

from __future__ import annotations

from pytest_asyncdb.backends._base import (
    APART,
    Backend,
    Capability,
    Driver,
    Restoration,
    Script,
    ServerBackend,
)
from pytest_asyncdb.backends._registry import (
    ENTRY_POINTS,
    backend_names,
    get_backend,
)

__all__ = [
    "APART",
    "ENTRY_POINTS",
    "Backend",
    "Capability",
    "Driver",
    "Restoration",
    "Script",
    "ServerBackend",
    "backend_names",
    "get_backend",
]
