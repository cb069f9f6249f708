"""Collection: what a test asks for, checked, and on which databases it will run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_asyncdb.plugin._factories import use_parameters
from pytest_asyncdb.plugin._lifecycle import (
    DATABASE,
    ISOLATION,
    REAL,
    TARGET,
    is_requested,
)
from pytest_asyncdb.plugin._race import MARK as RACE_MARK, RACE, check as check_race
from pytest_asyncdb.plugin._suite import suite_of

if TYPE_CHECKING:
    from pytest_asyncdb.settings import Settings, Target

__all__ = [
    "concerns_us",
    "generate",
    "repeat_for_audit",
    "request_by_mark",
    "request_late",
]

_MARK = "asyncdb"


def request_by_mark(collector: pytest.Collector, name: str, obj: object) -> None:
    """Let a test with our mark use the private fixture, so that it is isolated."""
    if not isinstance(collector, pytest.Module | pytest.Class):
        return
    if not collector.istestfunction(obj, name):
        return
    names = {mark.name for mark in getattr(obj, "pytestmark", ())}
    if RACE_MARK in names:
        pytest.mark.usefixtures(RACE)(obj)
    elif _MARK in names:
        pytest.mark.usefixtures(ISOLATION)(obj)
    elif collector.get_closest_marker(_MARK) is not None:
        uses = [mark.args for mark in collector.iter_markers("usefixtures")]
        if (ISOLATION,) not in uses:
            collector.add_marker(pytest.mark.usefixtures(ISOLATION))


def request_late(item: pytest.Item) -> None:
    """The same for the methods of a unittest.TestCase, which come another way."""
    names: list[str] | None = getattr(item, "fixturenames", None)
    if names is None or DATABASE in names:
        return
    if item.get_closest_marker(_MARK) is not None:
        names[:0] = [DATABASE, ISOLATION]


def repeat_for_audit(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have tests of unittest run twice for the audit; others are parametrised."""
    suite = suite_of(config)
    if not suite.is_configured or not suite.settings.audit:
        return
    settings = suite.settings
    from pytest_asyncdb.plugin._audit import repeat
    from pytest_asyncdb.plugin._markers import read_marks

    def is_sandboxed(item: pytest.Item) -> bool:
        request = read_marks(item.nodeid, item.iter_markers(_MARK))
        return request.mode(settings.isolation, real=False) == "sandbox"

    repeat(items, lambda item: is_requested(item) and is_sandboxed(item))


def concerns_us(item: pytest.Item, call: pytest.CallInfo[Any]) -> bool:
    """Whether a phase of a test failed that asks for a fixture of ours, or by us."""
    if call.excinfo is None:
        return False
    from pytest_asyncdb.errors import AsyncDBError

    return is_requested(item) or isinstance(call.excinfo.value, AsyncDBError)


def generate(metafunc: pytest.Metafunc) -> None:
    """Check a test's marks, and have it run on each of several databases.

    Raises `CollectError`, so that the rest of the run is collected.
    """
    use_parameters(metafunc)
    marks = list(metafunc.definition.iter_markers(_MARK))
    names = metafunc.fixturenames
    if not marks and DATABASE not in names and TARGET not in names:
        return
    from pytest_asyncdb.errors import AsyncDBError

    try:
        _check(metafunc.definition.nodeid, marks, real=REAL in names)
        for mark in metafunc.definition.iter_markers(RACE_MARK):
            check_race(metafunc.definition.nodeid, metafunc.function, mark)
        settings = suite_of(metafunc.config).settings
    except AsyncDBError as error:
        raise pytest.Collector.CollectError(str(error)) from error
    targets = settings.targets
    if DATABASE in names:
        # Before any other fixture, whatever asks for it.
        names.remove(DATABASE)
        names.insert(0, DATABASE)
        if len(targets) > 1:
            _parametrize(metafunc, targets)
        if settings.audit and _mode(metafunc, settings) == "sandbox":
            from pytest_asyncdb.plugin._audit import double

            double(metafunc)
    elif TARGET in names and len(targets) > 1:
        indexes, ids = range(len(targets)), [_id(target) for target in targets]
        metafunc.parametrize(TARGET, indexes, indirect=True, ids=ids, scope="session")


def _check(test: str, marks: list[pytest.Mark], *, real: bool) -> None:
    if not marks:
        return
    from pytest_asyncdb.errors import MarkRefused
    from pytest_asyncdb.plugin._markers import read_marks

    if read_marks(test, marks).isolation == "sandbox" and real:
        raise MarkRefused.sandbox(test)


def _mode(metafunc: pytest.Metafunc, settings: Settings) -> str:
    from pytest_asyncdb.plugin._markers import read_marks

    test = metafunc.definition
    request = read_marks(test.nodeid, test.iter_markers(_MARK))
    return request.mode(settings.isolation, real=REAL in metafunc.fixturenames)


def _parametrize(metafunc: pytest.Metafunc, targets: tuple[Target, ...]) -> None:
    if TARGET not in metafunc.fixturenames:
        metafunc.fixturenames.insert(0, TARGET)
    metafunc.parametrize(
        (TARGET, DATABASE),
        [(index, index) for index in range(len(targets))],
        indirect=True,
        ids=[_id(target) for target in targets],
        scope="session",
    )


def _id(target: Target) -> str:
    return target.word if target.url is None else f"{target.product}@url"
