"""SQLite in memory: each connection a copy of the template."""

from __future__ import annotations

import itertools
import sqlite3
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL

from pytest_asyncdb.backends import get_backend
from pytest_asyncdb.backends._sqlite import SQLite
from pytest_asyncdb.provisioning._database import Database, open_memory
from pytest_asyncdb.provisioning._file import database_file
from pytest_asyncdb.provisioning._naming import database_name
from pytest_asyncdb.provisioning._source import Source
from pytest_asyncdb.provisioning._sqlite_template import copy_into, ensure_template

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_asyncdb.provisioning._source import Setting
    from pytest_asyncdb.typing import SchemaBuilder

__all__ = ["Memory"]


class Memory(Source):
    """Copies of a template that this process keeps in memory."""

    name = "memory"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._template: sqlite3.Connection | None = None
        self._lock = Lock()
        self._numbers = itertools.count(1)

    @property
    def url(self) -> URL:
        """The URL of any database in memory; `open_sqlite` is the way to this one."""
        return URL.create(f"sqlite+{self._driver}", database=":memory:")

    def database(self, build: SchemaBuilder, options: Mapping[str, Any]) -> Database:
        """Build the template once per run, and keep it in memory."""
        file = ensure_template(self._place, self._thread, self._driver, build, options)
        self._template = template = open_memory()
        copy_into(file, template)
        template.execute(SQLite.read_only)
        return Database(
            url=self.url,
            product=self._target.product,
            version=sqlite3.sqlite_version_info,
            source=self.name,
            backend=get_backend(self._target.product),
            durable=False,
            remake=lambda: None,
            copy=lambda connection: self._copy(template, connection),
            cloning=lambda: self._clone(file),
        )

    def close(self) -> list[str]:
        """Forget the template."""
        if self._template is not None:
            self._template.close()
            self._template = None
        return []

    def _clone(self, template: Path) -> Database:
        """A file: what commits for real is seen by several connections."""
        name = database_name(self._place.short, self._place.worker)
        path = self._place.directory / f"{name}_{next(self._numbers)}.sqlite"
        return database_file(self.url.set(database=str(path)), template)

    def _copy(self, template: sqlite3.Connection, target: sqlite3.Connection) -> None:
        with self._lock:
            template.backup(target)
