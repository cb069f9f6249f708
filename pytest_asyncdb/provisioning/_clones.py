"""A template and its clones on a server, the same way wherever the server is from."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.provisioning._naming import database_name, template_name
from pytest_asyncdb.provisioning._template import build_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import URL

    from pytest_asyncdb.provisioning._administration import Administration
    from pytest_asyncdb.provisioning._place import Place
    from pytest_asyncdb.provisioning._thread import LoopThread
    from pytest_asyncdb.typing import SchemaBuilder

__all__ = ["Clones"]

_RECORD: Final = "template.json"


@dataclass(frozen=True, slots=True)
class Clones:
    """The run's template on a server, and this worker's clone of it."""

    place: Place
    thread: LoopThread
    administration: Administration
    url: URL
    """Of this worker's database."""
    durable: bool
    mark: str | None = None
    """Text for each database, on a server that others use too."""

    @property
    def name(self) -> str:
        """Name of the worker's database."""
        return database_name(self.place.short, self.place.worker)

    @property
    def template(self) -> str:
        """The run's template."""
        return template_name(self.place.short)

    def ensure_template(self, build: SchemaBuilder, options: Mapping[str, Any]) -> None:
        """Build the template unless a worker has; the caller holds the run's lock."""
        if self.place.read(_RECORD) is not None:
            return
        self.administration.drop(self.template)
        with ExitStack() as undo:
            self.administration.create(self.template, durable=self.durable)
            undo.callback(self.administration.drop, self.template)
            self._label(self.template)
            url = self.url.set(database=self.template)
            current = self.administration.backend.current
            self.thread.run(
                lambda: build_template(url, build, options=options, current=current)
            )
            self.administration.freeze(self.template)
            self.place.write(_RECORD, self.template)
            undo.pop_all()

    def replace(self) -> None:
        """Make this worker's database from the template, instead of the one there."""
        self.administration.drop(self.name)
        self.administration.clone(self.template, self.name, durable=self.durable)
        self._label(self.name)

    def drop(self) -> None:
        """Drop this worker's database."""
        self.administration.drop(self.name)

    def _label(self, database: str) -> None:
        if self.mark is not None:
            statements = self.administration.backend.mark(database, self.mark)
            self.administration.execute(f"marking database {database!r}", *statements)
