"""Empty databases of every product, projects with migrations, and their runners."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest

from pytest_asyncdb.errors import DriverMissing, SourceUnavailable
from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.settings import parse_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pytest_asyncdb.provisioning import Database

TARGETS: Final = ("sqlite@file", "postgresql:18@embedded", "mariadb@local")


class _Empty:
    """Builds nothing."""

    key = None

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Leave the database empty."""


class Databases:
    """One database of each target, which the first test that asks for it starts."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.get: Callable[[str], Database] = cache(self._get)

    def _get(self, word: str) -> Database:
        run = Run(parse_target(word))
        self._stack.callback(run.close)
        return run.database(_Empty())

    def empty(self, word: str) -> Database:
        """The database with nothing in it; skips where it cannot be had."""
        try:
            made = self.get(word)
        except (SourceUnavailable, DriverMissing) as error:
            pytest.skip(f"{word}: {error.cause}")
        made.replace()
        return made

    def close(self) -> None:
        """Stop all servers."""
        self._stack.close()


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Databases of every product."""
    made = Databases()
    yield made
    made.close()


@pytest.fixture(params=TARGETS)
def database(request: pytest.FixtureRequest, databases: Databases) -> Database:
    """An empty database of each product."""
    return databases.empty(request.param)


@pytest.fixture
def postgresql(databases: Databases) -> Database:
    """An empty database on PostgreSQL."""
    return databases.empty("postgresql:18@embedded")
