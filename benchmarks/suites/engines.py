"""Engines as a careful team would make them, for the contenders without a plugin."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

if TYPE_CHECKING:
    from sqlalchemy import Connection


def make_engine(**options: Any) -> AsyncEngine:
    """Engine for the contender's database; on SQLite with the documented BEGIN."""
    engine = create_async_engine(os.environ["BENCHMARK_URL"], **options)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _leave_begin_to_sqlalchemy)
        event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _leave_begin_to_sqlalchemy(connection: Any, _: object) -> None:
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
