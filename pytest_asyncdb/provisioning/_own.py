"""A private server for a run, started from programs on this machine."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import SourceUnavailable
from pytest_asyncdb.provisioning._administration import Administration
from pytest_asyncdb.provisioning._clones import Clones
from pytest_asyncdb.provisioning._database import Database
from pytest_asyncdb.provisioning._mariadb import MariaDB, MySQL
from pytest_asyncdb.provisioning._naming import database_name
from pytest_asyncdb.provisioning._postgresql import PostgreSQL
from pytest_asyncdb.provisioning._server import (
    attach_or_start,
    is_running,
    stop_server,
)
from pytest_asyncdb.provisioning._source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import URL

    from pytest_asyncdb.provisioning._installation import Installation
    from pytest_asyncdb.provisioning._source import Setting
    from pytest_asyncdb.settings import Target
    from pytest_asyncdb.typing import SchemaBuilder

__all__ = ["PROGRAMS", "OwnServer"]

PROGRAMS: Final[Mapping[str, type[Installation]]] = {
    kind.product: kind for kind in (PostgreSQL, MariaDB, MySQL)
}
"""How the servers of each product are run."""


class OwnServer(Source):
    """A server that listens on a socket in a private directory, for this user only."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._clones: Clones | None = None

    @classmethod
    @abstractmethod
    def find(cls, target: Target) -> Installation:
        """The server to start; raises `SourceUnavailable`."""

    @classmethod
    def probe(cls, target: Target) -> SourceUnavailable | None:
        """None where there is a server to start, else why not."""
        try:
            cls.find(target)
        except SourceUnavailable as error:
            return error
        return None

    @property
    def url(self) -> URL:
        """Where this worker's database will be, once somebody starts the server."""
        return self._at(database_name(self._place.short, self._place.worker))

    def database(self, build: SchemaBuilder, options: Mapping[str, Any]) -> Database:
        """Start or attach the server, build the template once, clone it."""
        clones = self._clones = self._cloning()
        with self._place.locked():
            self._attach(clones.administration)
            clones.ensure_template(build, options)
        clones.replace()
        return Database(
            url=self.url,
            product=self._target.product,
            version=clones.administration.version,
            source=self.name,
            backend=clones.administration.backend,
            durable=False,
            remake=clones.replace,
        )

    def close(self) -> list[str]:
        """Drop this worker's database; as the owner stop the server."""
        if self._clones is not None:
            if not (self._place.keep or self._place.owner) and is_running(self._place):
                self._clones.drop()
            self._clones.administration.close()
        if self._place.owner and not self._place.stays:
            stop_server(self._place)
        return []

    def _attach(self, administration: Administration) -> None:
        attach_or_start(self._place, self.find(self._target), administration.probe)
        administration.scalar("SELECT 1")

    def _cloning(self) -> Clones:
        backend = self._server_backend()
        url = self._at(backend.maintenance)
        return Clones(
            place=self._place,
            thread=self._thread,
            administration=Administration(url, backend, self._thread),
            url=self.url,
            durable=False,
        )

    def _at(self, database: str) -> URL:
        programs = PROGRAMS[self._target.product]
        drivername = f"{self._target.product}+{self._driver}"
        return programs.url(drivername, self._place.sockets, database)
