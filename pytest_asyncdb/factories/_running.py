"""The test that runs, as far as factories need it; who runs tests says so here.

One test runs at a time in a process, so this is a plain global. It imports nothing:
it is told of every test, and most of them use no factory.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sqlalchemy.ext.asyncio import AsyncSession

__all__ = [
    "Host",
    "Measure",
    "RunningTest",
    "begin_test",
    "end_test",
    "record",
    "recorder",
    "running_test",
]

T = TypeVar("T")


class Host(Protocol):
    """What an isolated test offers."""

    @property
    def session(self) -> AsyncSession:
        """The test's own session, made when it is first asked for."""

    def run(self, fn: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run a coroutine function from sync code."""


class RunningTest:
    """One test: its random seed, and its session once it asks for one.

    `seed` is called when the test first uses a factory.
    """

    __slots__ = ("has_begun", "host", "seed", "thread")

    def __init__(self, seed: Callable[[], str]) -> None:
        self.seed = seed
        self.host: Host | None = None
        self.thread = threading.get_ident()
        self.has_begun = False
        """Whether a factory was used, from when on sequences count for this test."""


@dataclass(frozen=True)
class Measure:
    """What one call of a factory cost; `seconds` with all that it waited for."""

    factory: str
    rows: int
    statements: int
    flushes: int
    seconds: float


_running: RunningTest | None = None
_recorder: Callable[[Measure], None] | None = None


def begin_test(seed: Callable[[], str]) -> None:
    """From here on a test runs; `seed` gives what its random values come from."""
    global _running  # noqa: PLW0603 - one test runs at a time in a process
    _running = RunningTest(seed)


def end_test() -> None:
    """No test runs any more."""
    global _running  # noqa: PLW0603
    _running = None


def running_test() -> RunningTest | None:
    """The test that runs, if one does."""
    return _running


def record(recorder: Callable[[Measure], None] | None) -> None:
    """Let `recorder` have the measure of every call from here on; None: nobody."""
    global _recorder  # noqa: PLW0603
    _recorder = recorder


def recorder() -> Callable[[Measure], None] | None:
    """Who wants to know what calls cost, if anybody does."""
    return _recorder
