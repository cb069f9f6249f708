"""What the user reads: header, summary, findings, and errors without our frames."""

from __future__ import annotations

import re
import sys
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_asyncdb.errors import AsyncDBError, Leftovers, LeftoverWarning
from pytest_asyncdb.plugin._suite import OVERRIDES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

    from pytest_asyncdb.isolation import Finding
    from pytest_asyncdb.plugin._suite import Suite
    from pytest_asyncdb.plugin._terminal import Line
    from pytest_asyncdb.settings import Settings, Target

__all__ = ["explain", "header", "shorten", "show_changes", "summary", "tell"]

_INTERNAL: Final = sys.stdlib_module_names | {
    *("pytest_asyncdb", "sqlalchemy", "greenlet", "asyncpg", "psycopg", "aiosqlite"),
    *("aiomysql", "alembic", "asyncmy", "pymysql"),
    *("factory", "faker"),
    *("pytest", "_pytest", "pluggy", "anyio", "pytest_asyncio"),
}
_MISSING: Final = re.compile(
    r"no such table|relation .* does not exist|Table '.*' doesn't exist"
)
_NO_FILE: Final = (None, "", ":memory:")
_PUBLIC: Final = (
    "db_session",
    "db_sessionmaker",
    "db_engine",
    "db_sync_session",
    "db_run",
    "db_changes",
    "db_statements",
)


# ------------------------------------------------------------------ header, summary
def header(settings: Settings) -> list[str]:
    """A line for each database of the run, as it is planned."""
    return [_planned(target, settings.isolation) for target in settings.targets]


def _planned(target: Target, isolation: str) -> str:
    parts = [f"asyncdb: {target.product}{_version(target)}"]
    parts.append(f"source {_where(target)}")
    return ", ".join([*parts, f"isolation {isolation}"])


def _where(target: Target) -> str:
    if target.url is None:
        return target.planned_source
    if target.product != "sqlite":
        return target.word
    if target.url.database in _NO_FILE:
        return "memory"
    return f"file of the run's own, in place of {target.word}"


def _version(target: Target) -> str:
    if target.product == "sqlite":
        import sqlite3

        return f" {sqlite3.sqlite_version}"
    return f" {target.version}" if target.version is not None else ""


def summary(suite: Suite, *, quiet: bool) -> Iterator[Line]:
    """Lines for the databases that were used: how long each took, where it was kept."""
    for name in () if quiet else dict.fromkeys(_name(each) for each in suite.ready):
        took = [each for each in suite.ready if _name(each) == name]
        times = [f"{_worker(each)}{each['seconds']:.2f} s" for each in took]
        yield (f"asyncdb: {name}, ready in {', '.join(times)}",)
    if suite.started is not None:
        for url in suite.started.kept:
            yield f"asyncdb: kept {url}", "yellow"
        for line in suite.started.clients:
            yield f"asyncdb: look at it: {line}", "yellow"


def _name(ready: dict[str, Any]) -> str:
    bridge = ["through a thread"] if ready["bridge"] == "thread" else []
    named = f"{ready['product']} {ready['version']}", f"source {ready['source']}"
    return ", ".join([*named, *bridge, *ready["notes"]])


def _worker(ready: dict[str, Any]) -> str:
    return "" if ready["worker"] == "main" else f"{ready['worker']} "


# ------------------------------------------------------------------------- findings
def tell(item: pytest.Item, findings: Iterable[Finding], leaks: str) -> None:
    """Fail the test for a finding that is fatal, or warn of the others.

    Raises `Leftovers`.
    """
    failing = [each for each in findings if each.fatal or leaks == "fail"]
    if leaks == "warn":
        for finding in findings:
            if not finding.fatal:
                item.warn(LeftoverWarning(finding.text))
    if failing:
        raise Leftovers.of(item.nodeid, [each.text for each in failing])


# --------------------------------------------------------------------------- errors
def shorten(call: pytest.CallInfo[Any]) -> None:
    """Take our frames out of the traceback of a database's error, or of one of ours.

    Of one of ours those of SQLAlchemy as well: what it says stands in its text.
    """
    error = call.excinfo.value if call.excinfo is not None else None
    known = sys.modules.get("sqlalchemy.exc")  # without it there is no such error
    if isinstance(error, AsyncDBError) and _has_users(error.__traceback__):
        error.__traceback__ = _only(_is_users, error.__traceback__)
    elif known is not None and isinstance(error, known.DBAPIError):
        for each in _causes(error):
            rest = _only(_is_not_ours, each.__traceback__)
            each.__traceback__ = rest or each.__traceback__
    else:
        return
    call.excinfo = pytest.ExceptionInfo.from_exception(error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, each once."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def _only(
    wanted: Callable[[FrameType], bool], tb: TracebackType | None
) -> TracebackType | None:
    if tb is None:
        return None
    rest = _only(wanted, tb.tb_next)
    if not wanted(tb.tb_frame):
        return rest
    return TracebackType(rest, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)


