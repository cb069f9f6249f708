"""What every source of databases does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_asyncdb.backends import ServerBackend, get_backend
from pytest_asyncdb.errors import FaultRefused, SourceUnavailable
from pytest_asyncdb.provisioning._inspect import client_command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy import URL

    from pytest_asyncdb.provisioning._database import Database
    from pytest_asyncdb.provisioning._place import Place
    from pytest_asyncdb.provisioning._progress import Progress
    from pytest_asyncdb.provisioning._stored import Stored
    from pytest_asyncdb.provisioning._thread import LoopThread
    from pytest_asyncdb.settings import ServerOptions, Target
    from pytest_asyncdb.typing import SchemaBuilder

__all__ = ["Setting", "Source"]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a source works with."""

    target: Target
    driver: str
    place: Place
    thread: LoopThread
    progress: Progress
    server: ServerOptions
    reuse: bool = False
    """Whether a server that the run starts is to stay for later runs."""
    workers: int = 1
    """How many processes of the run have a database each."""


class Source(ABC):
    """Where a database comes from; made without starting anything."""

    name: ClassVar[str]

    @classmethod
    def probe(cls, target: Target) -> SourceUnavailable | None:
        """None where the source has the target, else why not; starts nothing."""
        del target
        return None

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._target = setting.target
        self._driver = setting.driver
        self._place = setting.place
        self._thread = setting.thread
        self._progress = setting.progress
        self._server = setting.server

    @property
    @abstractmethod
    def url(self) -> URL:
        """Where this worker's database will be."""

    @abstractmethod
    def database(self, build: SchemaBuilder, options: Mapping[str, Any]) -> Database:
        """Make the worker's database; blocks until it is ready."""

    @abstractmethod
    def close(self) -> list[str]:
        """Remove what this process made, and as the run's owner what is left of all.

        The owner holds the run's lock meanwhile.
        Returns what could not be removed, each with the reason.
        """

    def restart(self) -> None:
        """Stop the server and start it again, with what it holds."""
        raise FaultRefused.restart(self.name)

    def stored(self) -> Stored | None:
        """Templates on the server that stay, where the server is there and has any."""
        return None

    def client_command(self, url: URL) -> str:
        """A line for a shell that opens a database of this source."""
        return client_command(url, self._place, self._programs)

    @property
    def _programs(self) -> Path | None:
        """Where the server's own programs are, if they are on this machine."""
        return None

    def _server_backend(self) -> ServerBackend:
        backend = get_backend(self._target.product)
        if not isinstance(backend, ServerBackend):
            raise SourceUnavailable.unknown(backend.name, self.name, ())
        return backend
