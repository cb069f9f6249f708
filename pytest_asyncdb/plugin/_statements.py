"""Statements in tests: the recorder of the running one, and loads in a loop."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import pytest

from pytest_asyncdb.plugin._fixtures import isolation_of
from pytest_asyncdb.plugin._suite import suite_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from pytest_asyncdb.isolation import Isolation
    from pytest_asyncdb.plugin._databases import WorkerDatabase
    from pytest_asyncdb.statements import Loop, Recorder
    from pytest_asyncdb.statements._listeners import Listeners

__all__ = [
    "calling",
    "db_statements",
    "end",
    "example",
    "new_recorder",
    "recorder_of",
    "unrecorded",
]

_RECORDER: Final = pytest.StashKey["Recorder"]()
_LOOKER: Final = pytest.StashKey["Recorder"]()
_START: Final = pytest.StashKey[int]()
_WARNED: Final = pytest.StashKey[set[str]]()


@pytest.fixture
def db_statements(
    request: pytest.FixtureRequest, _asyncdb_database: WorkerDatabase
) -> Iterator[Recorder]:
    """What engines in the test's isolation send, from here on: a `Recorder`."""
    __tracebackhide__ = True
    recorder = new_recorder(isolation_of(request, _asyncdb_database))
    request.node.stash[_RECORDER] = recorder
    yield recorder
    recorder.close()


def new_recorder(isolation: Isolation) -> Recorder:
    """Of what is sent in transactions of the running test, however it is isolated."""
    from sqlalchemy import Engine

    from pytest_asyncdb.isolation._connection import SandboxConnection
    from pytest_asyncdb.isolation._ferry import FerriedConnection
    from pytest_asyncdb.provisioning import is_unguarded
    from pytest_asyncdb.statements import Recorder
    from pytest_asyncdb.statements._listeners import everywhere

    _process.listeners = everywhere
    kinds = (SandboxConnection, FerriedConnection)

    def is_isolated(connection: Connection) -> bool | None:
        if _process.silence or is_unguarded():  # databases are made while tests run
            return None
        return isinstance(connection.connection.dbapi_connection, kinds)

    return Recorder(Engine, wanted=is_isolated, explains_on=isolation.engine)


class _Process:
    """What holds for all tests of this process."""

    silence = 0
    """How many ask for silence."""
    listeners: Listeners | None = None
    """What its recorders are told by, once there has been one."""


_process: Final = _Process()


@contextlib.contextmanager
def unrecorded() -> Iterator[None]:
    """No recorder of a test is told of transactions that begin in this block."""
    _process.silence += 1
    try:
        yield
    finally:
        _process.silence -= 1


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
    recorder = item.stash.get(_RECORDER, None)
    if recorder is None:
        recorder = item.stash[_LOOKER] = new_recorder(database.isolation)
    item.stash[_START] = len(recorder.log)
    yield
    _look(item, recorder)


@contextlib.contextmanager
def example(item: pytest.Item) -> Iterator[None]:
    """Around one example of a property-based test: what is recorded starts anew.

    Raises what `calling` does.
    """
    __tracebackhide__ = True
    recorder = recorder_of(item)
    if recorder is None:
        yield
        return
    recorder.clear()
    item.stash[_START] = 0
    yield
    _look(item, recorder)


def _look(item: pytest.Item, recorder: Recorder) -> None:
    """For loads in a loop among the statements that were not looked at yet."""
    __tracebackhide__ = True
    what = suite_of(item.config).settings.n_plus_one
    if what == "ignore":
        return
    loops = recorder.n_plus_one(start=item.stash[_START])
    item.stash[_START] = len(recorder.log)
    if loops:
        _tell(item, loops, fails=what == "fail")


def end(item: pytest.Item) -> None:
    """The call of a test has been reported: look for loads no more."""
    recorder = item.stash.get(_LOOKER, None)
    if recorder is not None:
        recorder.close()
    if _process.listeners is not None:
        _process.listeners.end_test()


def _tell(item: pytest.Item, loops: Sequence[Loop], *, fails: bool) -> None:
    __tracebackhide__ = True
    from pytest_asyncdb.errors import NPlusOneFound, NPlusOneWarning

    found = NPlusOneFound.of(item.nodeid, [str(each) for each in loops])
    if fails:
        raise found
    warned = item.stash.setdefault(_WARNED, set())
    if str(found) not in warned:
        warned.add(str(found))
        item.warn(NPlusOneWarning(str(found)))


def recorder_of(item: pytest.Item) -> Recorder | None:
    """What has recorded the statements of a test, if anything has."""
    return item.stash.get(_RECORDER, None) or item.stash.get(_LOOKER, None)
