"""The servers and databases of one pytest run."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from filelock import Timeout

from pytest_asyncdb.backends import get_backend
from pytest_asyncdb.errors import (
    AsyncDBError,
    DriverMissing,
    LeftBehind,
    RunEnded,
)
from pytest_asyncdb.provisioning._place import Place, bases
from pytest_asyncdb.provisioning._progress import Progress
from pytest_asyncdb.provisioning._room import telling_full_disk
from pytest_asyncdb.provisioning._source import Setting
from pytest_asyncdb.provisioning._sources import choose
from pytest_asyncdb.provisioning._sweep import sweep
from pytest_asyncdb.provisioning._thread import LoopThread
from pytest_asyncdb.settings import ServerOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sqlalchemy import URL

    from pytest_asyncdb.backends import Backend
    from pytest_asyncdb.provisioning._database import Database
    from pytest_asyncdb.provisioning._stored import Template
    from pytest_asyncdb.settings import Target
    from pytest_asyncdb.typing import SchemaBuilder

__all__ = ["Run"]

_PATIENCE: Final = 30.0
"""Seconds that the owner waits at its end for a worker that holds the lock."""


class Run:
    """What one process of a pytest run knows of the run's databases.

    The controller (or the only process) gives no `directory` and owns what it makes;
    each xdist worker attaches with the controller's. Nothing is started until
    `database()`. `server` is for a server that the run starts, which with `reuse` stays
    for later runs; `workers` is how many processes of the run have a database; `say` is
    told, from a thread, what takes more than a second. Raises `UnknownBackend`,
    `DriverMissing` or `SourceUnavailable` when the target cannot be had in this
    environment at all.
    """

    def __init__(
        self,
        target: Target,
        *,
        directory: Path | None = None,
        worker: str = "main",
        keep: bool = False,
        server: ServerOptions | None = None,
        reuse: bool = False,
        workers: int = 1,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._thread = LoopThread()
        driver = target.driver or _first_installed(get_backend(target.product))
        source = choose(target)
        if directory is None:
            with telling_full_disk(next(bases())):
                self._place = Place.make(worker=worker, keep=keep)
        else:
            self._place = Place(directory, worker, owner=False, keep=keep)
        self._source = source(
            Setting(
                target=target,
                driver=driver,
                place=self._place,
                thread=self._thread,
                progress=Progress(say),
                server=server or ServerOptions(),
                reuse=reuse,
                workers=workers,
            )
        )
        self.driver = driver
        self._url: URL | None = None
        self._database: Database | None = None
        self._failed: AsyncDBError | None = None
        self._closed = False
        self._numbers = itertools.count(1)
        self._lock = Lock()
        self._pid = os.getpid()

    @property
    def directory(self) -> Path:
        """The run's private directory, for the workers."""
        return self._place.directory

    @property
    def source(self) -> str:
        """Name of the source: embedded, local, container, url, memory or file."""
        return self._source.name

    @property
    def url(self) -> URL:
        """Where this worker's database is or will be; it stays for the whole run.

        Only a container is started to know it; raises what `database` raises then.
        """
        if self._url is None:
            self._url = self._source.url
        return self._url

    @property
    def kept(self) -> tuple[str, ...]:
        """URLs of the databases that stay because of `keep`, passwords masked."""
        return tuple(url for url, _ in self._kept())

    @property
    def clients(self) -> tuple[str, ...]:
        """For each of these, a shell's line that opens it, without any password."""
        return tuple(command for _, command in self._kept() if command is not None)

    def _kept(self) -> list[tuple[str, str | None]]:
        return self._place.databases() if self._place.stays else []

    def database(
        self,
        build: SchemaBuilder,
        *,
        engine_options: Mapping[str, Any] | None = None,
    ) -> Database:
        """Give this worker's database, filled by `build`; the first call makes it.

        Blocks; safe inside a running event loop of the caller's. `engine_options` are
        the project's, for the engine that builds. Raises `ProvisioningError`, the same
        one at each later call, and `TemplateBuildFailed` when `build` raises.
        """
        with self._lock:  # the first statements of two threads may come at once
            if self._closed:
                raise RunEnded.closed()
            if self._failed is not None:
                raise self._failed.with_traceback(None)
            if self._database is None:
                self._database = self._made(build, engine_options or {})
            return self._database

    def restart(self) -> None:
        """Stop the server, with all of its sessions, and start it again on its data.

        Raises `FaultRefused` for a server that the run has not started by itself, and
        `ServerFailed`. For a run of a test's own: others of this one would notice.
        """
        self._source.restart()

    def templates(self) -> list[Template]:
        """Templates of earlier runs on the server, if it is there; starts nothing.

        Raises `ServerUnreachable`.
        """
        stored = self._source.stored()
        return stored.all() if stored is not None else []

    def drop_template(self, template: Template) -> None:
        """Drop one of them; raises `DatabaseFailed`."""
        stored = self._source.stored()
        if stored is not None:
            stored.drop(template)

    def close(self) -> None:
        """Remove what this process made; the owner removes what is left of all.

        A second call does nothing, nor does one in a forked process. Raises
        `LeftBehind` when something stays.
        """
        if self._closed or os.getpid() != self._pid:
            return
        self._closed = True
        try:
            left = self._end() if self._place.owner else self._source.close()
        finally:
            self._thread.close()
        if left:
            raise LeftBehind.of(left)

    def _made(self, build: SchemaBuilder, options: Mapping[str, Any]) -> Database:
        began = time.perf_counter()
        try:
            with telling_full_disk(self.directory):
                sweep()
                made = self._source.database(build, options)
        except AsyncDBError as error:
            self._failed = error
            raise
        if made.copy is None:
            self._note(made)
        if made.cloning is not None and self._place.keep:
            made = replace(made, cloning=partial(self._keepable, made.cloning))
        return replace(made, seconds=time.perf_counter() - began)

    def _note(self, database: Database, name: str = "") -> None:
        keeps = self._place.keep
        command = self._source.client_command(database.url) if keeps else None
        self._place.note_database(database.url, command, name=name)

    def _keepable(self, clone: Callable[[], Database]) -> Database:
        made = clone()
        name = f".{next(self._numbers)}"
        return replace(made, keeping=partial(self._note, made, name))

    def _end(self) -> list[str]:
        """Under the lock, so that no worker starts anything any more."""
        with ExitStack() as stack:
            with suppress(Timeout, RunEnded):
                stack.enter_context(self._place.locked(timeout=_PATIENCE))
            left = self._source.close()
            if self._place.stays:
                self._place.mark_kept()
                return left
            self._place.remove()
        self._place.remove()  # the lock, where an open file cannot be removed
        return left


def _first_installed(backend: Backend) -> str:
    for driver in backend.drivers:
        if driver.installed:
            return driver.name
    raise DriverMissing.of(
        backend.name,
        [driver.name for driver in backend.drivers],
        [driver.install for driver in backend.drivers],
    )
