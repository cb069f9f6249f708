"""Hooks that other plugins, and a conftest.py, may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["pytest_asyncdb_isolation_begin", "pytest_asyncdb_isolation_end"]


@pytest.hookspec
def pytest_asyncdb_isolation_begin(item: pytest.Item, isolation: str) -> None:
    """A test has been isolated, and none of its fixtures has been set up.

    `isolation` is "sandbox", "commit", "database" or a strategy of the project's own.
    With the first test of a run that is once the session-scoped fixtures are there that
    say what the database is.
    """


@pytest.hookspec
def pytest_asyncdb_isolation_end(
    item: pytest.Item, isolation: str, findings: Sequence[str]
) -> None:
    """A test has been undone, after its last finaliser.

    `findings` say what it left behind, each with its cure.
    """
