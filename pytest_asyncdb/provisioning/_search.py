"""The servers that are installed on this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.errors import SourceUnavailable
from pytest_asyncdb.provisioning._installation import ENVIRONMENT
from pytest_asyncdb.provisioning._mariadb import MariaDB, MySQL
from pytest_asyncdb.provisioning._postgresql import PostgreSQL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_asyncdb.provisioning._installation import Installation

__all__ = ["available", "find"]

# Where distributions and Homebrew put servers that are not on everybody's PATH.
_POSTGRESQL: Final = (
    "/usr/lib/postgresql/*/bin/postgres",
    "/usr/pgsql-*/bin/postgres",
    "/opt/homebrew/opt/postgresql@*/bin/postgres",
    "/usr/local/opt/postgresql@*/bin/postgres",
)
_MYSQL: Final = (
    "/usr/sbin/{0}",
    "/usr/libexec/{0}",
    "/usr/local/mysql/bin/{0}",
    "/opt/homebrew/opt/*/bin/{0}",
    "/usr/local/opt/*/bin/{0}",
)
_VERSION: Final = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_MYSQL_VERSION: Final = ("--no-defaults", "--version")
_TIMEOUT: Final = 10.0


def find(product: str, version: str | None) -> Installation:
    """The newest server of a product and version.

    Raises `SourceUnavailable` naming where was looked, or what was found instead.
    """
    found = available(product)
    for installation in reversed(found):
        if installation.is_version(version):
            return installation
    if found:
        words = [f"{product}:{_short(each)}@local" for each in found]
        where = ", ".join(str(each.program) for each in found)
        raise SourceUnavailable.version(f"local {product}", str(version), where, words)
    raise SourceUnavailable.local(product, [str(path) for path in _places(product)])


def available(product: str) -> list[Installation]:
    """All servers of a product, the oldest first."""
    programs = dict.fromkeys(path.resolve() for path in _candidates(product))
    found = (_installation(product, path) for path in programs)
    return sorted(
        (each for each in found if each is not None), key=lambda each: each.version
    )


def _installation(product: str, program: Path) -> Installation | None:
    said = _said(program)
    numbers = _VERSION.search(said)
    if numbers is None:
        return None
    version = tuple(int(number) for number in numbers.groups() if number)
    if product == "postgresql":
        return (
            PostgreSQL(version, program.parent.parent) if "PostgreSQL" in said else None
        )
    kind = MariaDB if "MariaDB" in said else MySQL
    return kind(version, program.parent) if kind.product == product else None


@cache
def _said(program: Path) -> str:
    """What the program calls itself; nothing where it does not run on this machine."""
    words = ["--version"] if program.name == "postgres" else _MYSQL_VERSION
    return _output([str(program), *words])


def _output(command: list[str]) -> str:
    """What a command prints; nothing where it cannot be run, or fails."""
    try:
        done = subprocess.run(
            command,
            env=ENVIRONMENT,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _candidates(product: str) -> Iterator[Path]:
    for place in _places(product):
        yield from _there(Path(place.anchor).glob(str(place.relative_to(place.anchor))))


def _there(paths: Iterable[Path]) -> Iterator[Path]:
    return (path for path in paths if path.is_file())


def _places(product: str) -> list[Path]:
    """Where servers of a product may be, as patterns."""
    if product == "postgresql":
        named = [shutil.which("postgres"), _beside_pg_config()]
        return [Path(each) for each in (*named, *_POSTGRESQL) if each]
    names = ("mariadbd", "mysqld") if product == "mariadb" else ("mysqld",)
    named = [shutil.which(name) for name in names]
    patterns = [pattern.format(name) for name in names for pattern in _MYSQL]
    return [Path(each) for each in dict.fromkeys((*named, *patterns)) if each]


def _beside_pg_config() -> str | None:
    pg_config = shutil.which("pg_config")
    directory = _output([pg_config, "--bindir"]).strip() if pg_config else ""
    return f"{directory}/postgres" if directory else None


def _short(installation: Installation) -> str:
    """The version as users name it: 15, 10.11."""
    count = 1 if installation.product == "postgresql" else 2
    return ".".join(map(str, installation.version[:count]))
