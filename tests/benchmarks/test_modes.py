"""The benchmark of real commits, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_quick_run_compares_real_commits_with_what_people_do(tmp_path: Path) -> None:
    """The JSON has both works, and ours is the faster one than TRUNCATE."""
    report = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.modes", "--quick", "--json", report],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    results = json.loads(report.read_text())
    assert ["commit, 20 tables", "database, 20 tables"] == list(results)
    assert results["commit, 20 tables"]["TRUNCATE all, seed"]["ratio"] < 1
