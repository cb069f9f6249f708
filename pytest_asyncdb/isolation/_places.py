"""Where in the application something was opened: a few cheap frames, formatted late."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from greenlet import getcurrent

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from greenlet import greenlet
    from sqlalchemy import URL

__all__ = [
    "Place",
    "current_task",
    "engine_name",
    "here",
    "leaving_with",
    "running_loop",
]

_OTHERS: Final = tuple(
    f"/{name}/"
    for name in [
        "sqlalchemy",
        "sqlmodel",
        "pytest_asyncdb",
        "greenlet",
        "_pytest",
        "xdist",
        "execnet",
        "pytest",
        "pluggy",
        "pytest_asyncio",
        "anyio",
        "asyncio",
        "concurrent",
        "threading",
        "starlette",
        "fastapi",
        "httpx",
        "uvicorn",
        "contextlib",
    ]
)
_OTHER_ENDS: Final = ("/contextlib.py", "/threading.py", "/runpy.py")
_DEPTH: Final = 12
_BOTTOM: Final = ("/_pytest/", "/pluggy/")


@dataclass(frozen=True, slots=True)
class Place:
    """A stack of the application's frames, the innermost first."""

    frames: tuple[tuple[CodeType, int], ...]
    task: str

    def __str__(self) -> str:
        lines = [
            f"{code.co_filename}:{line} in {code.co_qualname}"
            for code, line in self.frames
        ]
        where = "\n      called from ".join(lines) or "code outside of the application"
        return f"{where} ({self.task})"


@lru_cache(maxsize=1024)
def _is_application(filename: str) -> bool:
    path = filename.replace("\\", "/")
    return not (
        path.endswith(_OTHER_ENDS)
        or path.startswith("<")
        or any(other in path for other in _OTHERS)
    )


@lru_cache(maxsize=1024)
def _is_bottom(filename: str) -> bool:
    """Whether it is pytest that calls: what stands below is not the test's."""
    path = filename.replace("\\", "/")
    return any(name in path for name in _BOTTOM)


def here() -> Place:
    """Where the running code stands, the innermost frame first."""
    task = current_task()
    name = f"task {task.get_name()}" if task is not None else "no task"
    return Place(tuple(_frames(sys._getframe(1))), name)


def _frames(innermost: FrameType) -> list[tuple[CodeType, int]]:
    """The application's frames, also those that wait for SQLAlchemy's greenlet."""
    found: list[tuple[CodeType, int]] = []
    frame: FrameType | None = innermost
    running: greenlet | None = getcurrent()
    while running is not None:
        while frame is not None:
            filename = frame.f_code.co_filename
            if _is_application(filename):
                found.append((frame.f_code, frame.f_lineno))
            if len(found) == _DEPTH or _is_bottom(filename):
                return found
            frame = frame.f_back
        running = running.parent
        frame = None if running is None else running.gr_frame
    return found


def engine_name(url: URL) -> str:
    """An engine in a message: its URL without the password, and as it was written."""
    return repr(url).replace("%3A", ":")


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def current_task() -> asyncio.Task[Any] | None:
    """The running task of this thread, or None where no loop runs."""
    return asyncio.current_task() if running_loop() is not None else None


def leaving_with() -> BaseException | None:
    """The exception with which the innermost `with` block is being left.

    SQLAlchemy leaves blocks in a greenlet, where `sys.exc_info` knows nothing of it.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "__exit__":
            for value in frame.f_locals.values():
                if isinstance(value, BaseException):
                    return value
        frame = frame.f_back
    return sys.exc_info()[1]
