"""A database that fits into a test: tables of one row, versions and locks."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.concurrency._op import Op
from pytest_asyncdb.concurrency._search import Point
from pytest_asyncdb.concurrency._trace import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_asyncdb.concurrency._op import Unit
    from pytest_asyncdb.concurrency._search import Strategy

__all__ = ["Instruction", "Program", "outcomes", "programs"]

Instruction = tuple[Kind, str]
Program = tuple[Instruction, ...]
_LENGTHS: Final = ((1, 1, 1), (2, 1, 1), (2, 2, 1), (1, 2, 1))
_TABLES: Final = ("x", "y", "z")


def programs(seed: int, *, longest: int = 3) -> list[Program]:
    """Two or three programs of reads, writes, commits and rollbacks."""
    chance = random.Random(seed)  # noqa: S311 - no secrets
    count = chance.choice([2, 2, 3])
    if count == 2:
        return [_program(chance, chance.randint(1, longest)) for _ in range(count)]
    return [_program(chance, length) for length in chance.choice(_LENGTHS)]


def _program(chance: random.Random, length: int) -> Program:
    kinds = [Kind.READ, Kind.READ, Kind.WRITE, Kind.WRITE, Kind.COMMIT]
    steps = [(chance.choice(kinds), chance.choice(_TABLES)) for _ in range(length)]
    return (*steps, (chance.choice([Kind.COMMIT, Kind.COMMIT, Kind.ROLLBACK]), ""))


@dataclass
class _Actor:
    number: int
    program: Program
    at: int = 0
    read: list[object] = field(default_factory=list)
    wrote: dict[str, object] = field(default_factory=dict)
    snapshot: dict[str, object] | None = None
    waits: str | None = None
    failed: bool = False

    @property
    def is_ready(self) -> bool:
        return self.at < len(self.program) and self.waits is None


class _World:
    def __init__(self, programs: Sequence[Program], *, snapshots: bool) -> None:
        self.rows: dict[str, object] = dict.fromkeys(_TABLES, 0)
        self.owner: dict[str, _Actor] = {}
        self.queue: list[_Actor] = []
        self.snapshots = snapshots
        self.actors = [_Actor(number, each) for number, each in enumerate(programs)]

    def point(self, previous: Unit | None) -> Point:
        ready = [each for each in self.actors if each.is_ready]
        return Point({(each.number, 1): self._op(each) for each in ready}, previous)

    def _op(self, actor: _Actor) -> Op:
        kind, table = actor.program[actor.at]
        tables = frozenset(actor.wrote) if not table else frozenset({table})
        if kind in {Kind.COMMIT, Kind.ROLLBACK}:
            tables = frozenset(actor.wrote)
        takes = self.snapshots and actor.snapshot is None
        statement = kind in {Kind.READ, Kind.WRITE}
        return Op(kind, f"{kind.value} {table}", tables, snapshot=takes and statement)

    def step(self, actor: _Actor) -> None:
        kind, table = actor.program[actor.at]
        if kind is Kind.READ:
            self._begin(actor)
            seen = actor.snapshot if self.snapshots else self.rows
            assert seen is not None
            actor.read.append(actor.wrote.get(table, seen[table]))
        elif kind is Kind.WRITE:
            self._begin(actor)
            self._write(actor, table)
            return
        else:
            self._finish(actor, commits=kind is Kind.COMMIT)
        actor.at += 1

    def _begin(self, actor: _Actor) -> None:
        if actor.snapshot is None:
            actor.snapshot = dict(self.rows)

    def _write(self, actor: _Actor, table: str) -> None:
        owner = self.owner.setdefault(table, actor)
        if owner is actor:
            # What is written depends on all that was read, and on the row itself.
            row = actor.wrote.get(table, self.rows[table])
            actor.wrote[table] = (actor.number, actor.at, tuple(actor.read), row)
            actor.at += 1
            return
        actor.waits = table
        self.queue.append(actor)
        if self._waits_for_itself(actor):
            actor.failed = True
            self.queue.remove(actor)
            actor.waits, actor.at = None, len(actor.program)
            self._finish(actor, commits=False)

    def _waits_for_itself(self, actor: _Actor) -> bool:
        seen, each = set(), actor
        while each.waits is not None and each.number not in seen:
            seen.add(each.number)
            each = self.owner[each.waits]
        return each is actor

    def _finish(self, actor: _Actor, *, commits: bool) -> None:
        if commits:
            self.rows.update(actor.wrote)
        actor.wrote, actor.snapshot = {}, None
        self.owner = {
            table: owner for table, owner in self.owner.items() if owner is not actor
        }
        for waiting in tuple(self.queue):
            table = waiting.waits
            if table is not None and table not in self.owner:
                self.queue.remove(waiting)
                waiting.waits = None
                self._write(waiting, table)

    def outcome(self) -> str:
        reads = [(each.failed, each.read) for each in self.actors]
        return repr((sorted(self.rows.items()), reads))


def outcomes(
    programs: Sequence[Program], strategy: Strategy, *, snapshots: bool
) -> tuple[set[str], int]:
    """What the programs can end in, and how many schedules it took to say so."""
    found, count = set(), 0
    while strategy.more():
        count += 1
        world, previous = _World(programs, snapshots=snapshots), None
        while (point := world.point(previous)).ops:
            previous = strategy.choose(point)
            world.step(world.actors[previous[0]])
        strategy.end()
        found.add(world.outcome())
    return found, count
