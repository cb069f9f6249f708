"""docs/configuration.md has every fixture, and each says what it gives."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

PAGE: Final = Path(__file__).parents[2] / "docs" / "configuration.md"
OURS: Final = re.compile(
    r"-+ fixtures defined from pytest_asyncdb[.\w]+ -+\n(.*?)\n\n\n", re.DOTALL
)
FIXTURE: Final = re.compile(r"^(\w+)[^\n]* -- .*\n +(\S.*)$", re.MULTILINE)


@pytest.fixture
def fixtures(tmp_path: Path) -> dict[str, str]:
    """The plugin's fixtures, each with its first line, as pytest shows them."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--fixtures"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    parts = OURS.findall(done.stdout)
    return dict(pair for part in parts for pair in FIXTURE.findall(part))


def test_every_fixture_is_on_the_page(fixtures: dict[str, str]) -> None:
    """A fixture that no page names is found by nobody."""
    page = PAGE.read_text(encoding="utf-8")

    assert {"db_session", "asyncdb", "asyncdb_seed"} <= set(fixtures)
    assert [] == [name for name in fixtures if not re.search(rf"`{name}[`(]", page)]


def test_every_fixture_says_what_it_gives(fixtures: dict[str, str]) -> None:
    """In one sentence, on the line that pytest shows."""
    short = [name for name, line in fixtures.items() if not line.endswith(".")]

    assert [] == short
