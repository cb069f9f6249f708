"""Two accounts in a table, and the ways to open a file of SQLite's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Integer, MetaData, NullPool, Table, event
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = ["METADATA", "Setup", "account", "emptied", "sqlite_engine"]

METADATA = MetaData()
account = Table(
    "account",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", Integer, nullable=False),
)


async def emptied(connection: AsyncConnection) -> None:
    """Leave two accounts, 1 with 10 and 2 with 20."""
    await connection.execute(account.delete())
    rows = [{"id": 1, "value": 10}, {"id": 2, "value": 20}]
    await connection.execute(account.insert(), rows)


@dataclass(frozen=True)
class Setup:
    """How a file is opened: its journal, and what begins a transaction.

    An empty `begin` leaves that to the driver.
    """

    begin: str = "BEGIN"
    wal: bool = True

    def __str__(self) -> str:
        return f"{'wal' if self.wal else 'journal'}, {self.begin or 'the driver'}"


def sqlite_engine(path: Path, setup: Setup) -> AsyncEngine:
    """An engine on a file; nobody waits longer than 5 seconds."""
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", poolclass=NullPool, connect_args={"timeout": 5}
    )

    def connected(connection: Any, _: object) -> None:
        connection.execute(f"PRAGMA journal_mode={'WAL' if setup.wal else 'DELETE'}")
        if setup.begin:
            connection.isolation_level = None

    def begun(connection: Any) -> None:
        connection.exec_driver_sql(setup.begin)

    event.listen(engine.sync_engine, "connect", connected)
    if setup.begin:
        event.listen(engine.sync_engine, "begin", begun)
    return engine
