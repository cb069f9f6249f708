"""docs/errors.md says what the error classes say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from pytest_asyncdb import errors

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "errors.md"


def test_the_page_is_what_the_classes_say() -> None:
    """Whoever changes an error makes the page anew: `make errors`."""
    done = subprocess.run(
        [sys.executable, ".ci/errors_page.py", "--print"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert PAGE.read_text(encoding="utf-8") == done.stdout, "run: make errors"


def test_every_error_has_a_section() -> None:
    """Each public class is a heading, to which a link can point."""
    headings = [
        line[3:]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("## ")
    ]

    assert sorted(errors.__all__) == headings
