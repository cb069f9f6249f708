"""SQLite: what it can do, and the statements that make it transactional."""

from __future__ import annotations

from typing import ClassVar, Final

from pytest_asyncdb.backends._base import Backend, Capability, Driver

__all__ = ["SQLite"]

_CAPABILITIES: Final = frozenset(
    {
        Capability.SAVEPOINT,
        Capability.TRANSACTIONAL_DDL,
        Capability.IN_MEMORY,
        Capability.DEFERRABLE,
        Capability.RETURNING,
        Capability.SERIALIZABLE,
    }
)


class SQLite(Backend):
    """SQLite through aiosqlite."""

    name = "sqlite"
    dialects = ("sqlite",)
    drivers = (Driver("aiosqlite", extra="sqlite"),)
    capabilities = _CAPABILITIES

    scratch: ClassVar = ("PRAGMA synchronous=OFF", "PRAGMA journal_mode=MEMORY")
    """For a file that is thrown away when its build fails."""
    read_only: ClassVar = "PRAGMA query_only=ON"
    begin: ClassVar = "BEGIN"
