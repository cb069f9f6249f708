"""A server from programs on this machine, which nobody else can connect to."""

from __future__ import annotations

import secrets
import socket
from abc import abstractmethod
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import ServerFailed, SourceUnavailable
from pytest_asyncdb.provisioning._installation import Door
from pytest_asyncdb.provisioning._mariadb import MariaDB, MySQL
from pytest_asyncdb.provisioning._own import OwnServer
from pytest_asyncdb.provisioning._postgresql import PostgreSQL
from pytest_asyncdb.provisioning._server import (
    Launch,
    attach_or_start,
    is_running,
    restart_server,
    stop_server,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy import URL

    from pytest_asyncdb.provisioning._administration import Administration
    from pytest_asyncdb.provisioning._installation import Installation
    from pytest_asyncdb.settings import Target

__all__ = ["PROGRAMS", "PrivateServer"]

PROGRAMS: Final[Mapping[str, type[Installation]]] = {
    kind.product: kind for kind in (PostgreSQL, MariaDB, MySQL)
}
"""How the servers of each product are run."""

_DOOR: Final = "door.json"
_TAKEN: Final = "Address already in use"
_ATTEMPTS: Final = 5


class PrivateServer(OwnServer):
    """A server that listens on a socket in a private directory, for this user only.

    On request also on a port of 127.0.0.1, with a random password.
    """

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
    def _programs(self) -> Path | None:
        return self.find(self._target).program.parent

    def _identity(self) -> str:
        return repr(self.find(self._target))

    def _at(self, database: str) -> URL:
        programs = PROGRAMS[self._target.product]
        drivername = f"{self._target.product}+{self._driver}"
        if self._server.tcp:
            return programs.tcp_url(drivername, self._opened(), database)
        return programs.url(drivername, Door(self._home.sockets), database)

    def _attach(self, administration: Administration) -> None:
        if self._server.tcp:
            self._start(self._opened())  # which says so if it has ended
        else:
            self._start(Door(self._home.sockets), administration)

    def _is_running(self) -> bool:
        return is_running(self._home)

    def _stop(self) -> list[str]:
        stop_server(self._home)
        return []

    def restart(self) -> None:
        """Stop the server, which ends all sessions, and start it on its data."""
        door = self._opened() if self._server.tcp else Door(self._home.sockets)
        inside = self._inside(door)
        try:
            with self._home.locked():
                found = self.find(self._target)
                launch = Launch(found, door, self._options, inside.probe, _nothing)
                restart_server(self._home, launch)
        finally:
            inside.close()

    def _start(self, door: Door, given: Administration | None = None) -> None:
        """Start the server unless it runs; the caller holds its lock.

        `given` is a connection through its socket, if there is one to be used.
        """
        programs = PROGRAMS[self._target.product]
        with ExitStack() as stack:
            stack.enter_context(self._progress.step(f"starting {self._target.product}"))

            def launch() -> Launch:
                inside = given or self._inside(door)
                if given is None:
                    stack.callback(inside.close)

                def prepare() -> None:
                    if door.port:
                        statements = programs.lock(door)
                        inside.execute("setting the server's password", *statements)
                    self._run_sql(inside)

                found = self.find(self._target)
                return Launch(found, door, self._options, inside.probe, prepare)

            attach_or_start(self._home, launch, again=self._setting.reuse)

    def _inside(self, door: Door) -> Administration:
        """A connection through the socket, which no password is needed for."""
        drivername = f"{self._target.product}+{self._driver}"
        maintenance = self._server_backend().maintenance
        url = PROGRAMS[self._target.product].url(drivername, door, maintenance)
        return self._administration(url)

    # -------------------------------------------------------------------- the port
    def _opened(self) -> Door:
        """The server's port and its password, which are known once it runs."""
        record = self._home.read(_DOOR)
        if record is None or (self._setting.reuse and not self._is_running()):
            with self._home.locked():
                record = self._home.read(_DOOR) if self._is_running() else None
                record = record or self._open()
        return Door(self._home.sockets, **record)

    def _open(self) -> dict[str, Any]:
        """Start the server on a free port; another process may be faster to take it."""
        attempts = _ATTEMPTS
        while True:
            door = Door(self._home.sockets, free_port(), secrets.token_urlsafe(24))
            try:
                self._start(door)
            except ServerFailed as error:
                attempts -= 1
                if not attempts or not any(_TAKEN in said for said in error.tried):
                    raise
                continue
            record = {"port": door.port, "password": door.password}
            self._home.write(_DOOR, record)
            return record


def _nothing() -> None:
    """A server that was prepared once stays so."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
