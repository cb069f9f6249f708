"""The benchmark of recording, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_quick_run_compares_recorded_tests_with_others(tmp_path: Path) -> None:
    """The JSON has tests that are recorded, and those beside them that are not."""
    report = tmp_path / "report.json"
    command = "-m benchmarks.recorder --quick --only sqlite --json"
    done = subprocess.run(
        [sys.executable, *command.split(), report],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    results = json.loads(report.read_text())
    assert ["sqlite"] == list(results)
    assert 0 < results["sqlite"]["not recorded"]["median_ms"]
    assert 0 < results["sqlite"]["not recorded"]["ratio"] < 2
