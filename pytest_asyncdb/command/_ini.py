"""The databases that a project names in its ini file, as pytest would find them."""

from __future__ import annotations

import configparser
import shlex
import tomllib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["configured"]

# In pytest's order ("Initialization: determining rootdir and configfile"), each with
# the tables that make it the project's file.
_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "pytest.toml": ("pytest",),
    ".pytest.toml": ("pytest",),
    "pytest.ini": ("pytest",),
    ".pytest.ini": ("pytest",),
    "pyproject.toml": ("tool.pytest", "tool.pytest.ini_options"),
    "tox.ini": ("pytest",),
    "setup.cfg": ("tool:pytest",),
}


_TRUE: Final = frozenset({"1", "yes", "true", "on"})  # as configparser's getboolean


def configured(directory: Path) -> dict[str, Any]:
    """What of `Settings` the file that rules in `directory` says of databases.

    Only what needs nothing of the project imported.
    """
    values = _ruling(directory)
    found: dict[str, Any] = {"targets": _words(values.get("asyncdb", ()))}
    for name in ("container_image", "server_options", "server_sql"):
        found[name] = _lines(values.get(f"asyncdb_{name}", ()))
    found["server_tcp"] = str(values.get("asyncdb_server_tcp", "")).lower() in _TRUE
    return found


def _ruling(directory: Path) -> Mapping[str, Any]:
    for folder in (directory, *directory.parents):
        for name, tables in _FILES.items():
            path = folder / name
            for table in tables if path.is_file() else ():
                values = _table(path, table)
                if values is not None and not values.keys() <= {"ini_options"}:
                    return values
    return {}


def _table(path: Path, name: str) -> Mapping[str, Any] | None:
    if path.suffix == ".toml":
        found: Any = tomllib.loads(path.read_text(encoding="utf-8"))
        for part in name.split("."):
            found = found.get(part) if found is not None else None
        return found  # type: ignore[no-any-return]
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path, encoding="utf-8")
    return parser[name] if parser.has_section(name) else None


def _words(value: str | list[str] | tuple[()]) -> list[str]:
    return shlex.split(value) if isinstance(value, str) else list(value)


def _lines(value: str | list[str] | tuple[()]) -> list[str]:
    lines = value.splitlines() if isinstance(value, str) else list(value)
    return [line.strip() for line in lines if line.strip()]
