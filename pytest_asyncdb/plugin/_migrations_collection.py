"""`--asyncdb-migrations`: the checks as items of the run, one for each revision."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import SkipTest

import pytest

from pytest_asyncdb.plugin._migrations import migrations_of
from pytest_asyncdb.plugin._places import place
from pytest_asyncdb.plugin._suite import suite_of

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["checks", "generate_revisions", "skip_here"]

_CHECKS: Final = "pytest_asyncdb.migrations.checks"
_NODE: Final = "asyncdb-migrations"
_REVISION: Final = "asyncdb_revision"
_LOCKS: Final = "test_revision_does_not_lock_for_long"
"""Left out where locks are not to be observed."""


class MigrationChecks(pytest.Module):
    """The module of the checks, as if it lay beside the project's conftest.py."""

    def _getobj(self) -> ModuleType:
        return importlib.import_module(_CHECKS)


def checks(session: pytest.Session) -> list[pytest.Item]:
    """The checks; none, if the run is not to have them."""
    config = session.config
    if not _is_asked_for(config):
        return []
    spec = importlib.util.find_spec(_CHECKS)
    assert spec is not None, "the package is whole"  # noqa: S101
    parent = place(session)
    prefix = "" if parent.path == config.rootpath else f"{parent.nodeid}/"
    module: Any = MigrationChecks.from_parent(
        parent, path=Path(str(spec.origin)), nodeid=f"{prefix}{_NODE}"
    )
    found = list(session.genitems(module))
    if suite_of(config).settings.migration_locks == "off":
        found = [each for each in found if _LOCKS not in each.name]
    if config.pluginmanager.hasplugin("xdist"):
        for each in found:
            each.add_marker(pytest.mark.xdist_group(_NODE))
    return found


def _is_asked_for(config: pytest.Config) -> bool:
    """Whether an option or the ini file asks for the checks; reads nothing else."""
    said = config.option.asyncdb_migrations
    return bool(config.getini("asyncdb_migrations") if said is None else said)


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


def skip_here(item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
    """Let a skip of a check, which knows no pytest, be told at the check itself."""
    error = call.excinfo.value if call.excinfo is not None else None
    module = getattr(getattr(item, "function", None), "__module__", None)
    if isinstance(error, SkipTest) and module == _CHECKS:
        skipped = pytest.skip.Exception(str(error), _use_item_location=True)
        call.excinfo = pytest.ExceptionInfo.from_exception(
            skipped.with_traceback(error.__traceback__)
        )
