"""The benchmark of factories, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_quick_run_compares_every_contender_with_ours(tmp_path: Path) -> None:
    """Users and posts, each over the bare minimum."""
    report = tmp_path / "report.json"
    command = "-m benchmarks.factories --quick --no-peers --only sqlite --json"
    done = subprocess.run(
        [sys.executable, *command.split(), report],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    results = json.loads(report.read_text())
    assert ["users on sqlite", "posts on sqlite"] == list(results)
    for contenders in results.values():
        assert {"ours", "add_all, one flush", "factory_boy in run_sync"} == {
            *contenders
        }
        assert 1.0 == contenders["ours"]["ratio"]
