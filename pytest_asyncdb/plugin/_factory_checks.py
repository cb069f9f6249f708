"""The checks that `--asyncdb-factories` adds: one for each factory of the project."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asyncdb.plugin._places import place_near

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_asyncdb.plugin._databases import WorkerDatabase

__all__ = ["checks"]

_OURS = "pytest_asyncdb."


def checks(session: pytest.Session) -> list[pytest.Item]:
    """A check for each factory that has been imported, beside the tests next to it."""
    return [
        pytest.Function.from_parent(
            place_near(session, _file(session, factory)),
            name=f"factory[{factory.__name__}]",
            callobj=_check(factory),
        )
        for factory in sorted(_factories(), key=lambda each: each.__qualname__)
    ]


def _factories() -> Iterator[type[Any]]:
    from pytest_asyncdb.factories._options import all_options

    for options in all_options():
        factory: Any = options.factory
        if not factory.__module__.startswith(_OURS) and "<" not in factory.__qualname__:
            yield factory


def _file(session: pytest.Session, factory: type[Any]) -> Path:
    """Where the factory is written."""
    module = sys.modules.get(factory.__module__)
    return Path(getattr(module, "__file__", None) or session.path / factory.__name__)


def _check(factory: type[Any]) -> Any:  # noqa: ANN401
    def check(
        request: pytest.FixtureRequest, _asyncdb_database: WorkerDatabase
    ) -> None:
        __tracebackhide__ = True
        from pytest_asyncdb.errors import FactoryProblems
        from pytest_asyncdb.factories import lint
        from pytest_asyncdb.plugin._fixtures import isolation_of

        isolation_of(request, _asyncdb_database)
        problems: Any = lint([factory])
        if problems:
            raise FactoryProblems.of(factory.__name__, [str(each) for each in problems])

    return check
