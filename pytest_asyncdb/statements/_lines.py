"""Which line of the application sends a statement, and by which way."""

from __future__ import annotations

import site
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy
from greenlet import getcurrent
from sqlalchemy.orm import Session

from pytest_asyncdb.statements._statement import Line

if TYPE_CHECKING:
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
_CYTHON: Final = (".pyx", ".pxd", ".pxi")
_FLUSH: Final = Session.flush.__code__
# By name: a string knows its hash, code does not.
_OWNERS: Final[dict[str, str]] = {}


class Way:
    """How the application came to a statement."""

    __slots__ = ("_code", "_number", "factory", "flushes")

    def __init__(
        self,
        code: CodeType | None,
        number: int,
        flushes: bool,  # noqa: FBT001 - by position, which is faster
        factory: bool,  # noqa: FBT001
    ) -> None:
        self._code = code
        self._number = number
        self.flushes = flushes
        """A flush sent it."""
        self.factory = factory
        """A factory sent it."""

    @property
    def line(self) -> Line | None:
        """The innermost line of the application; None where there is none."""
        return None if self._code is None else _line(self._code, self._number)


def way() -> Way:
    """The innermost line of the application, and what lies between it and here.

    Frames that wait for SQLAlchemy's greenlet are among those looked at. It is asked
    for each statement, so it calls as little as it can.
    """
    flushes = factory = False
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - a traceback costs more
    running: greenlet | None = getcurrent()
    while running is not None:
        while frame is not None:
            code = frame.f_code
            owner = _OWNERS.get(code.co_filename) or _owner(code.co_filename)
            if owner == "application":
                return Way(code, frame.f_lineno, flushes, factory)
            if owner == "factory":
                factory = True
            elif code is _FLUSH:
                flushes = True
            frame = frame.f_back
        running = running.parent
        frame = None if running is None else running.gr_frame
    return Way(None, 0, flushes, factory)


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


def _owner(name: str) -> str:
    """Whose the file of that name is."""
    if name.startswith(_PACKAGE):
        owner = "factory" if name.startswith(_FACTORIES) else "package"
    elif name.startswith((*_INSTALLED, "<")) or name.endswith(_CYTHON):
        owner = "installed"
    else:
        owner = "application"
    _OWNERS[name] = owner
    return owner
