"""Lines and seconds, before and after: `python measure.py postgresql`.

Both sides of a style run on one server, which has been started before.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE: Final = Path(__file__).parent
STYLES: Final = ("tables", "recipe", "overrides", "containers")
SERVED: Final = STYLES[:-1]
"""Those whose suite takes a URL; the last one starts its own server."""


def lines(style: str, side: str) -> tuple[int, int]:
    """Lines of a conftest.py, and of its tests, without empty ones."""
    folder = HERE / side / style
    return _count(folder.glob("conftest.py")), _count(folder.glob("test_*.py"))


def run(side: str, *styles: str, url: str) -> tuple[float, int]:
    """Seconds of these suites' tests with their fixtures, and how many have passed."""
    there = os.environ | {"TEST_DATABASE_URL": url}
    options = [] if side == "before" else [f"--asyncdb={url}"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.xml"
        done = subprocess.run(
            [*command, f"--junitxml={report}", *(f"{side}/{each}" for each in styles)],
            cwd=HERE,
            env=there,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        tests = list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest's
    passed = [float(test.attrib["time"]) for test in tests if not len(test)]
    return sum(passed), len(passed)


def main(words: Sequence[str]) -> None:
    """Print the table, a line for each style: medians of five, taken in turn."""
    word = words[0] if words else "sqlite"
    print("| style | conftest.py | tests | seconds |")
    print("|---|---|---|---|")
    with _server(word) as (before, after):
        for style in STYLES if word == "postgresql@container" else SERVED:
            (old, old_tests), (new, new_tests) = (
                lines(style, side) for side in ("before", "after")
            )
            slow, fast = zip(
                *(_both(style, before, after) for _ in range(5)), strict=True
            )
            print(f"| {style} | {old} → {new} | {old_tests} → {new_tests} ", end="")
            print(f"| {median(slow):.2f} → {median(fast):.2f} |", flush=True)


def _both(style: str, before: str, after: str) -> tuple[float, float]:
    return run("before", style, url=before)[0], run("after", style, url=after)[0]


@contextmanager
def _server(word: str) -> Iterator[tuple[str, str]]:
    """What `before` connects to, and what `--asyncdb=` takes."""
    with tempfile.TemporaryDirectory(prefix="shop-", dir="/tmp") as place:
        if word in ("sqlite", "postgresql@container"):
            yield f"sqlite+aiosqlite:///{place}/test.db", word
            return
        Path(place).chmod(0o755)
        there = os.environ | {"TMPDIR": place}
        ours = [sys.executable, "-m", "pytest_asyncdb"]
        url = subprocess.check_output([*ours, "url", word], env=there, text=True)
        try:
            yield url.strip(), url.strip()
        finally:
            subprocess.run(
                [*ours, "sweep", "--kept"], env=there, check=True, capture_output=True
            )


def _count(files: Iterator[Path]) -> int:
    texts = [path.read_text(encoding="utf-8") for path in files]
    return sum(bool(line.strip()) for text in texts for line in text.splitlines())


if __name__ == "__main__":
    main(sys.argv[1:])
