"""Other packages at their newest release, in a folder of their own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["install"]


def install(folder: Path, *names: str) -> str | None:
    """Install these packages alone into `folder`, unless they are there.

    Gives None, or what failed. All else that they need is the benchmark's own, so all
    run on the same versions.
    """
    if all((folder / name.replace("-", "_")).is_dir() for name in names):
        return None
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--target", str(folder), *names],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip() or "pip failed" if done.returncode else None
