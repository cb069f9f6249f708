"""Two writers who have both read before either of them writes."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import re
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.util import await_only

from pytest_asyncdb.backends._text import classify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

__all__ = ["Meeting", "Outcome"]

_writer: Final = contextvars.ContextVar[int | None]("asyncdb_writer", default=None)

Outcome = tuple[object, BaseException | None]
"""The result of a writer, or its error."""


class Meeting:
    """Has each writer wait at its first write for the other; then the first goes on.

    `patience` is for how many seconds: who waits for a lock of the other comes never.
    """

    def __init__(self, *, patience: float) -> None:
        self.writes: dict[int, list[str]] = {1: [], 2: []}
        """The statements of each writer that are no reads, in order."""
        self.met = False
        """Whether both had read before either wrote."""
        self._patience = patience
        self._arrived: set[int] = set()
        self._both = asyncio.Event()
        self._done = {number: asyncio.Event() for number in (1, 2)}

    async def at_once(self, write: Callable[[int], Awaitable[object]]) -> list[Outcome]:
        """Both writers at once; the first one ends before the second one writes."""
        with self._listening(waits=True):
            tasks = [asyncio.create_task(self._run(write, each)) for each in (1, 2)]
            return list(await asyncio.gather(*tasks))

    async def in_turn(self, write: Callable[[int], Awaitable[object]]) -> list[Outcome]:
        """One after the other."""
        with self._listening(waits=False):
            return [
                await asyncio.create_task(self._run(write, each)) for each in (1, 2)
            ]

    async def _run(
        self, write: Callable[[int], Awaitable[object]], number: int
    ) -> Outcome:
        _writer.set(number)
        try:
            return await write(number), None
        except Exception as error:  # noqa: BLE001 - which is the outcome
            return None, error
        finally:
            self._done[number].set()
            self._both.set()

    @contextlib.contextmanager
    def _listening(self, *, waits: bool) -> Iterator[None]:
        def listener(*args: Any) -> None:
            number, sql = _writer.get(), args[2]
            mysql = args[0].dialect.name in {"mysql", "mariadb"}
            if number is None or classify(sql, mysql=mysql).reads:
                return
            self.writes[number].append(" ".join(sql.split()))
            if waits and number not in self._arrived:
                await_only(self._arrive(number))

        event.listen(Engine, "before_cursor_execute", listener)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", listener)

    async def _arrive(self, number: int) -> None:
        self._arrived.add(number)
        if len(self._arrived) > 1:
            self.met = not self._done[3 - number].is_set()
            self._both.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._both.wait(), self._patience)
        if number == 2:  # noqa: PLR2004 - the second of two
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._done[1].wait(), self._patience)


def names(statements: Sequence[str], word: str) -> bool:
    """Whether any of the statements has that word, quoted or not."""
    return any(word in _words(each) for each in statements)


def _words(statement: str) -> set[str]:
    return set(re.findall(r"\w+", statement))
