"""The container engine that DOCKER_HOST, or Docker's context, names.

Of testcontainers only the client is used: what is ready, whose a container is and when
it goes is known here better than there.
"""

from __future__ import annotations

import contextlib
import math
import socket
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import ServerFailed, SourceUnavailable
from pytest_asyncdb.provisioning._naming import OwnerTag, is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from docker.models.containers import Container
    from testcontainers.core.docker_client import DockerClient

__all__ = ["Engine", "connected", "has_client", "tail"]

_OWNER: Final = "pytest-asyncdb.owner"
_DIRECTORY: Final = "pytest-asyncdb.directory"
_DEFAULT: Final = "unix:///var/run/docker.sock"
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_TAIL: Final = 12
_TIMEOUT: Final = 60
_CONFLICT: Final = 409


def has_client() -> bool:
    """Whether the package is installed that speaks to engines; it is not imported."""
    return find_spec("testcontainers") is not None


@contextlib.contextmanager
def connected() -> Iterator[Engine]:
    """The engine. Raises `SourceUnavailable` where there is none that answers."""
    if not has_client():
        raise SourceUnavailable.no_client()
    client = _client()
    try:
        yield Engine(client)
    finally:
        client.client.close()


def _client() -> DockerClient:
    from docker.errors import DockerException
    from testcontainers.core.docker_client import DockerClient, get_docker_host

    where = get_docker_host() or _DEFAULT
    try:
        _try_socket(where)
        return DockerClient(timeout=_TIMEOUT)
    except (DockerException, OSError) as error:
        raise SourceUnavailable.no_engine(where, _said(error)) from None


def _try_socket(where: str) -> None:
    """Raise OSError where nobody listens; docker-py would leave its socket open."""
    scheme, _, path = where.partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as tried:
            tried.connect(path)


class Engine:
    """What is asked of a container engine. Errors of the engine are docker-py's."""

    def __init__(self, client: DockerClient) -> None:
        self._tc = client
        self._docker = client.client

    # ---------------------------------------------------------------------- images
    def images(self) -> list[str]:
        """Names of all images that need not be pulled."""
        return [tag for image in self._docker.images.list() for tag in image.tags]

    def has(self, image: str) -> bool:
        """Whether an image is there."""
        from docker.errors import ImageNotFound

        try:
            self._docker.images.get(image)
        except ImageNotFound:
            return False
        return True

    def pull(self, image: str) -> None:
        """Fetch an image; raises `SourceUnavailable` where it cannot be had."""
        from docker.errors import DockerException

        try:
            self._docker.images.pull(image)
        except (DockerException, OSError) as error:
            raise SourceUnavailable.no_image(image, _said(error)) from None

    # ------------------------------------------------------------------ containers
    def run(
        self,
        image: str,
        *,
        name: str,
        directory: Path,
        port: int,
        environment: Mapping[str, str],
        options: Sequence[str],
        data: str,
    ) -> Container:
        """Start a container that carries the run's tag, its `data` in memory.

        Raises `ServerFailed` with the engine's words where it cannot.
        """
        from docker.errors import DockerException

        published: dict[str, Any] = {f"{port}/tcp": (self._interface, None)}
        try:
            return self._docker.containers.run(
                image,
                list(options),
                detach=True,
                name=name,
                environment=dict(environment),
                ports=published,
                tmpfs={data: ""},
                labels={_OWNER: OwnerTag.here().text(), _DIRECTORY: str(directory)},
                **self._network,
            )
        except (DockerException, OSError) as error:
            raise ServerFailed.container(image, _said(error), "") from None

    def find(self, name: str) -> Container | None:
        """The container of a name; None where there is none."""
        from docker.errors import NotFound

        try:
            return self._docker.containers.get(name)
        except NotFound:
            return None

    def remove(self, name: str) -> None:
        """Remove a container with its data, if it is there, whatever its state."""
        from docker.errors import APIError, NotFound

        container = self.find(name)
        if container is None:
            return
        try:
            container.remove(force=True, v=True)
        except NotFound:
            pass
        except APIError as error:
            if error.status_code != _CONFLICT:  # another process removes it
                raise

    def sweep(self, older_than: float = math.inf) -> list[str]:
        """Remove containers of runs that are dead, with their directories gone too.

        Also those of which nobody can tell, made so many seconds ago.
        """
        found = self._docker.containers.list(all=True, filters={"label": _OWNER})
        removed = []
        for container in found:
            tag = OwnerTag.parse(container.labels[_OWNER])
            alive = is_alive(tag) if tag is not None else True
            unknown = alive is None and _age(container) < older_than
            gone = not Path(container.labels.get(_DIRECTORY, "")).exists()
            if gone and not alive and not unknown:
                self.remove(str(container.name))
                removed.append(str(container.name))
        return removed

    def addresses(self, container: Container, port: int) -> list[tuple[str, int]]:
        """Where a container's port may be reached, the best place first.

        That is the engine's proxy on this host: it closes connections when the
        container dies, where from a network without it nobody answers any more. From
        inside of another container it is the engine's host by its gateway, or the
        container itself where both are on one network.
        """
        from testcontainers.core.config import testcontainers_config

        container.reload()
        settings: dict[str, Any] = container.attrs["NetworkSettings"]
        mapped = [
            int(each["HostPort"]) for each in settings["Ports"].get(f"{port}/tcp") or ()
        ]
        networks = list(settings["Networks"].values())
        places = {
            "docker_host": [(self._tc.host(), each) for each in mapped],
            "gateway_ip": [
                (each["Gateway"], one) for each in networks for one in mapped
            ],
            "bridge_ip": [(each["IPAddress"], port) for each in networks],
        }
        mode = testcontainers_config.connection_mode_override
        chosen = [*places.values()] if mode is None else [places[mode.value]]
        if mode is None and self._is_by_socket:
            chosen.insert(0, [("127.0.0.1", each) for each in mapped])
        found = [place for several in chosen for place in several if place[0]]
        return list(dict.fromkeys(found))

    @property
    def _is_by_socket(self) -> bool:
        """Whether the engine is asked through a socket of this machine's."""
        return self._docker.api.base_url.startswith("http+docker://")

    @property
    def _network(self) -> dict[str, Any]:
        """The network of the container that this process runs in, if it does."""
        network = self._tc.find_host_network() if _in_container() else None
        return {} if network is None else {"network": network}

    @property
    def _interface(self) -> str:
        """Where ports are published: for this host alone, if the engine runs on it."""
        is_here = self._tc.host() in _LOCAL and not _in_container()
        return "127.0.0.1" if is_here else "0.0.0.0"  # noqa: S104 - a password is asked


def _age(container: Container) -> float:
    """Seconds since a container was made; the engine's times are UTC."""
    made = datetime.fromisoformat(container.attrs["Created"][:19]).replace(tzinfo=UTC)
    return (datetime.now(UTC) - made).total_seconds()


def tail(container: Container) -> str:
    """The last lines that a container has said."""
    return container.logs(tail=_TAIL).decode(errors="replace")


def _in_container() -> bool:
    from testcontainers.core.utils import inside_container

    return bool(inside_container())


def _said(error: BaseException) -> str:
    """The engine's own words in an error of docker-py's or of requests'."""
    return str(getattr(error, "explanation", None) or error).strip()
