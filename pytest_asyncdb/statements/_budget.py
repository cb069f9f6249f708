"""Budgets: how many statements a block may send, of which kind, on which tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.errors import BudgetExceeded, StatementsRefused
from pytest_asyncdb.statements._loops import grouped, loops_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from pytest_asyncdb.statements._loops import Loop
    from pytest_asyncdb.statements._recorder import Recorder
    from pytest_asyncdb.statements._statement import Statement

__all__ = ["Budget", "Expectation"]

_NUMBERS: Final = ("at_most", "exactly", "reads", "writes")


@dataclass(frozen=True)
class Budget:
    """What a block may send. Raises `StatementsRefused` for what nothing can meet."""

    at_most: int | None
    exactly: int | None
    reads: int | None
    writes: int | None
    tables: Collection[str] | None
    no_n_plus_one: bool

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 0):
                raise StatementsRefused.number(name, value)
        if isinstance(self.tables, str):
            raise StatementsRefused.tables(self.tables)
        if not self._says_anything:
            raise StatementsRefused.nothing()
        least = (self.reads or 0) + (self.writes or 0)
        if self.exactly is not None and self.at_most is not None:
            raise StatementsRefused.contradiction(self._words)
        limit = self.at_most if self.exactly is None else self.exactly
        if limit is not None and least > limit:
            raise StatementsRefused.contradiction(self._words)
        both = None not in (self.exactly, self.reads, self.writes)
        if both and least != self.exactly:
            raise StatementsRefused.contradiction(self._words)

    @property
    def _says_anything(self) -> bool:
        numbers = any(getattr(self, name) is not None for name in _NUMBERS)
        return numbers or self.tables is not None or self.no_n_plus_one

    @property
    def _words(self) -> list[str]:
        return [
            f"{name}={getattr(self, name)}"
            for name in _NUMBERS
            if getattr(self, name) is not None
        ]

    def broken_by(self, statements: Sequence[Statement]) -> Iterator[str]:
        """What of it these statements break, in a line each."""
        count = len(statements)
        writes = sum(each.is_write for each in statements)
        if self.at_most is not None and count > self.at_most:
            yield f"{_many(count)} sent, at most {self.at_most} expected"
        if self.exactly is not None and count != self.exactly:
            yield f"{_many(count)} sent, exactly {self.exactly} expected"
        if self.reads is not None and count - writes != self.reads:
            yield f"{count - writes} of them read, {self.reads} expected"
        if self.writes is not None and writes != self.writes:
            yield f"{writes} of them write, {self.writes} expected"
        if self.tables is not None:
            touched = set[str]().union(*(each.tables for each in statements))
            for name in sorted(touched - set(self.tables)):
                yield f"the table {name} was touched"


def _many(count: int) -> str:
    return "1 statement was" if count == 1 else f"{count} statements were"


class Expectation:
    """A block whose statements are counted, and checked where it ends."""

    def __init__(self, recorder: Recorder, budget: Budget) -> None:
        self._recorder = recorder
        self._budget = budget
        self._begin = 0
        self._end: int | None = None
        self._unseen = 0

    @property
    def log(self) -> Sequence[Statement]:
        """All statements of the block, in the order in which they were sent."""
        return self._recorder.log[self._begin : self._end]

    @property
    def statements(self) -> Sequence[Statement]:
        """Those that count: no savepoints, and none of factories."""
        return [
            each
            for each in self.log
            if not (each.kind == "transaction" or each.factory)
        ]

    def _enter(self) -> None:
        if not self._recorder.is_recording:
            raise StatementsRefused.closed()
        self._begin, self._end = len(self._recorder.log), None
        self._unseen = self._recorder.unseen

    def _leave(self, error: BaseException | None) -> None:
        self._end = len(self._recorder.log)
        if error is not None:
            return
        unseen = self._recorder.unseen - self._unseen
        if unseen and not self.log:
            raise StatementsRefused.not_captured(unseen)
        statements = self.statements
        broken = list(self._budget.broken_by(statements))
        loops = self._loops() if self._budget.no_n_plus_one else []
        if broken or loops:
            raise BudgetExceeded.by(
                broken,
                [str(each) for each in loops],
                list(grouped(statements)),
                list(self._notes()),
            )

    def _loops(self) -> list[Loop]:
        return loops_in(self.log, self._recorder.allowances, start=self._begin)

    def _notes(self) -> Iterator[str]:
        kinds = Counter(each.factory for each in self.log if each.kind != "transaction")
        if kinds[True]:
            yield f"{kinds[True]} more of factories are not counted"
        unseen = self._recorder.unseen - self._unseen
        if unseen:
            yield (
                f"{unseen} more went to engines that are not captured; they are not"
                " recorded"
            )

    def __enter__(self) -> Self:
        self._enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        __tracebackhide__ = True
        self._leave(error)

    async def __aenter__(self) -> Self:
        self._enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        __tracebackhide__ = True
        self._leave(error)
