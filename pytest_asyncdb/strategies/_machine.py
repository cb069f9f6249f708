"""State machines whose rules are coroutine functions, each run isolated."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from sqlalchemy import event

from pytest_asyncdb.strategies._running import host_of_test

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from hypothesis import settings as Settings  # noqa: N812 - it is a class
    from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["AsyncDatabaseMachine", "awaited"]

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound="AsyncDatabaseMachine")

_SHOWN: Final = 200


class AsyncDatabaseMachine(RuleBasedStateMachine):
    """A `RuleBasedStateMachine` on the database of a sync test; see `awaited`.

    Each run begins where the test's fixtures have left off, with a fresh `session`; of
    the one that fails, every step is printed below its SQL. One that overrides
    `__init__` or `teardown` calls those of this class.

    Raises `StrategyRefused` where no test runs that uses our fixtures.
    """

    def __init__(self) -> None:
        super().__init__()
        self._current = host_of_test()
        self._example = self._current.example()
        self._example.__enter__()

    @property
    def session(self) -> AsyncSession:
        """The session of the test."""
        return self._current.session

    def teardown(self) -> None:
        """Let all that was written vanish."""
        super().teardown()
        self._example.__exit__(None, None, None)

    @classmethod
    def check(cls, *, settings: Settings | None = None) -> None:
        """Run the machine, in a sync test that asks for a fixture of ours.

        Raises what a rule or an invariant raises, of the shortest run that was found.
        """
        host_of_test().settle()
        run_state_machine_as_test(cls, settings=settings)

    def _awaited(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async def call() -> T:
            return await make()

        with self._noted():
            return self._current.run(call)

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        """Say what SQL a step sends; Hypothesis names the step below it."""
        said: list[str] = []

        def remember(_: Any, __: Any, statement: str, *___: object) -> None:
            said.append(" ".join(statement.split())[:_SHOWN])

        engine = self.session.get_bind()
        event.listen(engine, "before_cursor_execute", remember)
        try:
            yield
        finally:
            event.remove(engine, "before_cursor_execute", remember)
            for each in said:
                note(f"    # {each}")


def awaited(
    function: Callable[Concatenate[M, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[M, P], T]:
    """Let a coroutine function be a rule, an invariant or an initializer of a machine.

    It stands below Hypothesis' own decorator: `@rule(...)`, then `@awaited`.
    """

    @functools.wraps(function)
    def step(self: M, /, *args: P.args, **keywords: P.kwargs) -> T:
        return self._awaited(lambda: function(self, *args, **keywords))

    return step
