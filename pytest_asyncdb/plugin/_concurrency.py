"""The fixture `db_concurrency`: transactions side by side that commit for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_asyncdb.plugin._fixtures import isolation_of
from pytest_asyncdb.plugin._lifecycle import REAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_asyncdb.plugin._databases import WorkerDatabase
    from pytest_asyncdb.plugin._interleavings import Concurrency

__all__ = ["_real", "concurrency_of", "db_concurrency"]


@pytest.fixture(name=REAL)
def _real(request: pytest.FixtureRequest, _asyncdb_database: WorkerDatabase) -> None:
    """What asks for it needs real commits; known before the test begins."""
    __tracebackhide__ = True
    if not isolation_of(request, _asyncdb_database).commits:
        from pytest_asyncdb.errors import MarkRefused

        raise MarkRefused.late(request.node.nodeid)


@pytest.fixture
def db_concurrency(
    request: pytest.FixtureRequest,
    _asyncdb_database: WorkerDatabase,
    _asyncdb_real: None,
) -> Iterator[Concurrency]:
    """Interleavings of async functions: `explore()`, `replay()`, `lanes()` and others.

    They need sessions that really commit: its test has them, without a mark.
    """
    __tracebackhide__ = True
    from pytest_asyncdb.concurrency._offered import offering

    given = concurrency_of(request, _asyncdb_database)
    sessions = isolation_of(request, _asyncdb_database).sessionmaker
    with offering(explorer=given, sessionmaker=sessions):
        yield given
    given.close()


def concurrency_of(
    request: pytest.FixtureRequest, database: WorkerDatabase
) -> Concurrency:
    """What the test can run side by side."""
    __tracebackhide__ = True
    from pytest_asyncdb.plugin._diagrams import Diagrams
    from pytest_asyncdb.plugin._interleavings import Concurrency

    isolation = isolation_of(request, database)
    return Concurrency(isolation, Diagrams(request.node))
