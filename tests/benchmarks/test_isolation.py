"""The benchmark of isolation, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_a_quick_run_compares_every_contender_with_ours(tmp_path: Path) -> None:
    """The JSON has a median per contender, and ours divided by it."""
    report = tmp_path / "report.json"
    command = "-m benchmarks.isolation --quick --no-peers --only sqlite --json"
    done = subprocess.run(
        [sys.executable, *command.split(), report],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert "load average" in done.stdout
    results = json.loads(report.read_text())
    assert ["empty", "sqlite"] == list(results)
    ours = results["sqlite"]["ours, function loops"]
    assert 1.0 == ours["ratio"]
    for contender in results["sqlite"].values():
        expected = ours["median_ms"] / contender["median_ms"]
        assert pytest.approx(expected, rel=0.01, abs=0.01) == contender["ratio"]
