"""The table of the README and the tests are the same rows."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
ROW = re.compile(r"^\|.*`(test_\w+\.py)::(test_taught_\w+)` \|$", re.MULTILINE)


def test_every_row_has_its_tests() -> None:
    """One that shows what goes wrong, and one for the cure; and no test is left out."""
    rows = ROW.findall((HERE.parent / "README.md").read_text(encoding="utf-8"))
    found = {
        (file.name, name)
        for file in HERE.glob("test_*.py")
        for name in re.findall(r"^async def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    cures = [(file, name.replace("_taught_", "_cured_")) for file, name in rows]

    assert {*rows, *cures} == found
    assert len(rows) >= 16
