"""Which bridge suits: the loop that is turned by its callers, or one in a thread."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from pytest_asyncdb.isolation._guest import GuestLoop
from pytest_asyncdb.isolation._thread import ThreadLoop

if TYPE_CHECKING:
    from pytest_asyncdb.isolation._bridge import Bridge

__all__ = ["bridge_class", "guest_works"]


def bridge_class(kind: str, *, prefers_thread: bool) -> type[Bridge]:
    """The bridge of that kind: "guest", "thread", or "auto" for what suits."""
    thread = kind == "thread" or (kind == "auto" and prefers_thread)
    return ThreadLoop if thread or not guest_works() else GuestLoop


def guest_works() -> bool:
    """Whether this Python has what the guest loop needs, and was tried with it."""
    known = sys.version_info < (3, 14) and sys.platform != "win32"
    names = ("_enter_task", "_leave_task")
    running = ("_get_running_loop", "_set_running_loop")
    return (
        known
        and all(hasattr(asyncio, name) for name in running)
        and all(hasattr(asyncio.tasks, name) for name in names)
    )
