"""Values that are the same in every run of a test, whichever ran before it."""

from __future__ import annotations

from factory.random import reseed_random

from pytest_asyncdb.factories._options import restart
from pytest_asyncdb.factories._running import running_test

__all__ = ["refresh"]


def refresh() -> None:
    """Before a test's first object: let sequences and random values begin again."""
    test = running_test()
    if test is None or test.has_begun:
        return
    test.has_begun = True
    restart()
    reseed_random(test.seed())
