"""The fixtures that tests ask for: ordinary ones, for async and for sync tests.

None asks for another public one, which a project may have replaced by its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asyncdb.plugin._factories import offer
from pytest_asyncdb.plugin._lifecycle import (
    AUDIT,
    DATABASE,
    ISOLATION,
    TARGET,
    UNTOUCHED,
    begin_late,
)
from pytest_asyncdb.plugin._suite import OVERRIDES, suite_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
    from sqlalchemy.orm import Session

    from pytest_asyncdb.backends import Capability
    from pytest_asyncdb.isolation import Changes, Isolation
    from pytest_asyncdb.plugin._databases import WorkerDatabase

__all__ = [
    "RunDatabase",
    "_persist",
    "asyncdb",
    "db_changes",
    "db_engine",
    "db_run",
    "db_session",
    "db_sessionmaker",
    "db_sync_session",
    "isolation_of",
]

_ASYNC_ONLY = ("class_", "sync_session_class")


@dataclass(frozen=True, slots=True, repr=False)
class RunDatabase:
    """The database of this run. Only `version` starts it; all else is known before."""

    _worker: WorkerDatabase

    def __repr__(self) -> str:
        return f"<asyncdb: {self.product}, source {self.source}>"

    @property
    def product(self) -> str:
        """Name of the product, such as "postgresql"."""
        return self._worker.target.product

    @property
    def version(self) -> tuple[int, ...]:
        """Version of the server, such as (18, 1). Raises what provisioning raises."""
        return self._worker.ready().version

    @property
    def source(self) -> str:
        """Where the database comes from: "embedded", "url", "memory" or "file"."""
        return self._worker.run.source

    @property
    def url(self) -> URL:
        """The worker's own database, through an async driver; hides its password."""
        return self._worker.run.url

    @property
    def isolation(self) -> str:
        """How a test's writes vanish where no mark says otherwise."""
        return self._worker.settings.isolation

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the product can do."""
        from pytest_asyncdb.backends import get_backend

        return get_backend(self.product).capabilities


# ------------------------------------------------------------------------- private
@pytest.fixture(scope="session", name=DATABASE)
def _database(request: pytest.FixtureRequest) -> WorkerDatabase:
    """The database with all that the project says of it.

    What it asks for is not among its arguments: before every test pytest would look at
    each of them again.
    """
    __tracebackhide__ = True
    from pytest_asyncdb.plugin._plan import plan_of

    suite = suite_of(request.config)
    database: WorkerDatabase = request.getfixturevalue(TARGET)
    suite.see({name: request.getfixturevalue(name) for name in OVERRIDES})
    drivername = f"{database.target.product}+{database.run.driver}"
    database.plan(plan_of(suite.overrides, drivername))
    suite.databases.enter()
    return database


@pytest.fixture(name=ISOLATION)
def _isolation(
    request: pytest.FixtureRequest, _asyncdb_database: WorkerDatabase
) -> Isolation:
    """For tests that are isolated without a public fixture of ours."""
    __tracebackhide__ = True
    return isolation_of(request, _asyncdb_database)


def isolation_of(request: pytest.FixtureRequest, database: WorkerDatabase) -> Isolation:
    """The test's own isolation, open since before its first fixture."""
    __tracebackhide__ = True
    begin_late(request.node, database)
    _check_backend(request)
    _check_overrides(request)
    offer(request, database.isolation)
    return database.isolation


def _check_backend(request: pytest.FixtureRequest) -> None:
    if "anyio_backend" in request.fixturenames:
        from pytest_asyncdb.errors import LoopRefused
        from pytest_asyncdb.plugin._async import backend_is_trio

        backend = request.getfixturevalue("anyio_backend")
        if backend_is_trio(backend):
            raise LoopRefused.trio(request.node.nodeid)


