"""A server in a container, on any engine."""

from __future__ import annotations

import math
import secrets
import socket
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import URL

from pytest_asyncdb.errors import AsyncDBError, ServerFailed, SourceUnavailable
from pytest_asyncdb.provisioning._engine import connected, has_client, tail
from pytest_asyncdb.provisioning._images import IMAGES
from pytest_asyncdb.provisioning._own import OwnServer

if TYPE_CHECKING:
    from docker.models.containers import Container as Started

    from pytest_asyncdb.provisioning._administration import Administration
    from pytest_asyncdb.provisioning._engine import Engine
    from pytest_asyncdb.provisioning._place import Place
    from pytest_asyncdb.settings import Target

__all__ = ["Container", "remove_container", "sweep_containers"]

_RECORD: Final = "container.json"
_TIMEOUT: Final = 120.0
_POLL: Final = 0.02
_LOOK: Final = 0.2
"""Seconds from one look at the container's state to the next."""
_ACCEPTS: Final = 0.5
"""Seconds that an address may take to accept a connection."""


@dataclass(frozen=True, slots=True)
class _Record:
    """What the processes of the run tell each other about the container."""

    name: str
    image: str
    password: str
    host: str = ""
    port: int = 0

    @property
    def ready(self) -> bool:
        return bool(self.host)

    def write(self, place: Place) -> _Record:
        place.write(_RECORD, asdict(self))
        return self


class Container(OwnServer):
    """A server that asks for a random password, in a container of the run's own.

    Its data are in memory, and it is ready when it answers a query of the driver.
    """

    name = "container"

    @classmethod
    def probe(cls, target: Target) -> SourceUnavailable | None:
        """None where an engine answers, else why not; no image is looked for."""
        del target
        try:
            with connected():
                return None
        except SourceUnavailable as error:
            return error

    def _identity(self) -> str:
        return f"{self._target.product}:{self._target.version}"

    def _at(self, database: str) -> URL:
        return self._url(self._started(), database)

    def _attach(self, administration: Administration) -> None:
        """The container was started to know its address."""
        try:
            administration.scalar("SELECT 1")
        except AsyncDBError:
            self._check()
            raise

    def _is_running(self) -> bool:
        record = _read(self._home)
        return record is not None and self._lives(record)

    def _stop(self) -> list[str]:
        left = remove_container(self._home)
        return [left] if left is not None else []

    # ------------------------------------------------------------------- the start
    def _started(self) -> _Record:
        record = _read(self._home)
        if record is None or not self._lives(record):
            with self._home.locked():
                record = _read(self._home)
                if record is None or not self._lives(record):
                    record = self._start()
        return record

    def _lives(self, record: _Record) -> bool:
        """Whether it was started; where an earlier run has, also that it still is."""
        place = (record.host, record.port)
        return record.ready and (not self._setting.reuse or _accepts(place))

    def _start(self) -> _Record:
        with connected() as engine:
            engine.sweep()
            name = f"asyncdb-{self._home.short}"
            engine.remove(name)  # of a worker that was killed while it started one
            image = self._image(engine)
            record = _Record(name, image, secrets.token_urlsafe(24)).write(self._home)
            try:
                with self._progress.step(f"starting a container of {image}"):
                    return self._run(engine, record).write(self._home)
            except BaseException:
                engine.remove(name)
                self._home.forget(_RECORD)
                raise

    def _image(self, engine: Engine) -> str:
        kind = IMAGES[self._target.product]
        image = self._server.image
        image = image or kind.named(self._target.version, engine.images())
        if not engine.has(image):
            with self._progress.step(f"pulling the image {image}"):
                engine.pull(image)
        return image

    def _run(self, engine: Engine, record: _Record) -> _Record:
        kind = IMAGES[self._target.product]
        container = engine.run(
            record.image,
            name=record.name,
            directory=self._home.directory,
            port=kind.port,
            environment=kind.filled(record.password),
            options=kind.arguments(self._options),
            data=kind.data,
        )
        return self._answering(engine, container, record)

    def _answering(
        self, engine: Engine, container: Started, record: _Record
    ) -> _Record:
        """The record with the address at which a query has succeeded."""
        deadline = time.monotonic() + _TIMEOUT
        places = []
        looked = 0.0
        said: str | None = "nobody accepted a connection"
        while True:
            now = time.monotonic()
            if now - looked > _LOOK:
                looked = now
                places = engine.addresses(container, IMAGES[self._target.product].port)
                _check_state(container, record.image)
            if now > deadline:
                what = f"it did not answer within {_TIMEOUT:.0f} s: {said}"
                raise ServerFailed.container(record.image, what, tail(container))
            for host, port in filter(_accepts, places):
                found = _Record(record.name, record.image, record.password, host, port)
                said = self._said(found)
                if said is None:
                    return found
            time.sleep(_POLL)

    def _said(self, record: _Record) -> str | None:
        """None when a query succeeds there, else what went wrong."""
        maintenance = self._server_backend().maintenance
        administration = self._administration(self._url(record, maintenance))
        try:
            said = administration.probe()
            if said is None:
                self._run_sql(administration)
            return said
        finally:
            administration.close()

    def _check(self) -> None:
        """Raise `ServerFailed` where the container is gone or has ended."""
        record = _read(self._home)
        if record is None:
            return
        with connected() as engine:
            container = engine.find(record.name)
            if container is None:
                raise ServerFailed.container(record.image, "it has been removed", "")
            _check_state(container, record.image)

    def _url(self, record: _Record, database: str) -> URL:
        return URL.create(
            f"{self._target.product}+{self._driver}",
            username=IMAGES[self._target.product].user,
            password=record.password,
            host=record.host,
            port=record.port,
            database=database,
        )


def remove_container(place: Place) -> str | None:
    """Remove the container of a run, if it has one; None, or why it could not be."""
    record = _read(place)
    if record is None:
        return None
    if not has_client():
        return f"container {record.name}: testcontainers is not installed any more"
    from docker.errors import DockerException

    try:
        with connected() as engine:
            engine.remove(record.name)
    except (SourceUnavailable, DockerException, OSError) as error:
        return f"container {record.name}: {error}"
    place.forget(_RECORD)
    return None


def sweep_containers(*, older_than: float = math.inf) -> list[str]:
    """Remove containers of runs that are dead, with their directories gone too.

    Also those of which nobody can tell, made so many seconds ago. Returns their names;
    none where no engine answers.
    """
    try:
        with connected() as engine:
            return engine.sweep(older_than)
    except SourceUnavailable:
        return []


def _read(place: Place) -> _Record | None:
    fields = place.read(_RECORD)
    return _Record(**fields) if fields else None


def _check_state(container: Started, image: str) -> None:
    container.reload()
    if container.status in {"exited", "dead", "removing"}:
        code = container.attrs["State"]["ExitCode"]
        what = f"it ended with exit code {code}"
        raise ServerFailed.container(image, what, tail(container))


def _accepts(place: tuple[str, int]) -> bool:
    try:
        socket.create_connection(place, _ACCEPTS).close()
    except OSError:
        return False
    return True
