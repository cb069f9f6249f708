"""The benchmark of the explorer, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_quick_run_finds_what_is_wrong_and_nothing_else(tmp_path: Path) -> None:
    """The cost of a schedule, and a verdict on each race."""
    report = tmp_path / "report.json"
    command = "-m benchmarks.explorer --quick --no-peers --only sqlite --json"
    done = subprocess.run(
        [sys.executable, *command.split(), report],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    results = json.loads(report.read_text())
    assert {"one schedule", "bare"} == {*results["cost"]["two functions on sqlite"]}
    assert 7 == len(results["found"])
    for race in results["found"].values():
        assert race["is"] == race["ours"]["said"]
