"""SQLite in a file of the run's own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL

from pytest_asyncdb.backends import get_backend
from pytest_asyncdb.provisioning._database import Database
from pytest_asyncdb.provisioning._naming import database_name
from pytest_asyncdb.provisioning._source import Source
from pytest_asyncdb.provisioning._sqlite_template import copy_into, ensure_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asyncdb.typing import SchemaBuilder

__all__ = ["File"]

_COMPANIONS: Final = ("-wal", "-shm", "-journal")


class File(Source):
    """A file in the run's directory; one that a URL names is never touched."""

    name = "file"

    @property
    def url(self) -> URL:
        """Where the file will be, with the options of a given URL."""
        given = self._target.url
        return URL.create(
            f"sqlite+{self._driver}",
            database=str(self._path),
            query=given.query if given is not None else {},
        )

    def database(self, build: SchemaBuilder, options: Mapping[str, Any]) -> Database:
        """Build the template once per run, and copy it into place."""
        template = ensure_template(
            self._place, self._thread, self._driver, build, options
        )
        self._replace(template)
        return Database(
            url=self.url,
            product=self._target.product,
            version=sqlite3.sqlite_version_info,
            source=self.name,
            backend=get_backend(self._target.product),
            durable=False,
            remake=lambda: self._replace(template),
        )

    def close(self) -> list[str]:
        """Remove the file."""
        if not self._place.keep:
            self._remove()
        return []

    @property
    def _path(self) -> Path:
        name = database_name(self._place.short, self._place.worker)
        return self._place.directory / f"{name}.sqlite"

    def _replace(self, template: Path) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with closing(sqlite3.connect(fresh)) as target:
            copy_into(template, target)
        self._remove()
        fresh.rename(self._path)

    def _remove(self) -> None:
        for suffix in ("", *_COMPANIONS):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
