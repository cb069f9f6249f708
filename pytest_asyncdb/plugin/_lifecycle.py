"""When a test's isolation begins and ends, around all of its fixtures."""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_asyncdb.factories._running import end_test
from pytest_asyncdb.plugin import _factories
from pytest_asyncdb.plugin._suite import suite_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_asyncdb.plugin._databases import WorkerDatabase
    from pytest_asyncdb.plugin._suite import Suite

__all__ = [
    "AUDIT",
    "AUDITED",
    "DATABASE",
    "ISOLATION",
    "REAL",
    "TARGET",
    "UNTOUCHED",
    "audited_mode",
    "begin",
    "begin_late",
    "current_database",
    "end",
    "is_requested",
    "note_verdict",
    "wide_fixture",
]

TARGET: Final = "_asyncdb_target"
DATABASE: Final = "_asyncdb_database"
ISOLATION: Final = "_asyncdb_isolation"
AUDIT: Final = "_asyncdb_audit"
UNTOUCHED: Final = "_asyncdb_untouched"
REAL: Final = "_asyncdb_real"
AUDITED: Final = pytest.StashKey[str]()
"""The mode of an audited test that takes no parameters, one of unittest."""
_MODE: Final = pytest.StashKey[str]()
_OURS: Final = "pytest_asyncdb.plugin."
_INTERRUPTS: Final = (KeyboardInterrupt, SystemExit, pytest.exit.Exception)


def is_requested(item: pytest.Item) -> bool:
    """Whether a test asks for a fixture of ours, by whatever way.

    Ours all ask for the private one; a project's own of the same name need not.
    """
    return DATABASE in getattr(item, "fixturenames", ())


def begin(item: pytest.Item) -> None:
    """Before any fixture of a test: isolate it, or watch whether it should be."""
    _factories.begin(item)
    suite = suite_of(item.config)
    if is_requested(item):
        _begin(suite, item, suite.databases[_index(item)])
    else:
        suite.begin_unrequested(item)


def begin_late(item: pytest.Item, database: WorkerDatabase) -> None:
    """A fixture of ours is set up: isolate a test that did not ask for one before."""
    suite = suite_of(item.config)
    if suite.databases.current is None:
        suite.end_watch()
        _begin(suite, item, database)


def _begin(suite: Suite, item: pytest.Item, database: WorkerDatabase) -> None:
    from pytest_asyncdb.plugin._async import check_loop
    from pytest_asyncdb.plugin._markers import read_marks

    request = read_marks(item.nodeid, item.iter_markers("asyncdb"))
    obstacle = request.obstacle(database.target)
    if obstacle is not None:
        pytest.skip(obstacle)
    check_loop(item)
    suite.point_variables(database.run)
    real = REAL in getattr(item, "fixturenames", ())
    mode = audited_mode(item) or request.mode(suite.settings.isolation, real=real)
    item.stash[_MODE] = mode
    began = functools.partial(
        item.ihook.pytest_asyncdb_isolation_begin, item=item, isolation=mode
    )
    suite.databases.begin(
        item.nodeid,
        database,
        request.joins,
        mode=mode,
        began=began,
        ends=functools.partial(_note_state, item),
    )


def audited_mode(item: pytest.Item) -> str | None:
    """How this run of an audited test is isolated; None for any other test."""
    callspec = getattr(item, "callspec", None)
    mode: str | None = callspec.params.get(AUDIT) if callspec is not None else None
    return mode or item.stash.get(AUDITED, None)


def note_verdict(
    item: pytest.Item, call: pytest.CallInfo[Any], report: pytest.TestReport
) -> None:
    """For the audit: how a phase of the test has ended."""
    from pytest_asyncdb.plugin._audit import note

    error = call.excinfo
    text = f"{error.typename}: {error.value}" if error is not None else ""
    note(item, report, (text.splitlines() or [""])[0])


def _note_state(item: pytest.Item) -> None:
    """For the audit: what the test leaves, as far as it can be read."""
    if audited_mode(item) is None:
        return
    from pytest_asyncdb.plugin._audit import note_state

    with contextlib.suppress(Exception):  # a broken sandbox says so by its verdict
        changes = suite_of(item.config).databases.changes()
        if changes is not None:
            note_state(item, changes)


def _index(item: pytest.Item) -> int:
    callspec = getattr(item, "callspec", None)
    index: int = callspec.params.get(TARGET, 0) if callspec is not None else 0
    return index


# -------------------------------------------------------------------------- the end
@contextlib.contextmanager
def end(item: pytest.Item) -> Iterator[None]:
    """Around the finalisers of a test: undo it, and tell what it left behind.

    Raises `Leftovers` for what fails the test, unless the run is being interrupted.
    """
    suite = suite_of(item.config)
    try:
        yield
    finally:
        end_test()
        suite.end_watch()
        findings = suite.started.end() if suite.started is not None else []
        mode = item.stash.get(_MODE, None)
        if mode is not None:
            item.ihook.pytest_asyncdb_isolation_end(
                item=item,
                isolation=mode,
                findings=[each.text for each in findings],
            )
        if findings and not isinstance(sys.exception(), _INTERRUPTS):
            from pytest_asyncdb.plugin._report import tell

            tell(item, findings, suite.settings.leaks)


# -------------------------------------------------------------------- wider fixtures
@contextlib.contextmanager
def wide_fixture(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Iterator[None]:
    """Around the set-up of a fixture: a wider one than a test reads, but writes not.

    So is its tear-down: finalisers run last in, first out, those of what the fixture
    itself registers between the two of ours.
    """
    database = _database_of(fixturedef, request)
    if database is None:
        yield
        return
    databases = suite_of(request.config).databases
    what = f"the {fixturedef.scope}-scoped fixture {fixturedef.argname}"
    leaving = functools.partial(databases.after_tests, database, what)
    stack = contextlib.ExitStack()
    request.addfinalizer(stack.close)
    try:
        with databases.before_tests(database, what):
            yield
    finally:
        request.addfinalizer(lambda: stack.enter_context(leaving()))


def _database_of(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> WorkerDatabase | None:
    """The running test's database, if the fixture is not one of ours."""
    if fixturedef.func.__module__.startswith(_OURS):
        return None
    return current_database(request.config)


def current_database(config: pytest.Config) -> WorkerDatabase | None:
    """The running test's database, if it is isolated."""
    started = suite_of(config).started
    return started.current if started is not None else None
