"""The benchmark of examples, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_quick_run_compares_ours_with_a_savepoint_by_hand(tmp_path: Path) -> None:
    """The JSON has three bodies, and what each way costs."""
    report = tmp_path / "report.json"
    command = "-m benchmarks.examples --quick --only sqlite --json"
    done = subprocess.run(
        [sys.executable, *command.split(), report],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    results = json.loads(report.read_text())
    bodies = ("reads", "flushes", "commits")
    assert [f"sqlite, {each}" for each in bodies] == list(results)
    for result in results.values():
        assert 0 < result["a savepoint by hand"]["median_ms"]
