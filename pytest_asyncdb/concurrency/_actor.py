"""The functions that run against each other, and the connections that they use."""

from __future__ import annotations

import asyncio
import contextvars
import difflib
import inspect
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy.orm import Session

from pytest_asyncdb.concurrency._classify import leaves
from pytest_asyncdb.concurrency._exploring import OPTIONS
from pytest_asyncdb.concurrency._intercept import actor_number
from pytest_asyncdb.errors import ExplorationRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from pytest_asyncdb.concurrency._op import Op
    from pytest_asyncdb.concurrency._rules import Transaction
    from pytest_asyncdb.concurrency._trace import Step

__all__ = ["Actor", "Function", "Lane", "check_actors"]

Function: TypeAlias = "Callable[[], Awaitable[Any]]"
_MOST: Final = 26
_STOPS: Final = (KeyboardInterrupt, SystemExit)


def check_actors(
    mapping: object, named: Mapping[str, Function], others: Sequence[object] = ()
) -> dict[str, Function]:
    """The actors by name; raises `ExplorationRefused` for what cannot be one.

    `others` are arguments besides the mapping, and one too many.
    """
    if others or not isinstance(mapping, Mapping | None):
        raise ExplorationRefused.no_names([mapping, *others])
    found = {**(mapping or {}), **named}
    for name, fn in found.items():
        if inspect.iscoroutine(fn):
            fn.close()
            raise ExplorationRefused.already_called(name)
        if not callable(fn):
            near = difflib.get_close_matches(name, OPTIONS, 1)
            raise ExplorationRefused.not_callable(name, fn, near)
    if not 1 <= len(found) <= _MOST:
        raise ExplorationRefused.count(len(found), _MOST)
    return found


@dataclass(eq=False, slots=True)
class Lane:
    """A connection of an actor; what can be let go or kept waiting."""

    number: int
    session: int
    transaction: Transaction
    pending: Op | None = None
    """What it would do next; None while it is on its way."""
    resume: asyncio.Future[None] | None = None
    step: Step | None = None
    """The last one that was let go."""
    flies: bool = False
    """Whether the server has not answered it yet, as far as is known."""
    is_quiet: bool = False
    """Whether something was sent that is no step, and has not been answered."""
    waits: bool = False
    """Whether it waits in the database for another session."""
    waits_since: float = 0.0
    blockers: frozenset[int] = frozenset()


@dataclass(eq=False, slots=True)
class Actor:
    """One function in one schedule."""

    number: int
    name: str
    fn: Function
    task: asyncio.Task[None] | None = None
    lanes: dict[object, Lane] = field(default_factory=dict)
    result: Any = None
    error: BaseException | None = None
    moves: bool = False
    """Whether its code runs, or may do so at any time without another step."""
    in_driver: int = 0
    """How many of its tasks connect, or have sent what is no step."""
    stalled: bool = False
    """Whether it waits for something that is not the database."""
    done: bool = False

    def start(self, arrived: Callable[[], None]) -> None:
        """Let it run, in a context of its own; `arrived` is called at its end."""
        context = contextvars.copy_context()
        context.run(actor_number.set, self.number)
        loop = asyncio.get_running_loop()
        self.task = loop.create_task(
            self._run(arrived), name=f"actor {self.name}", context=context
        )

    async def _run(self, arrived: Callable[[], None]) -> None:
        try:
            found = self.fn()
            if not inspect.isawaitable(found):
                raise ExplorationRefused.not_async(self.name)  # noqa: TRY301
            self.result = await found
        except _STOPS:
            raise
        except BaseException as error:  # noqa: BLE001 - pytest.fail() is one, too
            self.error = error
        finally:
            self.done, self.moves = True, False
            arrived()

    @property
    def refused_by(self) -> Iterator[Session]:
        """The sessions that did not do what its code asked for.

        Their errors do not name them; the frames through which they came do.
        """
        for error in leaves(self.error) if self.error is not None else ():
            for frame, _ in traceback.walk_tb(error.__traceback__):
                if isinstance(found := frame.f_locals.get("self"), Session):
                    yield found

    @property
    def place(self) -> str:
        """Where its code stands."""
        frames = self.task.get_stack() if self.task is not None else []
        if not frames:
            return "an unknown line"
        found = frames[-1]
        return f"{found.f_code.co_filename}:{found.f_lineno}"
