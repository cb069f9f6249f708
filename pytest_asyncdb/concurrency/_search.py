"""Which schedule to try next: depth-first, smallest number of preemptions first.

Nothing here knows a database. A preemption is a step of another actor while the one
before could have gone on (Musuvathi, Qadeer: Iterative context bounding, 2007). What
need not be tried sleeps (Godefroid: Partial-order methods, 1996).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from pytest_asyncdb.concurrency._op import independent, is_same

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asyncdb.concurrency._op import Op, Unit

__all__ = ["DepthFirst", "Divergence", "Point", "Strategy", "go_on"]


@dataclass(frozen=True, slots=True)
class Point:
    """Where a step has to be chosen: what each waiting connection would do.

    `previous` is the one that went last; None at the start. `contested`: several waited
    in the database for the step before, and which of them it served is its own choice.
    """

    ops: Mapping[Unit, Op]
    previous: Unit | None = None
    contested: bool = False


@dataclass(frozen=True, slots=True)
class Divergence:
    """The same choices have led to another step: of these two texts, at that depth."""

    depth: int
    expected: str
    found: str


class Strategy(Protocol):
    """Chooses each step of each schedule.

    `complete` says that no schedule within `bound` is left, which is None where all
    are meant; `reduced` counts schedules that were begun and proved superfluous.
    """

    complete: bool
    bound: int | None
    reduced: int
    divergences: list[Divergence]

    def more(self) -> bool:
        """Whether another schedule is to be tried; called before each."""

    def choose(self, point: Point) -> Unit:
        """The connection that goes next."""

    def end(self) -> None:
        """The schedule has ended."""


def go_on(point: Point) -> Unit:
    """The connection that went last, or else the first one."""
    if point.previous is not None and point.previous in point.ops:
        return point.previous
    return next(iter(point.ops))


@dataclass(slots=True, eq=False)
class _Node:
    """What is known of the state after some choices; a child of None is an end."""

    ops: Mapping[Unit, Op]
    previous: Unit | None
    children: dict[Unit, _Node | None] = field(default_factory=dict)

    def spends(self, unit: Unit) -> int:
        """How many preemptions the choice is."""
        previous = self.previous
        return int(previous is not None and unit != previous and previous in self.ops)


@dataclass(slots=True, eq=False)
class _Frame:
    """A node on the way to the current one, and what has been tried there.

    A unit that was tried rests for its siblings only if the bound cut nothing below:
    otherwise a schedule that it stands for may never have been run.
    """

    node: _Node
    spent: int
    asleep: frozenset[Unit]
    chosen: Unit | None = None
    tried: set[Unit] = field(default_factory=set)
    rested: set[Unit] = field(default_factory=set)
    cut: bool = False

    def done(self, *, cut: bool) -> None:
        """All below the chosen one has been tried, or else `cut`."""
        assert self.chosen is not None
        self.tried.add(self.chosen)
        if cut:
            self.cut = True
        else:
            self.rested.add(self.chosen)
        self.chosen = None


_FIRST: Final = 1
"""Up to how many preemptions schedules come in their order where there is no limit."""
_RETRIES: Final = 3
"""How often a schedule is tried again that went another way than before."""
_UNKNOWN: Final = _Node({}, None)


class DepthFirst:
    """Every schedule of at most 0, then 1, then 2 preemptions, up to `limit`.

    Without a limit all others come after those of 1. No schedule is run twice: what is
    known is kept as a tree. `reduces` leaves out schedules that differ from another
    only in the order of independent steps.
    """

    def __init__(self, limit: int | None, *, reduces: bool = True) -> None:
        self.complete = False
        self.bound: int | None = 0
        self.reduced = 0
        self.divergences: list[Divergence] = []
        self._limit = limit
        self._reduces = reduces
        self._level = 0
        self._root: _Node | None = None
        self._frames: list[_Frame] = []
        self._depth = 0
        self._is_lost = False
        self._is_cut = False
        self._retries = 0

    # ------------------------------------------------------------------ between runs
    def more(self) -> bool:
        """Whether another schedule is to be tried; finds how it begins."""
        self._depth, self._is_lost = 0, False
        if self._root is None:
            return not self.complete
        while not self._find():
            if not self._is_cut:
                self.complete, self.bound = True, None
                return False
            if self._limit is not None and self._level >= self._limit:
                self.complete = True
                return False
            self._deepen()
            self._frames = [_Frame(self._root, 0, frozenset())]
        return True

    def _deepen(self) -> None:
        """Allow one more preemption; or any number, after one, where there is no limit.

        A bound costs: what it cuts keeps other schedules from being left out.
        """
        self._level += 1
        if self._limit is None and self._level > _FIRST:
            self._level = sys.maxsize
        self.bound = self._level if self._level < sys.maxsize else None
        self._is_cut = False

    def _find(self) -> bool:
        """Go on in the known tree, to where a run has to tell more."""
        while self._frames:
            frame = self._frames[-1]
            if frame.chosen is None and not self._pick(frame):
                self._leave()
                continue
            assert frame.chosen is not None
            child = frame.node.children.get(frame.chosen, _UNKNOWN)
            if child is _UNKNOWN:
                return True
            if child is None:
                frame.done(cut=False)
            else:
                self._enter(child)
        return False

    def _pick(self, frame: _Frame) -> bool:
        """Choose what has not been tried; whether there is any."""
        node = frame.node
        order = sorted(node.ops, key=lambda unit: unit != node.previous)
        for unit in order:
            if unit in frame.tried or unit in frame.asleep:
                continue
            if frame.spent + node.spends(unit) > self._level:
                frame.cut = True
                continue
            frame.chosen = unit
            return True
        return False

    def _enter(self, node: _Node) -> None:
        if not self._frames:
            self._frames.append(_Frame(node, 0, frozenset()))
            return
        above = self._frames[-1]
        assert above.chosen is not None
        spent = above.spent + above.node.spends(above.chosen)
        self._frames.append(_Frame(node, spent, self._asleep(above, node)))

    def _asleep(self, above: _Frame, node: _Node) -> frozenset[Unit]:
        if not self._reduces:
            return frozenset()
        ops, chosen = above.node.ops, above.chosen
        assert chosen is not None
        return frozenset(
            unit
            for unit in above.asleep | above.rested
            if unit in node.ops
            and unit[0] != chosen[0]
            and independent(ops[unit], ops[chosen])
        )

    def _leave(self) -> None:
        frame = self._frames.pop()
        if self._frames:
            self._frames[-1].done(cut=frame.cut)
        else:
            self._is_cut = frame.cut

    # ------------------------------------------------------------------- during a run
    def choose(self, point: Point) -> Unit:
        """The connection that goes next."""
        depth, self._depth = self._depth, self._depth + 1
        if self._is_lost:
            return go_on(point)
        if depth < len(self._frames):
            if not self._is_as_before(depth, point):
                return go_on(point)
        else:
            self._learn(point)
        frame = self._frames[-1 if depth >= len(self._frames) else depth]
        if frame.chosen is None and not self._pick(frame):
            self._is_lost = True
            self._retries = 0
            self.reduced += 1
            return go_on(point)
        assert frame.chosen is not None
        return frame.chosen

    def _learn(self, point: Point) -> None:
        node = _Node(dict(point.ops), point.previous)
        if self._frames:
            above = self._frames[-1]
            assert above.chosen is not None
            above.node.children[above.chosen] = node
        else:
            self._root = node
        self._enter(node)

    def _is_as_before(self, depth: int, point: Point) -> bool:
        """Whether the run is where it was before by the same choices.

        If it never is, from here on the tree is another one.
        """
        frame = self._frames[depth]
        known = frame.node.ops
        if known.keys() == point.ops.keys() and all(
            is_same(op, point.ops[unit]) for unit, op in known.items()
        ):
            return True
        if self._tries_again():
            return False
        if point.contested:  # what was known was the rare way
            del self._frames[depth:]
            self._learn(point)
            return True
        self.divergences.append(_divergence(depth, known, point.ops))
        del self._frames[depth + 1 :]
        frame.node.ops, frame.node.children = dict(point.ops), {}
        if frame.chosen not in point.ops:
            frame.chosen = None
        return True

    def _tries_again(self) -> bool:
        """Go on by chance, and begin anew: two that were let go at once had a race.

        Which of them the server serves first is rarely another one than before.
        """
        if self._retries == _RETRIES:
            return False
        self._retries += 1
        self._is_lost = True
        return True

    def end(self) -> None:
        """The schedule has ended."""
        if self._is_lost:
            return
        if self._depth == 0:  # no actor ever came to a statement
            self.complete, self.bound = True, None
            return
        if self._depth < len(self._frames):
            if self._tries_again():
                return
            known = self._frames[self._depth].node.ops
            self.divergences.append(_divergence(self._depth, known, {}))
            del self._frames[self._depth :]
        self._retries = 0
        frame = self._frames[-1]
        assert frame.chosen is not None
        frame.node.children[frame.chosen] = None


def _divergence(
    depth: int, known: Mapping[Unit, Op], found: Mapping[Unit, Op]
) -> Divergence:
    """Name the first connection that does something else."""
    for unit in sorted({*known, *found}):
        old, new = known.get(unit), found.get(unit)
        if old is None or new is None or not is_same(old, new):
            return Divergence(depth, _text(old), _text(new))
    return Divergence(depth, "", "")


def _text(op: Op | None) -> str:
    return "no statement" if op is None else op.sql
