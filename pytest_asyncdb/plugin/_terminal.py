"""Writing to the user's terminal: while tests run, and in the summary."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

__all__ = ["Line", "say", "write"]

Line: TypeAlias = "tuple[str, ...]"
"""A text, then its colour and weight by pytest's names."""


def write(reporter: pytest.TerminalReporter, lines: Iterable[Line]) -> None:
    """Write lines of the summary, coloured where pytest colours its own."""
    for text, *markup in lines:
        reporter.write_line(text, **dict.fromkeys(markup, True))


def say(config: pytest.Config, text: str) -> None:
    """Write a line that no test captures; a worker's goes to the run's stderr."""
    capture = config.pluginmanager.getplugin("capturemanager")
    reporter = config.pluginmanager.getplugin("terminalreporter")
    with contextlib.ExitStack() as stack:
        if capture is not None:
            stack.enter_context(capture.global_and_fixture_disabled())
        if reporter is None or hasattr(config, "workerinput"):
            print(f"\n{text}", file=sys.stderr, flush=True)  # noqa: T201 - to the user
        else:
            reporter.ensure_newline()
            reporter.write_line(text)
