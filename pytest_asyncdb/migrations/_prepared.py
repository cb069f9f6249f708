"""Statements that PostgreSQL parses and plans once for each connection.

Prepared by their names in SQL: those that a driver prepares are gone after any DDL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

__all__ = ["prepare", "rows"]

_KNOWN: Final = "SELECT name FROM pg_prepared_statements WHERE name LIKE 'asyncdb%'"


def prepare(connection: Connection, statements: Mapping[str, str]) -> None:
    """Prepare those of the connection's that are not there, or not any more."""
    known = {name for (name,) in rows(connection, _KNOWN)}
    for name in statements.keys() - known:
        rows(connection, f"PREPARE {name} AS {statements[name]}")


def rows(connection: Connection, sql: str) -> Sequence[Any]:
    """Rows of a statement in which a % is a %; the connection stays as it is."""
    done = connection.exec_driver_sql(sql, None, {"no_parameters": True})
    return done.all() if done.returns_rows else []
