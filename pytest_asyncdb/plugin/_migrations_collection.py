"""`--asyncdb-migrations`: the checks as items of the run, one for each revision."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final
from unittest import SkipTest

import pytest

from pytest_asyncdb.plugin._migrations import migrations_of
from pytest_asyncdb.plugin._suite import suite_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["generate_revisions", "keep_together", "names", "skip_here", "tests"]

_CHECKS: Final = "pytest_asyncdb.migrations.checks"
_GROUP: Final = "asyncdb-migrations"
_REVISION: Final = "asyncdb_revision"
_LOCKS: Final = "test_revision_does_not_lock_for_long"
"""Left out where locks are not to be observed."""


def names() -> Collection[str]:
    """The names of all checks."""
    found: list[str] = importlib.import_module(_CHECKS).__all__
    return found


def tests(config: pytest.Config) -> list[Callable[..., None]]:
    """The checks of a run, in the order in which they are written."""
    module = importlib.import_module(_CHECKS)
    left_out = _LOCKS if suite_of(config).settings.migration_locks == "off" else None
    return [
        value
        for name, value in vars(module).items()
        if name in module.__all__ and name != left_out
    ]


def keep_together(item: pytest.Item | pytest.Collector) -> None:
    """Let one worker of xdist have all checks, where it distributes by groups."""
    if _is_check(item) and item.config.pluginmanager.hasplugin("xdist"):
        item.add_marker(pytest.mark.xdist_group(_GROUP))


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
    if isinstance(error, SkipTest) and _is_check(item):
        skipped = pytest.skip.Exception(str(error), _use_item_location=True)
        call.excinfo = pytest.ExceptionInfo.from_exception(
            skipped.with_traceback(error.__traceback__)
        )


def _is_check(node: pytest.Item | pytest.Collector) -> bool:
    """Whether it is one of the checks, also of those that a project imports."""
    function = getattr(node, "function", None)
    return getattr(function, "__module__", None) == _CHECKS
