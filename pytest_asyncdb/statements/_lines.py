"""Which line of the application sends a statement, and by which way."""

from __future__ import annotations

import site
import sys
import sysconfig
import traceback
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy
from greenlet import getcurrent
from sqlalchemy.orm import Session

from pytest_asyncdb.statements._statement import Line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType, TracebackType

    from greenlet import greenlet

__all__ = ["Way", "line_of", "way"]

_PACKAGE: Final = str(Path(__file__).parents[1])
_FACTORIES: Final = str(Path(_PACKAGE, "factories"))
_INSTALLED: Final = tuple(
    {
        *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        str(Path(sqlalchemy.__file__).parent),
        *([site.getusersitepackages()] if site.ENABLE_USER_SITE else []),
    }
)
_FLUSH: Final = Session.flush.__code__


class Way(NamedTuple):
    """How the application came to a statement."""

    line: Line | None
    flushes: bool
    """A flush sent it."""
    factory: bool
    """A factory sent it."""


def way() -> Way:
    """The innermost line of the application, and what lies between it and here."""
    flushes = factory = False
    for frame in _frames():
        code = frame.f_code
        flushes = flushes or code is _FLUSH
        owner = _owner(code.co_filename)
        factory = factory or owner == "factory"
        if owner == "application":
            return Way(_line(code, frame.f_lineno), flushes, factory)
    return Way(None, flushes, factory)


def line_of(tb: TracebackType | None) -> Line | None:
    """The innermost line of the application in a traceback."""
    lines = [
        _line(frame.f_code, number)
        for frame, number in traceback.walk_tb(tb)
        if _owner(frame.f_code.co_filename) == "application"
    ]
    return lines[-1] if lines else None


def _line(code: CodeType, number: int) -> Line:
    """A comprehension or a lambda is named by the function that it stands in."""
    function = code.co_qualname.partition(".<locals>.<")[0]
    return Line(code.co_filename, number, function)


def _frames() -> Iterator[FrameType]:
    """Frames from here outwards, also those that wait for SQLAlchemy's greenlet."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - a traceback costs more
    running: greenlet | None = getcurrent()
    while running is not None:
        while frame is not None:
            yield frame
            frame = frame.f_back
        running = running.parent
        frame = None if running is None else running.gr_frame


@lru_cache(maxsize=4096)
def _owner(name: str) -> str:
    """Whose the file of that name is; to hash the code itself would cost more."""
    if name.startswith(_PACKAGE):
        return "factory" if name.startswith(_FACTORIES) else "package"
    if name.startswith((*_INSTALLED, "<")):
        return "installed"
    return "application"
