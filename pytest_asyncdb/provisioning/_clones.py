"""A template and its clones on a server, the same way wherever the server is from."""

from __future__ import annotations

import hashlib
import re
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.provisioning._naming import database_name, template_name
from pytest_asyncdb.provisioning._stored import Stored
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
_LENGTH: Final = 24
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")


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
    stays: bool = False
    """Whether the server outlives the run, and templates on it may be used again."""

    @property
    def name(self) -> str:
        """Name of the worker's database."""
        return database_name(self.place.short, self.place.worker)

    @property
    def template(self) -> str:
        """The run's template; one of a name of its own until it is known."""
        return self.place.read(_RECORD) or template_name(self.place.short)

    def ensure_template(self, build: SchemaBuilder, options: Mapping[str, Any]) -> None:
        """Build the template unless a worker, or an earlier run, has.

        The caller holds the run's lock.
        """
        if self.place.read(_RECORD) is not None:
            return
        apart = not self.stays or self.administration.nodes > 0
        material = None if apart else build.key
        if material is None:
            name = template_name(self.place.short)
            self._build(name, build, options)
        else:
            stored = Stored(self.administration)
            name = stored.ensure(
                self._digest(material, options),
                template_name(self.place.short),
                lambda name: self._build(name, build, options),
            )
        self.place.write(_RECORD, name)

    def replace(self) -> None:
        """Make this worker's database from the template, instead of the one there."""
        self.renew(self.name)

    def renew(self, name: str) -> None:
        """Make a database from the template, instead of the one of that name."""
        self.administration.drop(name)
        self.administration.clone(self.template, name, durable=self.durable)
        self._label(name)

    def drop(self) -> None:
        """Drop this worker's database."""
        self.administration.drop(self.name)

    def _build(
        self, name: str, build: SchemaBuilder, options: Mapping[str, Any]
    ) -> None:
        self.administration.drop(name)
        with ExitStack() as undo:
            self.administration.create(name, durable=self.durable)
            undo.callback(self.administration.drop, name)
            self._label(name)
            url = self.url.set(database=name)
            current = self.administration.backend.current
            self.thread.run(
                lambda: build_template(url, build, options=options, current=current)
            )
            self.administration.freeze(name)
            undo.pop_all()

    def _digest(self, material: str, options: Mapping[str, Any]) -> str:
        """What a template is called after: all that has made it as it is."""
        parts = (
            version("pytest-asyncdb"),
            self.administration.backend.name,
            self.administration.version,
            [f"{name}={_said(value)}" for name, value in sorted(options.items())],
            material,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:_LENGTH]

    def _label(self, database: str) -> None:
        if self.mark is not None:
            statements = self.administration.backend.mark(database, self.mark)
            self.administration.execute(f"marking database {database!r}", *statements)


def _said(option: object) -> str:
    """An option as the same text in each process: no object's address."""
    return _ADDRESS.sub("", repr(option))
