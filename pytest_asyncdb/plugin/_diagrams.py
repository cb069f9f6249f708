"""Pictures of schedules as files, where `--asyncdb-diagrams` asks for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_asyncdb.plugin._suite import suite_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from pytest_asyncdb.concurrency._trace import Trace

__all__ = ["Diagrams"]

_LONGEST = 150
"""Letters of a file's name before its number; file systems take 255 bytes."""


class Diagrams:
    """Draws the schedules of one test; does nothing where nobody asks for files."""

    def __init__(self, item: pytest.Item) -> None:
        said = suite_of(item.config).settings.diagrams
        self._item = item
        self._directory = None if said is None else item.config.rootpath / said
        self._count = 0

    def __call__(self, trace: Trace, name: str = "") -> None:
        """Write one file, and name it below the test's failure."""
        if self._directory is None:
            return
        from pytest_asyncdb.concurrency._svg import svg

        path = self._path(self._directory)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(svg(trace, name=name), encoding="utf-8")
        self._item.add_report_section("call", "asyncdb", f"diagram: {path}")

    def _path(self, directory: Path) -> Path:
        self._count += 1
        name = re.sub(r"[^\w.-]+", "_", self._item.nodeid).strip("_")[-_LONGEST:]
        more = f"-{self._count}" if self._count > 1 else ""
        return directory / f"{name}{more}.svg"
