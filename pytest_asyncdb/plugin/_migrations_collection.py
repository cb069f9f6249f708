"""`--asyncdb-migrations`: the checks as items of the run, one for each revision."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_asyncdb.plugin._migrations import migrations_of
from pytest_asyncdb.plugin._suite import OVERRIDES, suite_of

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["add_checks", "generate_revisions"]

_CHECKS: Final = "pytest_asyncdb.migrations.checks"
_NODE: Final = "asyncdb-migrations"
_REVISION: Final = "asyncdb_revision"
_LOCKS: Final = "test_revision_does_not_lock_for_long"
"""Left out where locks are not to be observed."""


class MigrationChecks(pytest.Module):
    """The module of the checks, as if it lay beside the project's conftest.py."""

    def _getobj(self) -> ModuleType:
        return importlib.import_module(_CHECKS)


def add_checks(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add the checks to what was collected, if the run is to have them."""
    config = session.config
    if not _is_asked_for(config):
        return
    spec = importlib.util.find_spec(_CHECKS)
    assert spec is not None, "the package is whole"  # noqa: S101
    folder = _folder(config)
    parent = _node(session, folder)
    relative = folder.relative_to(config.rootpath).as_posix()
    prefix = "" if relative == "." else f"{relative}/"
    module: Any = MigrationChecks.from_parent(
        parent, path=Path(str(spec.origin)), nodeid=f"{prefix}{_NODE}"
    )
    found = list(session.genitems(module))
    if suite_of(config).settings.migration_locks == "off":
        found = [each for each in found if _LOCKS not in each.name]
    if config.pluginmanager.hasplugin("xdist"):
        for each in found:
            each.add_marker(pytest.mark.xdist_group(_NODE))
    items += found


def _is_asked_for(config: pytest.Config) -> bool:
    """Whether an option or the ini file asks for the checks; reads nothing else."""
    said = config.option.asyncdb_migrations
    return bool(config.getini("asyncdb_migrations") if said is None else said)


def _folder(config: pytest.Config) -> Path:
    """Where the project's fixtures are seen: the folder of the conftest with them."""
    for plugin in config.pluginmanager.get_plugins():
        path = Path(getattr(plugin, "__file__", None) or "/")
        ours = any(each in getattr(plugin, "__dict__", ()) for each in OVERRIDES)
        inside = path.is_relative_to(config.rootpath)
        if path.name == "conftest.py" and ours and inside:
            return path.parent
    return config.rootpath


def _node(session: pytest.Session, folder: Path) -> Any:  # noqa: ANN401  (a collector)
    """The collector of that folder, below those of the folders around it."""
    root = session.config.rootpath
    parent: Any = session
    for path in [*reversed(folder.parents), folder]:
        if path == root or path.is_relative_to(root):
            parent = pytest.Dir.from_parent(parent, path=path)
    return parent


def generate_revisions(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a revision once for each.

    A configuration that only a fixture knows cannot be read before the run: one item
    is for all of them then, as it is where the files cannot be read.
    """
    if _REVISION not in metafunc.fixturenames:
        return
    from pytest_asyncdb.errors import AsyncDBError
    from pytest_asyncdb.migrations._config import load
    from pytest_asyncdb.migrations._history import read_history

    config = metafunc.config
    given = migrations_of(config).given(suite_of(config).settings.alembic_config)
    try:
        history = read_history(load(given, config.rootpath))
    except AsyncDBError:
        return
    metafunc.parametrize(
        _REVISION,
        [each.id for each in history.revisions],
        indirect=True,
        ids=[each.slug for each in history.revisions],
    )
