"""What tests spend in the database: `--asyncdb-durations` and `--asyncdb-report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_asyncdb.errors import SettingRefused
from pytest_asyncdb.plugin._lifecycle import current_database
from pytest_asyncdb.plugin._statements import new_recorder
from pytest_asyncdb.plugin._suite import suite_of
from pytest_asyncdb.plugin._terminal import write

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from pytest_asyncdb.plugin._terminal import Line
    from pytest_asyncdb.settings import Settings
    from pytest_asyncdb.statements import Recorder, Statement

__all__ = ["Costs"]

_RECORDER: Final = pytest.StashKey["Recorder"]()
_COST: Final = pytest.StashKey[dict[str, Any]]()
_PARTS: Final = ("statements", "setup", "reset")


class Costs:
    """A plugin that records all statements of each isolated test, and adds them up.

    Raises `SettingRefused` for a report in a folder that there is not.
    """

    def __init__(self, settings: Settings) -> None:
        self._shown = settings.durations
        self._file = Path(settings.report) if settings.report is not None else None
        self._with_parameters = settings.report_parameters
        self._tests: list[dict[str, Any]] = []
        if self._file is not None and not self._file.absolute().parent.is_dir():
            raise SettingRefused.folder("asyncdb_report", str(self._file))

    # --------------------------------------------------------------------- a test
    def pytest_asyncdb_isolation_begin(self, item: pytest.Item) -> None:
        """Record from here on."""
        database = current_database(item.config)
        if database is not None and _RECORDER not in item.stash:
            item.stash[_RECORDER] = new_recorder(database.isolation)

    def pytest_asyncdb_isolation_end(self, item: pytest.Item, isolation: str) -> None:
        """Add up what the test has cost."""
        recorder = item.stash.get(_RECORDER, None)
        databases = suite_of(item.config).started
        if recorder is None or databases is None:
            return
        recorder.close()
        item.stash[_COST] = {
            "test": item.nodeid,
            "isolation": isolation,
            "seconds": {"statements": _seconds(recorder), **databases.took},
            "count": len(recorder.log),
            "statements": [self._told(each) for each in recorder.log]
            if self._file is not None
            else [],
        }

    def _told(self, statement: Statement) -> dict[str, Any]:
        line, error = statement.line, statement.error
        told = {
            "sql": statement.sql,
            "kind": statement.kind,
            "relationship": statement.relationship,
            "line": None if line is None else str(line),
            "transaction": statement.transaction,
            "factory": statement.factory,
            "rows": statement.rows,
            "seconds": statement.duration,
            "error": None if error is None else type(error).__name__,
        }
        if self._with_parameters and not statement.hidden:
            told["parameters"] = repr(statement.parameters)
        return told

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let it travel with the report of the tear-down, also from a worker."""
        report = yield
        if call.when == "teardown" and _COST in item.stash:
            vars(report)["asyncdb_cost"] = item.stash[_COST]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test has cost."""
        cost = getattr(report, "asyncdb_cost", None)
        if cost is not None:
            self._tests.append(cost)

    # -------------------------------------------------------------------- the run
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the report; a worker leaves that to the controller."""
        if self._file is not None and not hasattr(session.config, "workerinput"):
            text = json.dumps({"tests": self._tests}, indent=1)
            self._file.write_text(text + "\n", encoding="utf-8")

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        """Show the tests that spent most."""
        if self._shown is not None and self._tests:
            write(terminalreporter, self._lines(self._shown))

    def _lines(self, shown: int) -> Iterator[Line]:
        worst = sorted(self._tests, key=_total, reverse=True)
        yield "asyncdb: ms in the database, the slowest first", "bold"
        yield ("     total  statements    set-up     reset   sent  test",)
        for each in worst[: shown or None]:
            times = [1000 * each["seconds"][part] for part in _PARTS]
            statements, setup, reset = times
            spent = (
                f"{sum(times):>10.1f}{statements:>12.1f}{setup:>10.1f}{reset:>10.1f}"
            )
            yield (f"{spent}{each['count']:>7}  {each['test']}",)


def _total(cost: Mapping[str, Any]) -> float:
    total: float = sum(cost["seconds"][part] for part in _PARTS)
    return total


def _seconds(recorder: Recorder) -> float:
    """Those of statements that ended."""
    return sum(each.duration or 0.0 for each in recorder.log)