def explain(
    call: pytest.CallInfo[Any], report: pytest.TestReport, suite: Suite
) -> None:
    """Let a report show an error of ours as its text, and add what else may help."""
    excinfo = call.excinfo
    if excinfo is None or report.outcome != "failed":
        return
    if isinstance(excinfo.value, AsyncDBError) and not _has_users(excinfo.tb):
        report.longrepr = "\n".join(_text(excinfo.value))
    text = str(excinfo.value)
    hint = _hint_of_async(text) or _hint_of_scope(text) or _hint_of_schema(text, suite)
    if hint is not None:
        report.sections.append(("asyncdb", hint))


def show_changes(suite: Suite, report: pytest.TestReport) -> None:
    """Let the report of a failed test tell which rows it had changed."""
    failed = report.outcome == "failed" and report.when == "call"
    if not (failed and suite.settings.show_changes and suite.started is not None):
        return
    try:
        changes: object = suite.started.changes()
    except Exception as error:  # noqa: BLE001 - the test's own failure is what counts
        changes = f"not known: {type(error).__name__}"
    if changes is not None:
        report.sections.append(("changes of the database", str(changes)))


def _text(error: AsyncDBError) -> Iterator[str]:
    """The error's text, then what the user's own code raised before it.

    The first line is also what pytest's short summary shows.
    """
    yield f"{type(error).__name__}: {error}"
    hidden = error.__suppress_context__
    before = error.__cause__ or (None if hidden else error.__context__)
    if before is not None and _has_users(before.__traceback__):
        yield ""
        yield "raised by:"
        yield "".join(_users_frames(before.__traceback__).format()).rstrip()
        yield "".join(traceback.format_exception_only(before)).rstrip()


def _users_frames(tb: TracebackType | None) -> traceback.StackSummary:
    frames = (
        (frame, line) for frame, line in traceback.walk_tb(tb) if _is_users(frame)
    )
    return traceback.StackSummary.extract(frames)


def _has_users(tb: TracebackType | None) -> bool:
    return any(_is_users(frame) for frame, _ in traceback.walk_tb(tb))


def _is_users(frame: FrameType) -> bool:
    return _package(frame) not in _INTERNAL


def _is_not_ours(frame: FrameType) -> bool:
    return _package(frame) != "pytest_asyncdb"


def _package(frame: FrameType) -> str:
    module: str = frame.f_globals.get("__name__", "")
    return module.partition(".")[0]


def _hint_of_schema(text: str, suite: Suite) -> str | None:
    """What helps where a table is missing and nothing says which there should be."""
    if not suite.overrides or suite.overrides["asyncdb_schema"] is not None:
        return None
    if not _MISSING.search(text):
        return None
    for name in ("asyncdb_schema", "asyncdb_metadata"):
        if suite.defines(name):
            return f"the database is empty: the fixture {name} returned None"
    return (
        "the database is empty: neither asyncdb_metadata nor asyncdb_schema is set,"
        " as a fixture in conftest.py or in the ini file"
    )


def _hint_of_async(text: str) -> str | None:
    """What helps where an override fixture is a coroutine function."""
    if "async fixture" not in text and "_function_scoped_runner" not in text:
        return None
    for name in OVERRIDES:
        if f"def {name}(" in text or f"fixture '{name}'" in text:
            return f"let {name} be an ordinary function: def, not async def"
    return None


def _hint_of_scope(text: str) -> str | None:
    """What helps against an error of pytest's in which a fixture of ours is named."""
    if "ScopeMismatch" not in text:
        return None
    if any(f"fixture {name} " in text for name in OVERRIDES):
        return "give the fixture of that name in conftest.py scope='session'"
    if any(f"fixture {name} " in text for name in _PUBLIC):
        return (
            "a database fixture belongs to one test, whose writes are rolled back;"
            " rows for every test come from the fixture asyncdb_seed"
        )
    return None
