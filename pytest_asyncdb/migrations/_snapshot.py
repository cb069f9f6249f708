"""Reading the schema of a database, whatever product it is."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import MigrationError

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from pytest_asyncdb.migrations._schema import Schema

__all__ = ["VERSION_TABLE", "cluster", "snapshot"]

VERSION_TABLE: Final = "alembic_version"
_READERS: Final = {
    "postgresql": "_postgresql",
    "mysql": "_mysql",
    "mariadb": "_mysql",
    "sqlite": "_sqlite",
}


def snapshot(
    connection: Connection, *, ignore: Collection[str] = (VERSION_TABLE,)
) -> Schema:
    """Every object of the connection's database that its transaction sees.

    `ignore` holds names of tables, without a schema, that are left out with all they
    have. Raises `MigrationError` for a product whose catalog nobody here can read.
    """
    found: Schema = _reader(connection).read(connection, ignore)
    return found


def cluster(connection: Connection) -> frozenset[str]:
    """What a migration can make outside of its database: roles, tablespaces."""
    reader = _reader(connection)
    if not hasattr(reader, "cluster"):
        return frozenset()
    found: frozenset[str] = reader.cluster(connection)
    return found


def _reader(connection: Connection) -> Any:  # noqa: ANN401  (one of our modules)
    name = connection.dialect.name
    if name not in _READERS:
        raise MigrationError.no_catalog(name, list(_READERS))
    return import_module(f"pytest_asyncdb.migrations.{_READERS[name]}")
