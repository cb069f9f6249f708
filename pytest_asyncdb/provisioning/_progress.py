"""Saying what takes long, while it does."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Timer
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Progress"]

_SILENCE: Final = 1.0
"""Seconds that a step may take before anything is said."""


class Progress:
    """Tells `say`, from a thread, of each step that takes more than a second."""

    def __init__(self, say: Callable[[str], None] | None = None) -> None:
        self._say = say

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """While something is done that may take long."""
        if self._say is None:
            yield
            return
        timer = Timer(_SILENCE, self._say, [f"asyncdb: {what} ..."])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
