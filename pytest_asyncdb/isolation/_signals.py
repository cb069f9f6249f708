"""Ctrl-C and time limits, held back while a driver is at work."""

from __future__ import annotations

import contextlib
import inspect
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["HeldSignal", "held_signals"]

_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGALRM") if hasattr(signal, name)
)
# Without the wrappers, which look for every handler among the names of an enum.
_get_handler: Final[Callable[[int], Any]] = inspect.unwrap(signal.getsignal)
_set_handler: Final[Callable[[int, Any], Any]] = inspect.unwrap(signal.signal)


class HeldSignal:
    """Notes a signal instead of handling it."""

    def __init__(self, handler: Callable[[int, FrameType | None], Any]) -> None:
        self.handler = handler
        self._noted: list[int] = []

    def __call__(self, number: int, _: FrameType | None) -> None:
        self._noted.append(number)

    def handle(self) -> None:
        """Have the handler do what it does; most raise."""
        while self._noted:
            self.handler(self._noted.pop(), None)


@contextlib.contextmanager
def held_signals() -> Iterator[list[HeldSignal]]:
    """Signals whose handlers may raise, as Ctrl-C and time limits, are noted for later.

    Inside of a driver they could break its state, and with compiled ones the process.
    """
    held: dict[int, HeldSignal] = {}
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            handler = _get_handler(number)
            if callable(handler) and not isinstance(handler, HeldSignal):
                held[number] = HeldSignal(handler)
                _set_handler(number, held[number])
    try:
        yield list(held.values())
    finally:
        for number, each in held.items():
            _set_handler(number, each.handler)
