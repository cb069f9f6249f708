"""One fault: at which statement it comes, and whether it has come."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.errors import FaultNotReached, FaultRefused

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from pytest_asyncdb.concurrency._inflict import Moment

__all__ = ["Fault", "compiled", "short"]

_SHOWN: Final = 20
_WIDTH: Final = 72


@dataclass(eq=False, slots=True)
class Fault:
    """A fault that waits for its statement, from when it is made until it is closed.

    `fired` holds the statements that it has hit. As a context it ends with its block,
    and raises `FaultNotReached` if it has hit none in it.
    """

    condition: str
    at: int = 1
    """The number of the arrival that it hits, among those that fit it; from 1."""
    times: int = 1
    moment: Moment | None = None
    """At a COMMIT, and when; None for a statement."""
    anywhere: bool = False
    """At statements and COMMITs alike."""
    pattern: re.Pattern[str] | None = None
    actor: str | None = None
    seconds: float = 1.0
    fired: list[str] = field(default_factory=list)
    armed: bool = True
    count: int = 0
    _seen: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        where = f"statement {self.at}" if self.moment is None else "COMMIT"
        if self.moment is not None and self.moment != "during":
            where = f"{self.moment} {where}"
        which = f" matching {self.pattern.pattern!r}" if self.pattern else ""
        who = f" of {self.actor}" if self.actor else ""
        return f"{self.condition} at {where}{which}{who}"

    @property
    def _names(self) -> tuple[str, str]:
        """What the task may be called; the second one in a search of interleavings."""
        return f"{self.actor}", f"actor {self.actor}"

    def hits(self, statement: str, *, commits: bool) -> bool:
        """Count an arrival; whether it is one to fail."""
        if not self.armed or not self._fits(statement, commits=commits):
            return False
        self.count += 1
        return self.at <= self.count < self.at + self.times

    def _fits(self, statement: str, *, commits: bool) -> bool:
        if self.actor is not None and _actor() not in self._names:
            return False
        if len(self._seen) < _SHOWN:
            self._seen.append(short(statement))
        if not self.anywhere and commits != (self.moment is not None):
            return False
        return self.pattern is None or self.pattern.search(statement) is not None

    def close(self) -> None:
        """Let statements be; raises `FaultNotReached` if it has hit none."""
        self.armed = False
        if not self.fired:
            raise FaultNotReached.of(self, self._seen)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.armed = False
        if error is None:
            self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)


def compiled(matching: str | None) -> re.Pattern[str] | None:
    """What `matching` says, of statements whose white space is single spaces."""
    if matching is None:
        return None
    try:
        return re.compile(matching, re.IGNORECASE)
    except re.error as error:
        expected = f"a regular expression ({error})"
        raise FaultRefused.option("matching", matching, expected) from error


def short(statement: str, *, width: int = _WIDTH) -> str:
    """A statement in one line of a table."""
    one_line = " ".join(statement.split())
    return one_line if len(one_line) <= width else f"{one_line[: width - 1]}…"


def _actor() -> str | None:
    """Who sends the statement: the name of the running task."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    return task.get_name() if task is not None else None
