"""The application's own configuration of Alembic, and what its files are."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import AlembicConfigRefused, HistoryRefused, MigrationError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

__all__ = ["directory", "fingerprint", "load"]

_TOML: Final = "pyproject.toml"
_SECTION: Final = "alembic"
_LOCATION: Final = "script_location"


def load(given: object, root: Path) -> Config:
    """A configuration from what a project gives: a path, or a Config of its own.

    A path may have a section after a colon, `alembic.ini:tenants`; it is relative to
    `root`, as are the paths in the file where they do not exist from here. Raises
    `AlembicConfigRefused`, or `MigrationError` where Alembic is missing.
    """
    if importlib.util.find_spec("alembic") is None:
        raise MigrationError.no_alembic()
    from alembic.config import Config

    if isinstance(given, Config):
        _check_location(given, given.config_file_name or "the Config")
        return given
    if not isinstance(given, str | Path):
        raise AlembicConfigRefused.kind(given)
    config = _from_file(*_path_of(given, root))
    _check_location(config, given)
    return config


def _path_of(given: str | Path, root: Path) -> tuple[Path, str]:
    """The file, and the section in it."""
    path = root / given
    if path.is_file():
        return path, _SECTION
    name, colon, section = str(given).rpartition(":")
    if colon and (root / name).is_file():
        return root / name, section
    wanted = root / (name if colon and "/" not in section else str(given))
    folder = wanted.parent
    there = [each.name for each in folder.glob("*.ini")] if folder.is_dir() else []
    near = difflib.get_close_matches(wanted.name, there, cutoff=0.3)
    raise AlembicConfigRefused.no_file(given, near)


def _from_file(path: Path, section: str) -> Config:
    from configparser import Error

    from alembic.config import Config

    if path.name == _TOML:
        config = Config(toml_file=path)
        if not config.toml_alembic_config:
            raise AlembicConfigRefused.no_section(path, "tool.alembic", ())
        return config
    beside = path.with_name(_TOML)
    toml: dict[str, Any] = {"toml_file": beside} if beside.is_file() else {}
    config = Config(path, ini_section=section, **toml)
    try:
        sections = config.file_config.sections()
    except (Error, UnicodeDecodeError) as error:
        raise AlembicConfigRefused.said(path, str(error)) from error
    if section not in sections:
        raise AlembicConfigRefused.no_section(path, section, sections)
    _resolve(config, path.parent)
    return config


def _resolve(config: Config, folder: Path) -> None:
    """Let relative paths be those from the file, as if one were in its folder."""
    if folder == Path.cwd():
        return
    for option in (_LOCATION, "prepend_sys_path"):
        said = config.get_main_option(option)
        if said and ":" not in said and not Path(said).is_absolute():
            if option == _LOCATION and Path(said).exists():
                continue
            place = str((folder / said).resolve())
            config.set_main_option(option, place.replace("%", "%%"))


def _check_location(config: Config, path: object) -> None:
    find = getattr(config, "get_alembic_option", config.get_main_option)
    if find(_LOCATION) is None:
        raise AlembicConfigRefused.no_location(path)


def directory(config: Config) -> ScriptDirectory:
    """The revision files, not yet read.

    Raises `HistoryRefused` where there is no such folder.
    """
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    try:
        return ScriptDirectory.from_config(config)
    except CommandError as error:
        raise HistoryRefused.unreadable(str(error)) from error


def fingerprint(config: Config) -> str:
    """Of all the files that migrations are made of: a text that changes with them."""
    script = directory(config)
    digest = hashlib.sha256()
    folders = {Path(script.dir), *script._version_locations}
    files = {file for folder in folders for file in folder.rglob("*.py")}
    for file in sorted(files):
        digest.update(f"{file.name}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
