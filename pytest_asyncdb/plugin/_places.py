"""Where checks that the plugin adds belong: in the folder whose fixtures they see."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_asyncdb.plugin._suite import usage_errors

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["CONFTEST", "check_file", "folder_of", "note_folder", "sees_fixtures"]

_DECIDING: Final = ("asyncdb_metadata", "asyncdb_alembic_config", "asyncdb_schema")
"""Fixtures that checks are about."""
CONFTEST: Final = "conftest.py"
_ALEMBIC: Final = "alembic.ini"
_FOLDERS: Final = pytest.StashKey[dict[Path, pytest.Directory]]()


def note_folder(collector: pytest.Collector) -> None:
    """Remember a folder that is collected: pytest gives its fixtures to this node."""
    if isinstance(collector, pytest.Directory):
        _known(collector.session).setdefault(collector.path, collector)


def _known(session: pytest.Session) -> dict[Path, pytest.Directory]:
    """The folders that are known so far."""
    return session.stash.setdefault(_FOLDERS, {})


def check_file(session: pytest.Session) -> Path:
    """The file that checks are said to be in: the conftest.py that they see.

    Without one the ini file, or alembic.ini. Raises `pytest.UsageError` where several
    folders say what the project's schema is.
    """
    config = session.config
    with usage_errors():
        folder = _folder(config)
    root = config.rootpath
    files = [folder / CONFTEST, config.inipath or root, root / _ALEMBIC]
    there = [each for each in files if each.is_file() and each.is_relative_to(root)]
    return (there or files)[0]


def folder_of(session: pytest.Session, file: Path) -> pytest.Collector:
    """The folder of a file, with all fixtures that are seen from there."""
    return _node(session, file.parent)


def sees_fixtures(session: pytest.Session, file: Path) -> bool:
    """Whether the fixtures that say what the schema is are seen from there."""
    inner = _innermost(_deciding(session.config)) or [_folder(session.config)]
    return any(file.is_relative_to(folder) for folder in inner)


def _node(session: pytest.Session, folder: Path) -> pytest.Collector:
    """The folder's node; one that pytest has not collected is collected now."""
    known = _known(session)
    if folder not in known:
        is_root = folder == session.config.rootpath
        parent = session if is_root else _node(session, folder.parent)
        hook = session.gethookproxy(folder)
        made = hook.pytest_collect_directory(path=folder, parent=parent)
        known[folder] = made
        hook.pytest_make_collect_report(collector=made)
    return known[folder]


def _folder(config: pytest.Config) -> Path:
    """The innermost folder that decides something; else the outermost conftest.py's."""
    deciding = _deciding(config)
    if not deciding:
        outer = _outermost(_conftests(config))
        return outer[0] if len(outer) == 1 else config.rootpath
    inner, *apart = _innermost(deciding)
    if apart:
        _refuse(config.rootpath, deciding)
    return inner


def _deciding(config: pytest.Config) -> dict[Path, str]:
    """The folders whose fixtures say what the schema is, and one of these fixtures.

    A fixture that overrides another one is for the tests below it.
    """
    conftests = _conftests(config).items()
    return {
        folder: name
        for name in reversed(_DECIDING)
        for folder in _outermost([each for each, names in conftests if name in names])
    }


def _refuse(root: Path, deciding: Mapping[Path, str]) -> None:
    from pytest_asyncdb.errors import SettingRefused

    places = {
        folder.relative_to(root).as_posix(): name for folder, name in deciding.items()
    }
    raise SettingRefused.apart(places)


def _conftests(config: pytest.Config) -> dict[Path, Mapping[str, object]]:
    """The project's conftest.py files, by their folder, and the names in them."""
    plugins = config.pluginmanager.get_plugins()
    files = ((Path(getattr(each, "__file__", None) or "/"), each) for each in plugins)
    return {
        path.parent: vars(plugin)
        for path, plugin in sorted(files, key=lambda each: each[0])
        if path.name == CONFTEST and path.is_relative_to(config.rootpath)
    }


def _outermost(folders: Collection[Path]) -> list[Path]:
    """Those that are in no other one."""
    return [
        each for each in folders if not any(other in each.parents for other in folders)
    ]


def _innermost(folders: Collection[Path]) -> list[Path]:
    """Those that no other one is in."""
    return [
        each for each in folders if not any(each in other.parents for other in folders)
    ]