def _check_overrides(request: pytest.FixtureRequest) -> None:
    """Refuse a test that sees another decision than the database was built by.

    Looked at once for each module.
    """
    suite = suite_of(request.config)
    if request.path in suite.seen_from:
        return
    for name, value in suite.overrides.items():
        if request.getfixturevalue(name) is not value:
            from pytest_asyncdb.errors import SettingRefused

            raise SettingRefused.second(name, request.node.nodeid)
    suite.seen_from.add(request.path)


@pytest.fixture(name=AUDIT)
def _audit() -> None:
    """Tells the two runs of an audited test apart, by its parameter."""


@pytest.fixture(scope="session", name=UNTOUCHED)
def _untouched(_asyncdb_database: WorkerDatabase) -> None:
    """What every test starts with, read before the first fixture of a test."""
    __tracebackhide__ = True
    _asyncdb_database.isolation.remember()


# -------------------------------------------------------------------------- public
@pytest.fixture(scope="session")
def asyncdb(_asyncdb_database: WorkerDatabase) -> RunDatabase:
    """The database of this run: product, version, source, url, capabilities."""
    return RunDatabase(_asyncdb_database)


@pytest.fixture
def db_engine(
    request: pytest.FixtureRequest, _asyncdb_database: WorkerDatabase
) -> AsyncEngine:
    """An `AsyncEngine` in the test's isolation."""
    __tracebackhide__ = True
    return isolation_of(request, _asyncdb_database).engine


@pytest.fixture
def db_sessionmaker(
    request: pytest.FixtureRequest, _asyncdb_database: WorkerDatabase
) -> async_sessionmaker[AsyncSession]:
    """Makes as many sessions in the test's isolation as the test wants."""
    __tracebackhide__ = True
    return isolation_of(request, _asyncdb_database).sessionmaker


@pytest.fixture
def db_session(
    request: pytest.FixtureRequest, _asyncdb_database: WorkerDatabase
) -> Iterator[AsyncSession]:
    """An `AsyncSession` in the test's isolation; objects do not expire at commit."""
    __tracebackhide__ = True
    isolation = isolation_of(request, _asyncdb_database)
    session = isolation.lend(isolation.sessionmaker())
    yield session
    isolation.close_session(session)


@pytest.fixture
def db_sync_session(
    request: pytest.FixtureRequest, _asyncdb_database: WorkerDatabase
) -> Iterator[Session]:
    """A `Session` for sync code, in the same transaction and on the same driver."""
    __tracebackhide__ = True
    isolation = isolation_of(request, _asyncdb_database)
    session = isolation.lend(
        _sync_session(isolation, _asyncdb_database.session_options)
    )
    yield session
    isolation.close_session(session)


def _sync_session(isolation: Isolation, options: Mapping[str, Any]) -> Session:
    from sqlalchemy.orm import Session

    kind = options.get("sync_session_class", Session)
    others = {name: options[name] for name in options if name not in _ASYNC_ONLY}
    session: Session = kind(
        isolation.sync_engine, **{"expire_on_commit": False, **others}
    )
    return session


@pytest.fixture
def db_run(
    request: pytest.FixtureRequest, _asyncdb_database: WorkerDatabase
) -> Callable[..., Any]:
    """`db_run(async_fn, *args)`: a coroutine function's result, for sync tests."""
    __tracebackhide__ = True
    return isolation_of(request, _asyncdb_database).run


@pytest.fixture
def db_changes(
    request: pytest.FixtureRequest,
    _asyncdb_database: WorkerDatabase,
    _asyncdb_untouched: None,
) -> Callable[[], Awaitable[Changes]]:
    """What the test has changed so far, as rows; to be called and awaited."""
    __tracebackhide__ = True
    return isolation_of(request, _asyncdb_database).changes


@pytest.fixture(name="db_persist")  # the function of that name is the library's
def _persist(
    request: pytest.FixtureRequest, _asyncdb_database: WorkerDatabase
) -> Callable[..., Any]:
    """Writes what a strategy drew, an object or a list, by the test's session."""
    __tracebackhide__ = True
    isolation_of(request, _asyncdb_database)
    from pytest_asyncdb.strategies import db_persist as persist

    return persist
