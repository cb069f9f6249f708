"""Which drivers there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_asyncdb.isolation._mysql import Aiomysql, Asyncmy
from pytest_asyncdb.isolation._postgresql import Asyncpg, Psycopg
from pytest_asyncdb.isolation._sqlite import Aiosqlite, Sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asyncdb.isolation._driver import Driver

__all__ = ["driver_for"]

_DRIVERS: Final[Mapping[str, type[Driver]]] = {
    "asyncpg": Asyncpg,
    "psycopg": Psycopg,
    "aiosqlite": Aiosqlite,
    "aiomysql": Aiomysql,
    "asyncmy": Asyncmy,
}


def driver_for(name: str, *, direct: bool = False) -> Driver:
    """The driver of that name; `direct` calls sqlite3 without aiosqlite's thread."""
    return Sqlite() if direct else _DRIVERS[name]()
