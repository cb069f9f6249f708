"""Builds that go on together: where all wait for a flush, one is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet
from sqlalchemy.util.concurrency import in_greenlet

try:
    from sqlalchemy.util.concurrency import await_
except ImportError:  # SQLAlchemy 2.0
    from sqlalchemy.util.concurrency import await_only as await_

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["await_", "in_greenlet", "together", "wait_for_flush"]

T = TypeVar("T")

_FLUSH: Final = object()
_AT_ONCE: Final = 500
"""How many builds are alive at a time; each holds a stack of some 20 kB."""


class _Worker(greenlet):
    """One build; SQLAlchemy knows by the attribute that it may await."""

    __sqlalchemy_greenlet_provider__ = True

    def __init__(self, fn: Callable[[], object], hub: greenlet) -> None:
        super().__init__(fn, hub)
        self.hub = hub
        self.gr_context = hub.gr_context

    def advance(self) -> None:
        """Go on until the build is done, or waits for a flush."""
        answer = self.switch()
        while not self.dead and answer is not _FLUSH:
            try:
                value = await_(answer)
            except BaseException as error:  # noqa: BLE001 - the build's to handle
                answer = self.throw(error)
            else:
                answer = self.switch(value)

    def dismiss(self) -> None:
        """End a build that has not ended; it awaits nothing more."""
        while not self.dead:
            awaitable = self.throw(GreenletExit)
            if hasattr(awaitable, "close"):
                awaitable.close()


def wait_for_flush(flush: Callable[[], None]) -> None:
    """Go on when all has been flushed: with the other builds, or at once."""
    current = getcurrent()
    if isinstance(current, _Worker):
        current.hub.switch(_FLUSH)
    else:
        flush()


def together(builds: Sequence[Callable[[], T]], flush: Callable[[], None]) -> list[T]:
    """The results of `builds`, for which `flush` is called once per depth of them."""
    results: list[T] = []
    for start in range(0, len(builds), _AT_ONCE):
        results += _together(builds[start : start + _AT_ONCE], flush)
    return results


def _together(builds: Sequence[Callable[[], T]], flush: Callable[[], None]) -> list[T]:
    results: dict[int, T] = {}

    def begin(index: int) -> _Worker:
        def build() -> None:
            results[index] = builds[index]()

        return _Worker(build, hub)

    hub = getcurrent()
    workers = [begin(index) for index in range(len(builds))]
    try:
        while workers:
            for worker in workers:
                worker.advance()
            workers = [worker for worker in workers if not worker.dead]
            if workers:
                wait_for_flush(flush)
    finally:
        for worker in workers:
            worker.dismiss()
    return [results[index] for index in range(len(builds))]
