"""Random overlaps of transactions with savepoints, without any waiting.

What `Stack` says is sent to a real SQLite connection; the rows must be those that were
neither rolled back nor refused, and nothing may be refused that could have been done.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

import pytest

from pytest_asyncdb.isolation._places import here
from pytest_asyncdb.isolation._transactions import Conflict, Stack, Transaction

PROGRAMS: Final = 12_000
BATCHES: Final = 12
SOON: Final = 0.6
"""How often a statement has its answer before the next step."""
VERBS: Final = {
    "write": 5,
    "read": 3,
    "fail": 0.5,
    "nest": 3,
    "release": 2,
    "undo": 2,
    "commit": 2,
    "rollback": 1,
}


class Refused(Exception):
    """A rollback was refused, with a reason."""


@dataclass(eq=False)
class Actor:
    """A transaction, and what it should have achieved."""

    name: int
    transaction: Transaction
    rows: list[int] = field(default_factory=list)
    marks: list[tuple[str, int]] = field(default_factory=list)


class Program:
    """One stack, one connection, up to four transactions at a time."""

    def __init__(self, seed: int, server: sqlite3.Connection) -> None:
        self.random = random.Random(seed)  # noqa: S311 - nothing secret
        self.server = server
        self.stack = Stack("s")
        self.actors: list[Actor] = []
        self.owners: dict[int, Actor] = {}
        self.clock = 0
        self.busy: Actor | None = None
        self.log: list[str] = []

    def run(self) -> None:
        """Do so many steps, then commit what is open."""
        for _ in range(self.random.randint(3, 30)):
            if len(self.actors) < self.random.randint(0, 4) or not self.actors:
                self._begin()
            (verb,) = self.random.choices(list(VERBS), list(VERBS.values()))
            actor = self.random.choice(self.actors)
            if actor is self.busy or self.random.random() < SOON:
                self._answered()
            if verb in {"undo", "rollback"} or not actor.transaction.aborted:
                self.log.append(f"{actor.name}: {verb}")
                getattr(self, f"_{verb}")(actor)
        self._answered()
        for actor in list(self.actors):
            self._commit(actor)
        self._send()

    def _begin(self) -> None:
        transaction = Transaction("an engine", here(), None, self)
        self.actors.append(Actor(len(self.log), transaction))
        self.stack.begin(transaction)

    def _send(self) -> None:
        controls, self.stack.pending = self.stack.pending, []
        for control in controls:
            self.server.execute(control)

    def _statement(self, actor: Actor, *, writes: bool) -> None:
        """Its answer comes later: meanwhile others begin and end what they like."""
        self._answered()
        self.stack.prepare(actor.transaction, writes=writes)
        self._send()
        self.busy = actor
        actor.transaction.busy = True

    def _answered(self) -> None:
        if self.busy is not None:
            self.busy.transaction.busy = False
            self.busy = None
            self.log.append("the answer")

    def _read(self, actor: Actor) -> None:
        self._statement(actor, writes=False)

    def _write(self, actor: Actor) -> None:
        self._statement(actor, writes=True)
        self.clock += 1
        self.server.execute("INSERT INTO made VALUES (?)", (self.clock,))
        actor.rows.append(self.clock)
        self.owners[self.clock] = actor

    def _fail(self, actor: Actor) -> None:
        """The server refuses all more until the transaction is rolled back, or a part.

        SQLite does not, but undoes what it is told to undo.
        """
        self._statement(actor, writes=True)
        segment = self.stack.top()
        self._answered()
        actor.transaction.aborted = True
        self.stack.failed(segment)

    def _nest(self, actor: Actor) -> None:
        name = f"sa_{len(actor.marks) + 1}"
        self.stack.savepoint(actor.transaction, name)
        actor.marks.append((name, self.clock))

    def _release(self, actor: Actor) -> None:
        if actor.marks:
            index = self.random.randrange(len(actor.marks))
            self.stack.release(actor.transaction, actor.marks[index][0])
            del actor.marks[index:]

    def _undo(self, actor: Actor) -> None:
        if actor.marks:
            index = self.random.randrange(len(actor.marks))
            name, since = actor.marks[index]
            with self._undoing(actor, since):
                self.stack.rollback_to(actor.transaction, name)
            del actor.marks[index + 1 :]

    def _commit(self, actor: Actor) -> None:
        if actor.transaction.aborted:
            self._rollback(actor)
            return
        self.stack.end(actor.transaction, commit=True)
        self.actors.remove(actor)

    def _rollback(self, actor: Actor) -> None:
        with self._undoing(actor, 0):
            self.stack.end(actor.transaction, commit=False)
        self.actors.remove(actor)

    def _undoing(self, actor: Actor, since: int) -> _Undoing:
        return _Undoing(self, actor, [row for row in actor.rows if row > since])


class _Undoing:
    """A rollback of those rows: done, or refused for a later row of another's."""

    def __init__(self, program: Program, actor: Actor, rows: list[int]) -> None:
        self.program = program
        self.actor = actor
        self.rows = rows

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        owners = self.program.owners
        if kind is not Conflict:
            for row in self.rows:
                self.actor.rows.remove(row)
                del owners[row]
            return
        first = min(self.rows, default=self.program.clock)
        assert any(row > first and owners[row] is not self.actor for row in owners)
        raise Refused


@pytest.mark.parametrize("batch", range(BATCHES))
def test_what_the_stack_says_does_to_the_rows_what_was_asked(batch: int) -> None:
    """In every program, up to its end or its first refusal."""
    refused = 0
    for seed in range(batch, PROGRAMS, BATCHES):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as server:
            server.execute("CREATE TABLE made (row integer)")
            server.execute("BEGIN")
            program = Program(seed, server)
            try:
                program.run()
            except Refused:
                refused += 1
                continue
            found = server.execute("SELECT row FROM made ORDER BY 1")
            rows = [row for (row,) in found]

            assert sorted(program.owners) == rows, (seed, program.log)
            assert program.stack.is_empty()
    assert 0.25 * PROGRAMS / BATCHES > refused


def test_a_reader_suspended_below_anothers_savepoint_outlives_its_rollback() -> None:
    """It was busy when that savepoint was set, so its own first stands lower."""
    stack = Stack("s")
    writer, reader = (Transaction(name, here(), None, None) for name in ("w", "r"))
    stack.begin(writer)
    stack.prepare(writer, writes=True)
    stack.begin(reader)
    stack.prepare(reader, writes=False)
    reader.busy = True
    stack.savepoint(writer, "sa_1")
    reader.busy = False
    stack.prepare(reader, writes=False)
    stack.prepare(writer, writes=False)
    assert [None] == reader.suspended

    stack.end(writer, commit=False)

    assert [None] == reader.suspended
    stack.prepare(reader, writes=False)
    assert reader is stack.top().transaction
