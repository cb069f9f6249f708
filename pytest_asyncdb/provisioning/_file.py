"""SQLite in a file of the run's own."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL

from pytest_asyncdb.backends import get_backend
from pytest_asyncdb.provisioning._database import Database
from pytest_asyncdb.provisioning._naming import database_name
from pytest_asyncdb.provisioning._source import Source
from pytest_asyncdb.provisioning._sqlite_template import (
    copy_into,
    ensure_template,
    explicit_begin,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asyncdb.provisioning._source import Setting
    from pytest_asyncdb.typing import SchemaBuilder

__all__ = ["File", "database_file"]

_COMPANIONS: Final = ("-wal", "-shm", "-journal")


class File(Source):
    """A file in the run's directory; one that a URL names is never touched."""

    name = "file"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._database: Database | None = None

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
        made = database_file(self.url, template)
        self._database = made
        return replace(made, dropping=None)

    def close(self) -> list[str]:
        """Remove the file."""
        if self._database is not None and not self._place.keep:
            self._database.drop()
        return []

    @property
    def _path(self) -> Path:
        name = database_name(self._place.short, self._place.worker)
        return self._place.directory / f"{name}.sqlite"


def database_file(url: URL, template: Path) -> Database:
    """A copy of the template in the file that `url` names; its clones lie beside it."""
    path = Path(str(url.database))
    numbers = itertools.count(1)

    def remake() -> None:
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with closing(sqlite3.connect(fresh)) as target:
            copy_into(template, target)
        _remove(path)
        fresh.rename(path)

    def clone() -> Database:
        beside = path.with_stem(f"{path.stem}_{next(numbers)}")
        return database_file(url.set(database=str(beside)), template)

    remake()
    product = url.get_backend_name()
    return Database(
        url=url,
        product=product,
        version=sqlite3.sqlite_version_info,
        source=File.name,
        backend=get_backend(product),
        durable=False,
        remake=remake,
        cloning=clone,
        dropping=lambda: _remove(path),
        preparing=explicit_begin,
    )


def _remove(path: Path) -> None:
    for suffix in ("", *_COMPANIONS):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
