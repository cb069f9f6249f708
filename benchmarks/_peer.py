"""Other packages at their newest release, in a folder of their own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distributions
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["install", "versions"]


def install(folder: Path, *names: str) -> str | None:
    """Install these packages alone into `folder`, unless they are there.

    Gives None, or what failed. All else that they need is the benchmark's own, so all
    run on the same versions.
    """
    if {*names} <= versions(folder).keys():
        return None
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--target", str(folder), *names],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip() or "pip failed" if done.returncode else None


def versions(folder: Path) -> Mapping[str, str]:
    """The packages in `folder`, with their versions."""
    found = distributions(path=[str(folder)])
    return {each.name.lower().replace("_", "-"): each.version for each in found}
