"""A pytest plugin that writes down how long a suite's tests take.

The first test is left out, since the server, the schema and the first connection are
made in it; so is the last one, since all is taken down in it.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["CALLS", "FILE"]

FILE = "BENCHMARK_TIMES"
CALLS = "BENCHMARK_CALLS"

_ends: list[float] = []
_calls: list[float] = []
_whole: dict[str, float] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what a test has taken: with its fixtures, and without."""
    _whole[report.nodeid] = _whole.get(report.nodeid, 0) + report.duration
    if report.when == "call":
        _calls.append(report.duration)


def pytest_runtest_logfinish() -> None:
    """Note when a test has ended, its fixtures included."""
    _ends.append(time.perf_counter())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write milliseconds per test, and how many failed."""
    if CALLS in os.environ:
        total = json.dumps(1000 * sum(_calls))
        Path(os.environ[CALLS]).write_text(total, encoding="utf-8")
        return
    measured = len(_ends) - 2
    inner = [1000 * each for each in _whole.values()][1:-1]
    times = {
        "failed": session.testsfailed,
        "ms_odd": statistics.median(inner[::2]) if inner else 0,
        "ms_even": statistics.median(inner[1::2]) if inner[1:] else 0,
        "ms_per_test": 1000 * (_ends[-2] - _ends[0]) / measured if measured > 0 else 0,
    }
    Path(os.environ[FILE]).write_text(json.dumps(times), encoding="utf-8")
