"""A SQLite template: built in a scratch file through the async driver."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, event

from pytest_asyncdb.backends._sqlite import SQLite
from pytest_asyncdb.provisioning._template import build_template

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pytest_asyncdb.provisioning._place import Place
    from pytest_asyncdb.provisioning._thread import LoopThread
    from pytest_asyncdb.typing import SchemaBuilder

__all__ = ["copy_into", "ensure_template", "explicit_begin"]

_NAME: Final = "template.sqlite"


def ensure_template(
    place: Place,
    thread: LoopThread,
    driver: str,
    build: SchemaBuilder,
    options: Mapping[str, Any],
) -> Path:
    """The run's template file, built by the first worker that asks."""
    template = place.directory / _NAME
    with place.locked():
        if not template.exists():
            scratch = template.with_name(f".{_NAME}")
            scratch.unlink(missing_ok=True)
            url = URL.create(f"sqlite+{driver}", database=str(scratch))
            try:
                thread.run(
                    lambda: build_template(
                        url, build, options=options, prepare=explicit_begin
                    )
                )
                _only_file(scratch)
                scratch.rename(template)
            finally:
                scratch.unlink(missing_ok=True)
    return template


def copy_into(template: Path, target: sqlite3.Connection) -> None:
    """Copy the template into an empty database."""
    with closing(sqlite3.connect(f"{template.as_uri()}?mode=ro", uri=True)) as source:
        source.backup(target)


def _only_file(scratch: Path) -> None:
    """Leave write-ahead logging, so that the file alone is the database."""
    with closing(sqlite3.connect(scratch, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def explicit_begin(engine: AsyncEngine) -> None:
    """Transactions that hold DDL too, which Python's sqlite3 does not do by itself."""
    event.listen(engine.sync_engine, "connect", _on_connect)
    event.listen(engine.sync_engine, "begin", _on_begin)


def _on_connect(connection: Any, _: object) -> None:  # noqa: ANN401 - any driver's
    connection.isolation_level = None
    cursor = connection.cursor()
    for statement in SQLite.scratch:
        cursor.execute(statement)
    cursor.close()


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql(SQLite.begin)
