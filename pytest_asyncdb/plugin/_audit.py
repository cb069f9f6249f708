"""`--asyncdb-audit`: each sandboxed test runs again with real commits, and is compared.

What a sandbox cannot show is seen by a verdict that differs, or by how many rows of
each table the test leaves changed.
"""

from __future__ import annotations

import dataclasses
import json
import re
import unittest
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.plugin._lifecycle import AUDIT, AUDITED, audited_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pytest

    from pytest_asyncdb.isolation import Changes

__all__ = ["Audit", "Difference", "double", "note", "note_state", "repeat"]

_MODES: Final = ("sandbox", "commit")
_IDS: Final = {mode: f"asyncdb:{mode}" for mode in _MODES}
_PART: Final = re.compile(rf"-?({'|'.join(_IDS.values())})-?")
_PROPERTY: Final = "asyncdb_audit"
_RANK: Final = ("passed", "skipped", "failed")


def double(metafunc: pytest.Metafunc) -> None:
    """Have a test run twice: in the sandbox, then with real commits."""
    metafunc.fixturenames.append(AUDIT)
    metafunc.parametrize(AUDIT, _MODES, indirect=True, ids=list(_IDS.values()))


def repeat(items: list[pytest.Item], concerns: Callable[[pytest.Item], bool]) -> None:
    """The same for tests of unittest, which take no parameters."""
    for item in reversed(items):
        cls = getattr(item, "cls", None)
        if cls is None or not issubclass(cls, unittest.TestCase) or not concerns(item):
            continue
        first: Any = item
        names = first.fixturenames
        again = type(first).from_parent(first.parent, name=first.name)
        again.fixturenames[:] = names
        for each, mode in zip((first, again), _MODES, strict=True):
            each.stash[AUDITED] = mode
        items.insert(items.index(item) + 1, again)


def note_state(item: pytest.Item, changes: Changes) -> None:
    """Note what the test leaves, before it is undone."""
    kinds = {"added": changes.added, "changed": changes.changed}
    kinds["removed"] = changes.removed
    state = [
        f"{count} {kind} in {name}"
        for kind, counted in kinds.items()
        for name, count in sorted(counted.items())
        if count
    ]
    _tell(item, {"state": state})


def note(item: pytest.Item, report: pytest.TestReport, text: str) -> None:
    """Note a verdict; that of the second run counts for the comparison alone."""
    _tell(item, {"outcome": report.outcome, "text": text})
    report.user_properties = list(item.user_properties)
    if audited_mode(item) == "commit" and report.outcome == "failed":
        report.outcome, report.longrepr = "passed", None


def _tell(item: pytest.Item, said: Mapping[str, object]) -> None:
    """By a property, which comes from xdist's workers with the report."""
    item.user_properties.append((_PROPERTY, {"mode": audited_mode(item), **said}))


@dataclass
class _Side:
    """One of a test's two runs."""

    outcome: str = "passed"
    text: str = ""
    state: list[str] = field(default_factory=list)

    def take(self, said: Mapping[str, Any]) -> None:
        """Add what a report says; of several verdicts the worst counts."""
        self.state = said.get("state", self.state)
        outcome = said.get("outcome", "passed")
        if _RANK.index(outcome) > _RANK.index(self.outcome):
            self.outcome, self.text = outcome, said["text"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A test that is another one with real commits."""

    test: str
    sandbox: str
    commit: str
    why: str
    """The first line of the error, or the first table that differs."""


class Audit:
    """A plugin that collects both runs of each test and compares them."""

    def __init__(self, file: str | None) -> None:
        self._file = file
        self._tests: dict[str, dict[str, _Side]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a run of a test says; a worker's comes with its report."""
        if report.when != "teardown":
            return
        for name, said in report.user_properties:
            if name == _PROPERTY and isinstance(said, dict):
                sides = self._tests.setdefault(_base(report.nodeid), {})
                sides.setdefault(said["mode"], _Side()).take(said)

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        """List the tests that differ, as a table, and as JSON where it is asked for."""
        if not self._tests:
            return
        found = list(self._differences())
        terminalreporter.section("audit: sandbox against real commits")
        for each in found:
            terminalreporter.write_line(
                f"{each.test}: {each.sandbox} in the sandbox,"
                f" {each.commit} with real commits",
                red=True,
            )
            terminalreporter.write_line(f"    {each.why}")
        text = f"{len(found)} of {len(self._tests)} tests differ"
        terminalreporter.write_line(text, red=bool(found), green=not found)
        if self._file:
            plain = [dataclasses.asdict(each) for each in found]
            Path(self._file).write_text(json.dumps(plain, indent=2), encoding="utf-8")

    def _differences(self) -> Iterator[Difference]:
        for test, sides in self._tests.items():
            if len(sides) < len(_MODES):
                continue
            sandbox, commit = (sides[mode] for mode in _MODES)
            if sandbox.outcome != commit.outcome:
                why = commit.text or sandbox.text
                yield Difference(test, sandbox.outcome, commit.outcome, why)
            elif sandbox.state != commit.state and sandbox.outcome == "passed":
                why = _first_difference(sandbox.state, commit.state)
                yield Difference(test, sandbox.outcome, commit.outcome, why)


def _first_difference(sandbox: list[str], commit: list[str]) -> str:
    """What only one of the runs has left."""
    for each in sandbox:
        if each not in commit:
            return f"rows: {each}, in the sandbox alone"
    rest = [each for each in commit if each not in sandbox]
    return f"rows: {rest[0]}, with real commits alone"


def _base(nodeid: str) -> str:
    """The test's name without the part that tells its two runs apart."""
    head, bracket, rest = nodeid.partition("[")
    inner = _PART.sub("-", f"{bracket}{rest}").replace("[-", "[").replace("-]", "]")
    return head + inner.replace("[]", "")
