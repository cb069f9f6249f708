"""Migrations in a run: a runner for each database, its fixtures, and the summary."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_asyncdb.plugin._suite import suite_of
from pytest_asyncdb.plugin._terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pytest_asyncdb.migrations import Runner
    from pytest_asyncdb.plugin._databases import WorkerDatabase
    from pytest_asyncdb.provisioning import Database
    from pytest_asyncdb.settings import Target

__all__ = ["Migrations", "asyncdb_revision", "db_migrations", "migrations_of"]

_DEFAULT: Final = "alembic.ini"
_SHOWN: Final = 30
"""So many revisions are all in the summary; of more, those with findings."""


class _Empty:
    """Builds nothing: migrations start from an empty database."""

    key = None

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Leave the database empty."""


class Migrations:
    """The runners of one run of pytest, in one process."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._runners: dict[Target, Runner] = {}
        self._stack = contextlib.ExitStack()
        config.add_cleanup(self._stack.close)

    def given(self, said: object) -> object:
        """What names Alembic's configuration: the project, or a file that is there."""
        if said is None and (self._config.rootpath / _DEFAULT).is_file():
            return _DEFAULT
        return said

    def runner(self, said: object, worker: WorkerDatabase) -> Runner:
        """The runner on an empty database of this process's own.

        Raises `AlembicConfigRefused`, and what provisioning raises.
        """
        target = worker.target
        if target not in self._runners:
            self._runners[target] = self._made(said, worker)
        runner = self._runners[target]
        runner.reset()
        return runner

    def _made(self, said: object, worker: WorkerDatabase) -> Runner:
        from pytest_asyncdb.errors import AlembicConfigRefused
        from pytest_asyncdb.migrations import Runner
        from pytest_asyncdb.migrations._config import load
        from pytest_asyncdb.provisioning import unguarded

        given = self.given(said)
        if given is None:
            raise AlembicConfigRefused.unsaid()
        root, settings = self._config.rootpath, worker.settings
        config = load(given, root)
        database = self._database(worker)
        return Runner(
            config,
            database.url,
            root=root,
            reset=database.replace,
            around=unguarded,
            heads=settings.migration_heads,
            irreversible=settings.migration_irreversible,
            differences=settings.migration_differences,
            locks=settings.migration_locks,
            say=lambda text: say(self._config, f"asyncdb: {text}"),
        )

    def _database(self, worker: WorkerDatabase) -> Database:
        """On a server of its own: what migrations do to roles is nobody else's."""
        from pytest_asyncdb.provisioning import Run

        settings, target = worker.settings, worker.target.outside_of_memory()
        run = Run(
            target.with_driver(worker.run.driver),
            keep=settings.keep,
            server=settings.server(target.product),
            say=lambda text: say(self._config, text),
        )
        self._stack.callback(run.close)
        return run.database(_Empty())

    def lines(self) -> Iterator[str]:
        """The summary of every walk: a table of revisions."""
        from pytest_asyncdb.migrations._findings import table

        for target, runner in self._runners.items():
            if not runner.has_walked:
                continue
            results = runner.results()
            found = [each for each in results if each.findings or each.irreversible]
            shown = results if len(results) <= _SHOWN else found
            yield f"asyncdb: {len(results)} revisions on {target.product}"
            locks = runner.observed_locks
            yield from (f"  {line}" for line in table(shown, locks) if shown)


_MIGRATIONS: Final = pytest.StashKey[Migrations]()


def migrations_of(config: pytest.Config) -> Migrations:
    """Those of a run; the first call makes them."""
    if _MIGRATIONS not in config.stash:
        config.stash[_MIGRATIONS] = Migrations(config)
    return config.stash[_MIGRATIONS]


def summary(config: pytest.Config) -> list[str]:
    """The tables of this process's walks; none where nothing has walked."""
    made = config.stash.get(_MIGRATIONS, None)
    return [] if made is None else list(made.lines())


# -------------------------------------------------------------------------- fixtures
@pytest.fixture
def db_migrations(
    pytestconfig: pytest.Config,
    _asyncdb_target: WorkerDatabase,
    asyncdb_alembic_config: Any,  # noqa: ANN401  (a path, or a Config of Alembic's)
) -> Runner:
    """A `Runner` of the project's migrations, on an empty database of its own.

    The run's database is not made for it: migrations that build it may be broken.
    """
    __tracebackhide__ = True
    suite_of(pytestconfig).point_variables(_asyncdb_target.run)
    made = migrations_of(pytestconfig)
    return made.runner(asyncdb_alembic_config, _asyncdb_target)


@pytest.fixture
def asyncdb_revision(request: pytest.FixtureRequest) -> str | None:
    """The revision that this item is for; None for all of them."""
    revision: str | None = getattr(request, "param", None)
    return revision
