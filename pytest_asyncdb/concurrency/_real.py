"""Whether a connection has transactions of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.errors import FaultRefused

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["check_real"]


def check_real(connection: Connection) -> None:
    """Raise `FaultRefused` for one whose transactions are savepoints of a sandbox."""
    held = connection.connection.dbapi_connection
    if getattr(held, "refuses_control", False):
        raise FaultRefused.sandboxed()
