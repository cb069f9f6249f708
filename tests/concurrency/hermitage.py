"""Hermitage's anomalies as scripts of steps, and what shows that one occurred.

Martin Kleppmann's scripts (github.com/ept/hermitage), which are for several terminals.
Names are those of Adya's thesis; OTV and PMP are Hermitage's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_asyncdb.concurrency import Lane
    from pytest_asyncdb.concurrency._lane import Step

__all__ = ["CASES", "Case", "History", "play"]

_READ: Final = "SELECT id, value FROM account WHERE "
_SET: Final = "UPDATE account SET value = "


@dataclass
class Turn:
    """What became of one transaction."""

    reads: list[dict[int, int]] = field(default_factory=list)
    committed: bool = False
    error: str = ""


@dataclass
class History:
    """What became of all, and the rows that are left."""

    turns: Sequence[Turn]
    rows: Mapping[int, int] = field(default_factory=dict)

    @property
    def all_committed(self) -> bool:
        """Whether nobody failed."""
        return all(turn.committed for turn in self.turns)

    def reads(self, number: int) -> list[dict[int, int]]:
        """What the transaction has read, its rows by their key."""
        return self.turns[number - 1].reads

    @property
    def errors(self) -> str:
        """The codes with which transactions failed."""
        return " ".join(sorted({turn.error for turn in self.turns if turn.error}))


@dataclass(frozen=True)
class Case:
    """Steps of numbered transactions, and what shows that the anomaly occurred."""

    steps: Sequence[tuple[int, str]]
    occurs: Callable[[History], bool]

    @property
    def transactions(self) -> int:
        """How many there are."""
        return max(number for number, _ in self.steps)


async def play(case: Case, lanes: Sequence[Lane]) -> History:
    """Take the steps in order; those of a transaction that waits come later."""
    player = _Player(lanes)
    for number, sql in case.steps:
        player.queues[number - 1].append(sql)
        await player.advance()
    assert not any(player.queues), "somebody still waits"
    return History(player.turns)


class _Player:
    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.turns = [Turn() for _ in lanes]
        self.queues: list[list[str]] = [[] for _ in lanes]
        self._lanes = lanes
        self._current: list[Step | None] = [None for _ in lanes]

    async def advance(self) -> None:
        """Let everybody do what there is to do, until nobody can."""
        while [
            place for place in range(len(self._lanes)) if await self._goes_on(place)
        ]:
            pass

    async def _goes_on(self, place: int) -> bool:
        step, queue, turn = self._current[place], self.queues[place], self.turns[place]
        if step is not None:
            if not step.is_done:
                return False
            self._current[place] = None
            await self._answered(place, step)
            return True
        if not queue:
            return False
        sql = queue.pop(0)
        if not turn.error:
            self._current[place] = self._lanes[place].start(sql)
        return True

    async def _answered(self, place: int, step: Step) -> None:
        turn = self.turns[place]
        try:
            result = await step
        except DBAPIError as error:
            turn.error = code_of(error)
            await self._lanes[place].rollback()
            return
        if step.work == "COMMIT":
            turn.committed = True
        elif result is not None and result.returns_rows:
            turn.reads.append({row.id: row.value for row in result})


def code_of(error: DBAPIError) -> str:
    """The server's code: SQLSTATE, MariaDB's number, or SQLite's name."""
    driver: Any = error.orig
    first = driver.args[0] if driver.args else None
    name = getattr(driver, "sqlite_errorname", None)
    return str(name or (first if isinstance(first, int) else driver.sqlstate))


def _mixed(history: History) -> bool:
    """T3 has seen some of what T1 wrote, and something older or newer besides."""
    return any(
        (seen[1] == 12 and seen[2] in {19, 20}) or (seen[1] == 11 and seen[2] == 20)
        for seen in history.reads(3)
    )


def _deletes_nothing(history: History) -> bool:
    """T2 saw a row with 20, and that one is still there, or nothing was deleted."""
    if history.all_committed and len(history.rows) == 2:
        return True
    second = history.turns[1]
    saw = bool(second.reads) and second.reads[0] == {2: 20}
    return second.committed and saw and 2 in history.rows and 1 not in history.rows


