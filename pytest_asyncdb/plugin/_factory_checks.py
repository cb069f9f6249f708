"""The checks that `--asyncdb-factories` adds: one for each factory of the project."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_asyncdb.factories._installed import needing_factory_boy
from pytest_asyncdb.plugin._places import CONFTEST, check_file, sees_fixtures
from pytest_asyncdb.plugin._suite import usage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_asyncdb.plugin._databases import WorkerDatabase

__all__ = ["NAME", "files", "tests"]

_OURS = "pytest_asyncdb."


NAME: Final = "factory"


def files(session: pytest.Session) -> list[Path]:
    """Where the checks of all factories are that have been imported."""
    return [_file(session, factory) for factory in _factories()]


def tests(module: pytest.Module) -> Iterator[Callable[..., None]]:
    """A test of each factory that belongs to the module's file."""
    session, path = module.session, module.path
    if session.isinitpath(path) and path.name != CONFTEST:
        _ = pytest.Module.from_parent(module.parent, path=path).obj  # imports it
    factories = [each for each in _factories() if _file(session, each) == path]
    names = [each.__name__ for each in factories]

    @pytest.mark.parametrize("factory", factories, ids=names)
    def factory(
        request: pytest.FixtureRequest,
        _asyncdb_database: WorkerDatabase,
        factory: type[Any],
    ) -> None:
        __tracebackhide__ = True
        from pytest_asyncdb.errors import FactoryProblems
        from pytest_asyncdb.factories import lint
        from pytest_asyncdb.plugin._fixtures import isolation_of

        isolation_of(request, _asyncdb_database)
        problems: Any = lint([factory])
        if problems:
            raise FactoryProblems.of(factory.__name__, [str(each) for each in problems])

    if factories:
        vars(factory)["__test__"] = True
        yield factory


def _factories() -> list[type[Any]]:
    with usage_errors(), needing_factory_boy("--asyncdb-factories"):
        from pytest_asyncdb.factories._options import all_options

    made: list[Any] = [options.factory for options in all_options()]
    found = [
        each
        for each in made
        if not each.__module__.startswith(_OURS) and "<" not in each.__qualname__
    ]
    return sorted(found, key=lambda each: each.__qualname__)


def _file(session: pytest.Session, factory: type[Any]) -> Path:
    """Where a factory is written, if the project's fixtures are seen from there."""
    module = sys.modules.get(factory.__module__)
    file = Path(getattr(module, "__file__", None) or "/")
    return file if sees_fixtures(session, file) else check_file(session)
