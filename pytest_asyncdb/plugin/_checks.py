"""Checks that options add to a run, as if they stood in a file of the project's.

So pytest knows them by their ids: those that failed run again with `--lf`, and an id
from the summary may be given on the command line.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Final

import pytest

from pytest_asyncdb.plugin import _factory_checks, _lint, _migrations_collection
from pytest_asyncdb.plugin._places import CONFTEST, check_file, folder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

__all__ = ["add", "collect_file"]

_MIGRATIONS: Final = "asyncdb_migrations"
_LINT: Final = "asyncdb_lint_schema"
_FACTORIES: Final = "asyncdb_factories"


class Checks(pytest.Module):
    """The checks of one file: of all checks' one, or of a module with factories."""

    def _getobj(self) -> ModuleType:
        module = ModuleType(__name__)
        vars(module).update({each.__name__: each for each in self._tests()})
        return module

    def _tests(self) -> Iterator[Callable[..., None]]:
        """Those that options ask for, or ids that were given."""
        if self.path == check_file(self.session):
            if self._has(_MIGRATIONS, _migrations_collection.names()):
                yield from _migrations_collection.tests(self.config)
            if self._has(_LINT, [_lint.NAME]):
                yield from _lint.tests(self.config)
        if self._has(_FACTORIES, [_factory_checks.NAME]):
            yield from _factory_checks.tests(self)

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """Items of pytest's own, which one worker may have all of."""
        for each in super().collect():
            _migrations_collection.keep_together(each)
            yield each

    def _has(self, option: str, names: Collection[str]) -> bool:
        return _is_on(self.config, option) or (
            self.session.isinitpath(self.path)
            and not _named(self.config).isdisjoint(names)
        )


def collect_file(file: Path, parent: pytest.Collector) -> Checks | None:
    """The checks of a file that was given on the command line, if it may have any."""
    session = parent.session
    if not session.isinitpath(file):
        return None
    is_test = file.suffix == ".py" and file.name != CONFTEST
    if not (_has_factories(session.config) if is_test else file == check_file(session)):
        return None
    return Checks.from_parent(parent, path=file)


def add(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add the checks that options ask for, unless some were chosen by their ids."""
    there = [item for item in items if item.getparent(Checks) is not None]
    if _named(session.config) & {item.name.partition("[")[0] for item in there}:
        return
    known = {item.nodeid for item in there}
    for file in _files(session):
        node = Checks.from_parent(folder_of(session, file), path=file)
        items += [each for each in session.genitems(node) if each.nodeid not in known]


def _files(session: pytest.Session) -> list[Path]:
    """Those that have checks, each once."""
    files = []
    if _is_on(session.config, _LINT):
        _lint.check_settings(session.config)
        files.append(check_file(session))
    if _is_on(session.config, _MIGRATIONS):
        files.append(check_file(session))
    if _is_on(session.config, _FACTORIES):
        files += _factory_checks.files(session)
    return [*dict.fromkeys(files)]


def _has_factories(config: pytest.Config) -> bool:
    return _is_on(config, _FACTORIES) or _factory_checks.NAME in _named(config)


def _is_on(config: pytest.Config, name: str) -> bool:
    """Whether the option or its ini twin is set; reads nothing else."""
    said = config.getoption(name)
    return bool(config.getini(name) if said is None else said)


def _named(config: pytest.Config) -> set[str]:
    """The tests that the command line names, without their parameters."""
    return {str(arg).partition("[")[0].rpartition("::")[2] for arg in config.args}
