"""Statements in tests: the recorder of the running one, and loads in a loop."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_asyncdb.plugin._fixtures import isolation_of
from pytest_asyncdb.plugin._suite import suite_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from pytest_asyncdb.isolation import Isolation
    from pytest_asyncdb.plugin._databases import WorkerDatabase
    from pytest_asyncdb.statements import Loop, Recorder

__all__ = ["calling", "db_statements", "with_answer"]

_RECORDER: Final = pytest.StashKey["Recorder"]()


@pytest.fixture
def db_statements(
    request: pytest.FixtureRequest, _asyncdb_database: WorkerDatabase
) -> Iterator[Recorder]:
    """What engines in the test's isolation send, from here on: a `Recorder`."""
    __tracebackhide__ = True
    recorder = _new(isolation_of(request, _asyncdb_database))
    request.node.stash[_RECORDER] = recorder
    yield recorder
    recorder.close()


def _new(isolation: Isolation) -> Recorder:
    from sqlalchemy import Engine

    from pytest_asyncdb.statements import Recorder

    return Recorder(Engine, wanted=_is_isolated, explains_on=isolation.engine)


def _is_isolated(connection: Connection) -> bool:
    """Whether its transactions are those of the running test, however isolated."""
    from pytest_asyncdb.isolation._connection import SandboxConnection
    from pytest_asyncdb.isolation._ferry import FerriedConnection

    kinds = (SandboxConnection, FerriedConnection)
    return isinstance(connection.connection.dbapi_connection, kinds)


# ------------------------------------------------------------------ loads in a loop
@contextlib.contextmanager
def calling(item: pytest.Item) -> Iterator[None]:
    """Around the call of a test, without its fixtures: look for loads in a loop.

    Raises `NPlusOneFound` where the run is to fail for them.
    """
    __tracebackhide__ = True
    suite = suite_of(item.config)
    database = suite.started.current if suite.started is not None else None
    if database is None or suite.settings.n_plus_one == "ignore":
        yield
        return
    with _recording(item, database.isolation) as recorder:
        start = len(recorder.log)
        yield
        loops = recorder.n_plus_one(start=start)
    if loops:
        _tell(item, loops, fails=suite.settings.n_plus_one == "fail")


@contextlib.contextmanager
def _recording(item: pytest.Item, isolation: Isolation) -> Iterator[Recorder]:
    """The recorder of the test's own fixture, or one for this block."""
    recorder = item.stash.get(_RECORDER, None)
    if recorder is not None:
        yield recorder
        return
    with _new(isolation) as recorder:
        yield recorder


def _tell(item: pytest.Item, loops: Sequence[Loop], *, fails: bool) -> None:
    __tracebackhide__ = True
    from pytest_asyncdb.errors import NPlusOneFound, NPlusOneWarning

    found = NPlusOneFound.of(item.nodeid, [str(each) for each in loops])
    if fails:
        raise found
    item.warn(NPlusOneWarning(str(found)))


# -------------------------------------------------------------------------- errors
def with_answer(
    call: pytest.CallInfo[Any], report: pytest.TestReport
) -> pytest.TestReport:
    """The report; of a test that SQLAlchemy's error failed, also what it means."""
    error = call.excinfo.value if call.excinfo is not None else None
    if report.failed and type(error).__module__.startswith("sqlalchemy."):
        from pytest_asyncdb.statements import answer

        text = answer(error) if error is not None else None
        if text is not None:
            report.sections.append(("asyncdb: what happened", text))
    return report
