"""The comparison: run as a user runs it, and the page that holds what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks._comparison import replaced, tables

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "comparison.md"
SAVED = ROOT / "benchmarks" / "comparison.json"


def _data(**found: Any) -> dict[str, Any]:
    return {
        "date": "2026-11-22",
        "machine": "2 virtual cores",
        "rounds": 3,
        "load": ["0.1", "1.2"],
        "versions": {"measured": {"a-peer": "1.0", "another": "2.0"}},
        "about": {"A test": "What a test takes."},
        "measured": {},
        "verdicts": {},
        **found,
    }


def test_a_table_has_a_row_for_each_contender() -> None:
    """Its work stands before the first of them only."""
    results = {
        "ours": {"median_ms": 1.26, "ratio": 1.0},
        "slow": {"median_ms": 1234.5, "ratio": 0.001},
    }
    text = tables(_data(measured={"A test": {"sqlite": results}}))

    assert (
        "### A test: what it takes\n\nWhat a test takes.\n\n|  |  | ms | ours / it |"
        in text
    )
    assert "| **sqlite** | ours | 1.3 | 1.00 |\n|  | slow | 1,234.5 | 0.00 |" in text
    assert "| measured | a-peer 1.0, another 2.0 |" in text


def test_answers_that_differ_are_counted() -> None:
    """A verdict is said once in each round."""
    said = {"is": "wrong", "ours": ["wrong"] * 2, "frontrun": ["right", "wrong"]}
    text = tables(_data(verdicts={"a race": said}))

    row = "| a race | wrong | wrong (2 of 2) | right (1 of 2), wrong (1 of 2) |"
    assert row in text


def test_the_page_holds_what_was_measured() -> None:
    """Nobody has changed a number of it by hand."""
    page = PAGE.read_text(encoding="utf-8")
    data = json.loads(SAVED.read_text(encoding="utf-8"))

    assert tables(data) in page
    assert page == replaced(page, data)


def test_a_quick_run_writes_the_tables(tmp_path: Path) -> None:
    """Without the other packages: a part, as JSON and as Markdown."""
    report, text = tmp_path / "report.json", tmp_path / "report.md"
    command = "-m benchmarks.compare --quick --no-peers --only Factories Races"
    done = subprocess.run(
        [sys.executable, *command.split(), "--json", report, "--markdown", text],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    data = json.loads(report.read_text())
    assert ["Factories", "Races"] == [*data["measured"]]
    assert {"version compared in Python": {"is": "wrong", "ours": ["wrong"]}} == data[
        "verdicts"
    ]
    assert f"{tables(data)}\n" == text.read_text()
