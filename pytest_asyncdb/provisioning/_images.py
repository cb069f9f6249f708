"""Images of the products: what they are called, and how a server in one is run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.provisioning._mariadb import TUNING as MYSQL_TUNING
from pytest_asyncdb.provisioning._postgresql import (
    SUPERUSER,
    TUNING as POSTGRESQL_TUNING,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["IMAGES", "Image"]

_TAG: Final = re.compile(r"(?P<version>\d+(\.\d+)*)(-.*)?")
_REGISTRY: Final = re.compile(r"^(docker\.io/|localhost/)?(library/)?")


@dataclass(frozen=True, slots=True)
class Image:
    """The official image of a product, and those that behave as it does."""

    repository: str
    version: str
    """The version that is taken where none is named."""
    port: int
    user: str
    """The superuser, whose password is in the container's environment."""
    data: str
    """Where the server keeps its data: in memory."""
    environment: Mapping[str, str]
    """With `{}` for the password."""
    tuning: Mapping[str, str]
    """Settings of the server."""
    setting: Callable[[str, str], Sequence[str]]
    """The words that set one."""

    def named(self, version: str | None, local: Iterable[str]) -> str:
        """The image of a version: of those that are there, else the one to be pulled.

        `local` are the names of the images that the engine has.
        """
        wanted = version or self.version
        there = {tag: name for name in local if (tag := self._tag(name)) is not None}
        if wanted in there:
            return there[wanted]
        fitting = [tag for tag in there if version is None or _is(tag, version)]
        if fitting:
            return there[max(fitting, key=lambda tag: (_numbers(tag), -len(tag)))]
        return f"{self.repository}:{wanted}"

    def arguments(self, options: Mapping[str, str]) -> list[str]:
        """Arguments of the server, with options of the user's above ours."""
        settings = {**self.tuning, **options}
        return [word for item in settings.items() for word in self.setting(*item)]

    def filled(self, password: str) -> dict[str, str]:
        """The environment of a container."""
        return {
            name: value.format(password) for name, value in self.environment.items()
        }

    def _tag(self, name: str) -> str | None:
        """The tag of a local image, if it is one of this product's with a version."""
        repository, _, tag = _REGISTRY.sub("", name).partition(":")
        return tag if repository == self.repository and _TAG.fullmatch(tag) else None


def _numbers(tag: str) -> tuple[int, ...]:
    match = _TAG.fullmatch(tag)
    return tuple(int(part) for part in match["version"].split(".")) if match else ()


def _is(tag: str, version: str) -> bool:
    wanted = tuple(int(part) for part in version.split("."))
    return _numbers(tag)[: len(wanted)] == wanted


_MYSQL_PASSWORDS: Final = {"MYSQL_ROOT_PASSWORD": "{}", "MYSQL_ROOT_HOST": "%"}
_NO_TIME_ZONES: Final = "1"  # else they are loaded first, for about a second

IMAGES: Final[Mapping[str, Image]] = {
    "postgresql": Image(
        repository="postgres",
        version="18",
        port=5432,
        user=SUPERUSER,
        data="/asyncdb",
        environment={
            "PGDATA": "/asyncdb/data",
            "POSTGRES_USER": SUPERUSER,
            "POSTGRES_PASSWORD": "{}",
            "POSTGRES_DB": "postgres",
            "POSTGRES_INITDB_ARGS": "--encoding=UTF8 --locale=C --no-sync",
        },
        tuning=POSTGRESQL_TUNING,
        setting=lambda name, value: ("-c", f"{name}={value}"),
    ),
    "mariadb": Image(
        repository="mariadb",
        version="11.8",
        port=3306,
        user="root",
        data="/var/lib/mysql",
        environment={
            **_MYSQL_PASSWORDS,
            "MARIADB_ROOT_PASSWORD": "{}",
            "MARIADB_INITDB_SKIP_TZINFO": _NO_TIME_ZONES,
        },
        tuning=MYSQL_TUNING,
        setting=lambda name, value: (f"--{name}={value}",),
    ),
    "mysql": Image(
        repository="mysql",
        version="8.4",
        port=3306,
        user="root",
        data="/var/lib/mysql",
        environment={
            **_MYSQL_PASSWORDS,
            "MYSQL_INITDB_SKIP_TZINFO": _NO_TIME_ZONES,
        },
        tuning=MYSQL_TUNING,
        setting=lambda name, value: (f"--{name}={value}",),
    ),
}
