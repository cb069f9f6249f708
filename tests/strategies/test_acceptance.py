"""Rows of the models of all examples, and of the tests': every product takes them.

`ASYNCDB_ROWS` asks for more rows on each product than the few of every run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.databases import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).parents[2]
ROWS: Final = int(os.environ.get("ASYNCDB_ROWS", "100"))
ACCEPTED: Final = 0.995


@pytest.mark.parametrize("kind", KINDS)
def test_nearly_every_row_is_accepted(
    kind: str, record_property: Callable[[str, object], None]
) -> None:
    """Lists of objects of each model, as they are drawn."""
    command = [sys.executable, "-m", "tests.strategies.acceptance", kind, str(ROWS)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    *_, last = ["", *done.stderr.splitlines()]
    if "Skipped: " in last:
        pytest.skip(last.partition("Skipped: ")[2])
    assert 0 == done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    written, refused = found["rows"], found["refused"]
    record_property("rows", written)
    record_property("refused", len(refused))

    assert ROWS <= written
    assert ACCEPTED <= written / (written + len(refused)), "\n".join(refused)
