"""When the guest loop stops waiting: its turner has a loop of his own to go back to."""

from __future__ import annotations

import os
import selectors
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

__all__ = ["GuestSelector"]


class GuestSelector(selectors.DefaultSelector):
    """Stops the loop where it would block for longer than its turner can spare.

    Until `spins_until` it looks again and again: a thread that sleeps is woken later
    than most servers on the same machine answer. Until `sleeps_until` it sleeps.
    """

    loop: asyncio.AbstractEventLoop
    spins_until = 0.0
    sleeps_until = 0.0
    wake: float | None = None

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        while not events and time.monotonic() < self.spins_until:
            _yield_core()
            events = super().select(0)
        return events or self._sleep(timeout)

    def _sleep(self, timeout: float | None) -> Any:
        spare = max(0.0, self.sleeps_until - time.monotonic())
        wait = spare if timeout is None else min(spare, timeout)
        events = super().select(wait) if wait else []
        if not events and (timeout is None or timeout > spare):
            self.wake = timeout
            self.loop.stop()
        return events


def _yield_core() -> None:
    """Let another process run here, such as the server."""
    if hasattr(os, "sched_yield"):
        os.sched_yield()
