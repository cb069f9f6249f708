"""Faults in tests: the fixture, and servers that a test may restart."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from pytest_asyncdb.plugin._fixtures import isolation_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

    from sqlalchemy import URL, Connection

    from pytest_asyncdb.concurrency import Faults
    from pytest_asyncdb.plugin._databases import WorkerDatabase
    from pytest_asyncdb.provisioning import Run

__all__ = ["db_faults", "with_condition"]

_RESTARTABLE: Final = frozenset({"embedded", "local"})


@pytest.fixture
def db_faults(
    request: pytest.FixtureRequest,
    _asyncdb_database: WorkerDatabase,
    _asyncdb_real: None,
) -> Iterator[Faults]:
    """Errors of the database at chosen statements: `inject(...)`, `sweep(...)`.

    They need sessions that really commit: its test has them, without a mark. In a
    sandbox a fault would hit the transactions of others.
    """
    __tracebackhide__ = True
    isolation = isolation_of(request, _asyncdb_database)
    from sqlalchemy import Engine

    from pytest_asyncdb.concurrency import Faults
    from pytest_asyncdb.concurrency._offered import offering

    faults = Faults(
        Engine,
        rows_of=isolation.engine,
        wanted=_is_isolated,
        told=lambda table: _tell(request.node, table),
        private_server=lambda: _private_server(_asyncdb_database),
    )
    with offering(faults=faults, sessionmaker=isolation.sessionmaker):
        yield faults
    faults.close()


@dataclass(frozen=True, slots=True)
class _Server:
    """A server of one test's own."""

    url: URL
    _run: Run

    async def restart(self) -> None:
        """Stop it, which ends all sessions, and start it on the same data."""
        import asyncio

        await asyncio.to_thread(self._run.restart)


@contextlib.asynccontextmanager
async def _private_server(worker: WorkerDatabase) -> AsyncIterator[_Server]:
    """A second server like the run's, with the run's schema; engines on it are real."""
    import asyncio

    from pytest_asyncdb.errors import FaultRefused
    from pytest_asyncdb.provisioning import Run, unguarded

    target, source = worker.target, worker.run.source
    if source not in _RESTARTABLE:
        raise FaultRefused.restart(source)
    server = worker.settings.server(target.product)
    run = Run(target.with_driver(worker.run.driver), server=server)
    try:
        with unguarded():
            database = await asyncio.to_thread(worker.build, run)
        worker.isolation.let_through(database.url)
        yield _Server(database.url, run)
    finally:
        await asyncio.to_thread(run.close)


def _is_isolated(connection: Connection) -> bool:
    """Whether it is one of the running test's."""
    from pytest_asyncdb.isolation._ferry import FerriedConnection

    return isinstance(connection.connection.dbapi_connection, FerriedConnection)


def _tell(item: pytest.Item, table: str) -> None:
    """Show the table of a sweep, if the test fails, or with -rP."""
    item.add_report_section("call", "asyncdb: sweep", table)


def with_condition(
    call: pytest.CallInfo[Any], report: pytest.TestReport
) -> pytest.TestReport:
    """The report; of a test that a passing error failed, also what it means."""
    error = call.excinfo.value if call.excinfo is not None else None
    if report.failed and type(error).__module__ == "sqlalchemy.exc":
        from pytest_asyncdb.concurrency import explain

        text = explain(error) if error is not None else None
        if text is not None:
            report.sections.append(("asyncdb: what the database said", text))
    return report
