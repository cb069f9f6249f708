"""One lane: a transaction on a connection of its own, and the steps it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_asyncdb.errors import LaneBlocked

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Generator

    from sqlalchemy import Executable
    from sqlalchemy.ext.asyncio import AsyncSession

    from pytest_asyncdb.concurrency._lanes import Lanes

__all__ = ["Lane", "Step", "Work", "shown"]

Work: TypeAlias = (
    "str | Executable | Callable[[AsyncSession], Coroutine[Any, Any, Any]]"
)
"""SQL, a construct of SQLAlchemy's, or a coroutine function of an `AsyncSession`."""


def shown(work: Work) -> str:
    """A step's work on one line, for a message."""
    name = getattr(work, "__name__", None)
    return name if name is not None else " ".join(str(work).split())


class Step:
    """Something that a lane was told to do, and may still be at.

    Awaiting it gives its result, or raises its error.
    """

    def __init__(self, lane: Lane, work: Work, lanes: Lanes) -> None:
        self.lane = lane
        self.work = work
        self.task: asyncio.Task[Any] | None = None
        self.holders: frozenset[int] = frozenset()
        """The sessions that it waits for, when it was last asked."""
        self.waited_for: frozenset[Lane | int] = frozenset()
        """All that it has waited for so far."""
        self.retrieved = False
        self._lanes = lanes

    def __repr__(self) -> str:
        return f"<{self.lane}: {shown(self.work)}>"

    @property
    def is_done(self) -> bool:
        """Whether it has been answered; the database is asked now."""
        self._lanes.settle()
        return self.has_ended

    @property
    def has_ended(self) -> bool:
        """As far as is known without asking."""
        return self.task is not None and self.task.done()

    @property
    def is_blocked(self) -> bool:
        """Whether it waits for a lock, whosever it is; the database is asked now."""
        self._lanes.settle()
        return not self.has_ended and bool(self.holders)

    @property
    def blocked_by(self) -> frozenset[Lane | int]:
        """The lanes for which it waits in the database, which is asked now.

        A session that is no lane of ours is its number; -1 where the server says that
        the step waits but not for whom. Empty once it has been answered.
        """
        self._lanes.settle()
        return frozenset() if self.has_ended else self._lanes.named(self.holders)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._answer().__await__()

    async def _answer(self) -> Any:
        __tracebackhide__ = True
        await self._lanes.settled()
        if not self.has_ended:
            raise LaneBlocked.of(self, self._lanes.named(self.holders))
        self.retrieved = True
        assert self.task is not None
        return self.task.result()


class Lane:
    """One transaction after the other on a connection of its own.

    The connection lives on a loop in a thread of its own; so a lane works on any loop,
    and the loop of the test may stand still while the database is asked.
    """

    def __init__(self, name: str, lanes: Lanes) -> None:
        self.name = name
        self.current: Step | None = None
        self._lanes = lanes

    def __repr__(self) -> str:
        return self.name

    async def execute(self, work: Work, parameters: object = None) -> Any:
        """What the statement, or the coroutine function, gives; it must not wait.

        Results can be read later and by anybody. Raises what the database raises, and
        `LaneBlocked` for a step that waits for a lock: `start` is for these.
        """
        __tracebackhide__ = True
        step = await self._lanes.began(self, work, parameters)
        return await step

    def start(self, work: Work, parameters: object = None) -> Step:
        """Begin a step that may wait for a lock.

        Returns once it has been answered or waits in the database; the test's loop
        stands still until then. A statement that is only slow is given ten seconds.
        """
        __tracebackhide__ = True
        return self._lanes.begin(self, work, parameters)

    async def commit(self) -> None:
        """COMMIT. Steps of other lanes that waited for it have gone on when it ends."""
        await self.execute("COMMIT")

    async def rollback(self) -> None:
        """ROLLBACK. Steps of other lanes that waited for it have gone on."""
        await self.execute("ROLLBACK")
