"""Another plugin at its newest release, in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["install"]


def install(folder: Path, name: str = "pytest-sqla") -> str | None:
    """Install it alone into `folder`, unless it is there; None or what failed.

    All else that it needs is the benchmark's own, so both run on the same versions.
    """
    if (folder / name.replace("-", "_")).is_dir():
        return None
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--target", str(folder), name],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip() or "pip failed" if done.returncode else None
