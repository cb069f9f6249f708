"""A server that a run starts for itself, wherever its programs are."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import AsyncDBError
from pytest_asyncdb.provisioning._administration import Administration
from pytest_asyncdb.provisioning._clones import Clones
from pytest_asyncdb.provisioning._database import Database
from pytest_asyncdb.provisioning._external import External
from pytest_asyncdb.provisioning._naming import database_name
from pytest_asyncdb.provisioning._place import Place
from pytest_asyncdb.provisioning._source import Source
from pytest_asyncdb.provisioning._spares import Spares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import URL

    from pytest_asyncdb.provisioning._source import Setting
    from pytest_asyncdb.provisioning._stored import Stored
    from pytest_asyncdb.typing import SchemaBuilder

__all__ = ["OwnServer"]


_CONNECTIONS: Final = 200
_EACH: Final = 4
"""Connections for each worker: two of ours, and some of the tests' own."""
_SPARE: Final = 20


class OwnServer(Source):
    """A server of the run: who needs it first starts it, the owner stops it.

    Every worker has a clone of one template on it. With `reuse` it stays for later
    runs, which use it as they would a server of the user's.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._clones: Clones | None = None
        self._spares: Spares | None = None
        self._visit: External | None = None

    @cached_property
    def _home(self) -> Place:
        """The directories of the server: the run's, or with `reuse` its own."""
        if not self._setting.reuse:
            return self._place
        return Place.shared(self._key, worker=self._place.worker)

    @property
    def _key(self) -> str:
        return f"{self.name} {self._identity()} {self._server!r}"

    @property
    def url(self) -> URL:
        """Where this worker's database will be.

        Starts the server where nothing else can tell its address.
        """
        return self._at(database_name(self._place.short, self._place.worker))

    def database(self, build: SchemaBuilder, options: Mapping[str, Any]) -> Database:
        """Start or attach the server, build the template once, clone it."""
        if self._setting.reuse:
            return self._visited().database(build, options)
        clones = self._clones = self._cloning()
        with self._place.locked():
            self._attach(clones.administration)
            clones.administration.scalar("SELECT 1")
            with self._progress.step("building the template database"):
                clones.ensure_template(build, options)
        clones.replace()
        spares = self._spares = Spares(self._cloning())
        return spares.attach(
            Database(
                url=self.url,
                product=self._target.product,
                version=clones.administration.version,
                source=self.name,
                backend=clones.administration.backend,
                durable=False,
                remake=clones.replace,
            )
        )

    def stored(self) -> Stored | None:
        """Those on a server that an earlier run has left, if it still answers."""
        if not Place.shared_directory(self._key).exists() or not self._is_running():
            return None
        return self._visited().stored()

    def close(self) -> list[str]:
        """Drop this worker's database; as the owner stop the server."""
        if self._setting.reuse:
            return self._visit.close() if self._visit is not None else []
        left = []
        if self._clones is not None:
            drops = not (self._place.keep or self._place.owner) and self._is_running()
            if self._spares is not None:
                self._spares.close(drop=drops or self._place.stays)
            if drops:
                left = _dropped(self._clones)
            self._clones.administration.close()
        if self._place.owner and not self._place.stays:
            left = self._stop()
        return left

    def _visited(self) -> External:
        """The server as one that was there before, which the run does not stop."""
        if self._visit is not None:
            return self._visit
        url = self._at(self._server_backend().maintenance)
        administration = self._administration(url)
        try:
            with self._home.locked():
                self._attach(administration)
        finally:
            administration.close()
        setting = replace(self._setting, target=replace(self._target, url=url))
        self._visit = External(setting, source=self.name, durable=False)
        return self._visit

    @abstractmethod
    def _identity(self) -> str:
        """What tells servers of this source apart besides the project's options."""

    @abstractmethod
    def _at(self, database: str) -> URL:
        """The URL of a database on the server."""

    @abstractmethod
    def _attach(self, administration: Administration) -> None:
        """See to it that the server answers; the caller holds its lock."""

    @abstractmethod
    def _is_running(self) -> bool:
        """Whether the run has a server, as far as can be known at once."""

    @abstractmethod
    def _stop(self) -> list[str]:
        """Stop the server and remove what it has; returns what could not be."""

    @property
    def _options(self) -> dict[str, str]:
        """What the server is told besides what all of ours are."""
        wanted = max(_CONNECTIONS, self._setting.workers * _EACH + _SPARE)
        return {"max_connections": str(wanted), **self._server.options}

    def _run_sql(self, administration: Administration) -> None:
        """Let the server's superuser say what the project wants it to."""
        administration.execute("running asyncdb_server_sql", *self._server.sql)

    def _administration(self, url: URL) -> Administration:
        backend = self._server_backend()
        return Administration(url, backend, self._thread, opening=backend.keep_alive)

    def _cloning(self) -> Clones:
        maintenance = self._server_backend().maintenance
        return Clones(
            place=self._place,
            thread=self._thread,
            administration=self._administration(self._at(maintenance)),
            url=self.url,
            durable=False,
        )


def _dropped(clones: Clones) -> list[str]:
    """Drop the database; what stays, unless the server is gone with all that it had."""
    try:
        clones.drop()
    except AsyncDBError as error:
        if clones.administration.probe() is None:
            return [f"{error.cause}: {'; '.join(error.tried)}"]
    return []