CASES: Final = {
    "G0": Case(
        [
            (1, f"{_SET} 11 WHERE id = 1"),
            (2, f"{_SET} 12 WHERE id = 1"),
            (1, f"{_SET} 21 WHERE id = 2"),
            (1, "COMMIT"),
            (2, f"{_SET} 22 WHERE id = 2"),
            (2, "COMMIT"),
        ],
        lambda it: it.rows[1] % 10 != it.rows[2] % 10,
    ),
    "G1a": Case(
        [
            (1, f"{_SET} 101 WHERE id = 1"),
            (2, f"{_READ} id = 1"),
            (1, "ROLLBACK"),
            (2, f"{_READ} id = 1"),
            (2, "COMMIT"),
        ],
        lambda it: {1: 101} in it.reads(2),
    ),
    "G1b": Case(
        [
            (1, f"{_SET} 101 WHERE id = 1"),
            (2, f"{_READ} id = 1"),
            (1, f"{_SET} 11 WHERE id = 1"),
            (1, "COMMIT"),
            (2, f"{_READ} id = 1"),
            (2, "COMMIT"),
        ],
        lambda it: {1: 101} in it.reads(2),
    ),
    "G1c": Case(
        [
            (1, f"{_SET} 11 WHERE id = 1"),
            (2, f"{_SET} 22 WHERE id = 2"),
            (1, f"{_READ} id = 2"),
            (2, f"{_READ} id = 1"),
            (1, "COMMIT"),
            (2, "COMMIT"),
        ],
        lambda it: (
            it.all_committed and {2: 22} in it.reads(1) and {1: 11} in it.reads(2)
        ),
    ),
    "OTV": Case(
        [
            (1, f"{_SET} 11 WHERE id = 1"),
            (1, f"{_SET} 19 WHERE id = 2"),
            (2, f"{_SET} 12 WHERE id = 1"),
            (1, "COMMIT"),
            (3, f"{_READ} 1 = 1"),
            (2, f"{_SET} 18 WHERE id = 2"),
            (3, f"{_READ} 1 = 1"),
            (2, "COMMIT"),
            (3, f"{_READ} 1 = 1"),
            (3, "COMMIT"),
        ],
        _mixed,
    ),
    "PMP": Case(
        [
            (1, f"{_READ} value = 30"),
            (2, "INSERT INTO account (id, value) VALUES (3, 30)"),
            (2, "COMMIT"),
            (1, f"{_READ} value % 3 = 0"),
            (1, "COMMIT"),
        ],
        lambda it: it.all_committed and 3 in it.reads(1)[-1],
    ),
    "PMP write": Case(
        [
            (1, f"{_SET} value + 10"),
            (2, f"{_READ} value = 20"),
            (2, "DELETE FROM account WHERE value = 20"),
            (1, "COMMIT"),
            (2, f"{_READ} value = 20"),
            (2, "COMMIT"),
        ],
        _deletes_nothing,
    ),
    "P4": Case(
        [
            (1, f"{_READ} id = 1"),
            (2, f"{_READ} id = 1"),
            (1, f"{_SET} 11 WHERE id = 1"),
            (2, f"{_SET} 11 WHERE id = 1"),
            (1, "COMMIT"),
            (2, "COMMIT"),
        ],
        lambda it: it.all_committed and it.reads(1)[0] == it.reads(2)[0] == {1: 10},
    ),
    "G-single": Case(
        [
            (1, f"{_READ} id = 1"),
            (2, f"{_READ} id = 1"),
            (2, f"{_READ} id = 2"),
            (2, f"{_SET} 12 WHERE id = 1"),
            (2, f"{_SET} 18 WHERE id = 2"),
            (2, "COMMIT"),
            (1, f"{_READ} id = 2"),
            (1, "COMMIT"),
        ],
        lambda it: it.all_committed and it.reads(1) == [{1: 10}, {2: 18}],
    ),
    "G-single predicate": Case(
        [
            (1, f"{_READ} value % 5 = 0"),
            (2, f"{_SET} 12 WHERE value = 10"),
            (2, "COMMIT"),
            (1, f"{_READ} value % 3 = 0"),
            (1, "COMMIT"),
        ],
        lambda it: it.all_committed and bool(it.reads(1)[-1]),
    ),
    "G-single write": Case(
        [
            (1, f"{_READ} id = 1"),
            (2, f"{_READ} id IN (1, 2)"),
            (2, f"{_SET} 12 WHERE id = 1"),
            (2, f"{_SET} 18 WHERE id = 2"),
            (2, "COMMIT"),
            (1, "DELETE FROM account WHERE value = 20"),
            (1, f"{_READ} id = 2"),
            (1, "COMMIT"),
        ],
        lambda it: it.all_committed and 2 in it.rows,
    ),
    "G2-item": Case(
        [
            (1, f"{_READ} id IN (1, 2)"),
            (2, f"{_READ} id IN (1, 2)"),
            (1, f"{_SET} 11 WHERE id = 1"),
            (2, f"{_SET} 21 WHERE id = 2"),
            (1, "COMMIT"),
            (2, "COMMIT"),
        ],
        lambda it: (
            it.all_committed and it.reads(1)[0] == it.reads(2)[0] == {1: 10, 2: 20}
        ),
    ),
    "G2": Case(
        [
            (1, f"{_READ} value % 3 = 0"),
            (2, f"{_READ} value % 3 = 0"),
            (1, "INSERT INTO account (id, value) VALUES (3, 30)"),
            (2, "INSERT INTO account (id, value) VALUES (4, 42)"),
            (1, "COMMIT"),
            (2, "COMMIT"),
        ],
        lambda it: it.all_committed and it.reads(1)[0] == it.reads(2)[0] == {},
    ),
    "G2 of three": Case(
        [
            (1, f"{_READ} 1 = 1"),
            (2, f"{_SET} value + 5 WHERE id = 2"),
            (2, "COMMIT"),
            (3, f"{_READ} 1 = 1"),
            (3, "COMMIT"),
            (1, f"{_SET} 0 WHERE id = 1"),
            (1, "COMMIT"),
        ],
        lambda it: (
            it.all_committed
            and it.reads(1)[0] == {1: 10, 2: 20}
            and it.reads(3)[0] == {1: 10, 2: 25}
        ),
    ),
}
