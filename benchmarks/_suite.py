"""A generated suite in a folder of its own, run by pytest in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import _timing

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Suite", "SuiteFailed"]

_HERE = Path(__file__).parent
_SHARED = ("models.py", "work.py", "engines.py", "properties.py")


class SuiteFailed(Exception):
    """A contender's suite did not pass, so its time says nothing."""

    def __init__(self, name: str, done: subprocess.CompletedProcess[str]) -> None:
        super().__init__(f"{name}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What one contender's suite is made of.

    `fixture` is what each test asks for and gives to `work`, a function of `work.py`;
    None makes the tests empty. `alternating` are fixtures that every second test asks
    for besides. `source` is a test module that takes the place of all these. `recipe`
    names the conftest under `suites/`. `plugins` are loaded besides pytest-asyncio; no
    other installed plugin is. `peers` is a folder of packages that can be imported
    besides.
    """

    tests: int
    loops: str = "function"
    fixture: str | None = None
    work: str = "unit_of_work"
    alternating: tuple[str, ...] = ()
    source: str | None = None
    recipe: str | None = None
    plugins: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    ini: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    peers: Path | None = None

    def write(self, folder: Path) -> None:
        """Lay the suite down in `folder`."""
        folder.mkdir(parents=True)
        for name in _SHARED:
            shutil.copy(_HERE / "suites" / name, folder)
        if self.recipe:
            shutil.copy(_HERE / "suites" / f"{self.recipe}.py", folder / "conftest.py")
        (folder / "pytest.ini").write_text(self._settings(), encoding="utf-8")
        tests = self._tests() if self.source is None else self.source
        (folder / "test_work.py").write_text(tests, encoding="utf-8")

    def run(self, folder: Path) -> float:
        """Run the suite that lies in `folder`; milliseconds per test."""
        return self._run(folder)["ms_per_test"]

    def run_alternating(self, folder: Path) -> tuple[float, float]:
        """The same; medians of a test with the alternating fixtures, and without."""
        times = self._run(folder)
        return times["ms_odd"], times["ms_even"]

    def _run(self, folder: Path) -> dict[str, float]:
        times = folder / "times.json"
        done = subprocess.run(
            self._command(),
            cwd=folder,
            env=self._environment() | {_timing.FILE: str(times)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SuiteFailed(folder.name, done)
        found: dict[str, float] = json.loads(times.read_text(encoding="utf-8"))
        return found

    def _settings(self) -> str:
        settings = {
            "pythonpath": ".",
            "asyncio_mode": "auto",
            "asyncio_default_fixture_loop_scope": self.loops,
            "asyncio_default_test_loop_scope": self.loops,
            **self.ini,
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        return "\n".join(["[pytest]", *lines, ""])

    def _tests(self) -> str:
        body = f"await {self.work}({self.fixture})" if self.fixture else "pass"
        head = f"from work import {self.work}\n" if self.fixture else ""
        tests = [
            f"async def test_{number}({self._arguments(number)}):\n    {body}\n"
            for number in range(self.tests)
        ]
        return "\n\n".join([head, *tests])

    def _arguments(self, number: int) -> str:
        besides = self.alternating if number % 2 else ()
        return ", ".join(filter(None, [self.fixture, *besides]))

    def _command(self) -> list[str]:
        plugins = ("benchmarks._timing", "asyncio", *self.plugins)
        loaded = [word for name in plugins for word in ("-p", name)]
        quiet = ["-q", "-p", "no:cacheprovider", "--no-header"]
        return [sys.executable, "-m", "pytest", *quiet, *loaded, *self.options]

    def _environment(self) -> dict[str, str]:
        paths = [str(path) for path in (_HERE.parent, self.peers) if path]
        own = {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": os.pathsep.join(paths),
        }
        return {**os.environ, **self.environment, **own}
