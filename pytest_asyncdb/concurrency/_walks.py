"""Schedules by chance, by priorities, or as they were written down."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.concurrency._search import Divergence, go_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_asyncdb.concurrency._op import Unit
    from pytest_asyncdb.concurrency._search import Point

__all__ = ["Given", "Priorities", "RandomWalk", "letter", "read_schedule", "spell"]

_STEP: Final = re.compile(r"([A-Z])(\d*)")


class RandomWalk:
    """Each step by chance; endless, and the same for the same seed."""

    complete = False
    bound: int | None = None
    reduced = 0

    def __init__(self, seed: int) -> None:
        self.divergences: list[Divergence] = []
        self._random = random.Random(seed)  # noqa: S311 - not for secrets

    def more(self) -> bool:
        """Always."""
        return True

    def choose(self, point: Point) -> Unit:
        """Any of them."""
        return self._random.choice(list(point.ops))

    def end(self) -> None:
        """Nothing is kept."""


class Priorities:
    """Actors by priority, which changes at a few points chosen by chance.

    PCT: Burckhardt, Kothari, Musuvathi, Nagarakatte, "A randomized scheduler with
    probabilistic guarantees of finding bugs", 2010. `changes` is its d - 1.
    """

    complete = False
    bound: int | None = None
    reduced = 0

    def __init__(self, seed: int, *, changes: int = 1) -> None:
        self.divergences: list[Divergence] = []
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._changes = changes
        self._longest = 2 * changes + 2
        self._ranks: dict[Unit, float] = {}
        self._points: list[int] = []
        self._depth = 0

    def more(self) -> bool:
        """Always."""
        self._ranks.clear()
        several = range(1, self._longest)
        count = min(self._changes, len(several))
        self._points = sorted(self._random.sample(several, count))
        self._depth = 0
        return True

    def choose(self, point: Point) -> Unit:
        """The one of the highest priority, which may be the lowest from now on."""
        for unit in point.ops:
            self._ranks.setdefault(unit, 1 + self._random.random())
        first = max(point.ops, key=self._ranks.__getitem__)
        if self._depth in self._points:
            self._ranks[first] = -self._depth
            first = max(point.ops, key=self._ranks.__getitem__)
        self._depth += 1
        return first

    def end(self) -> None:
        """Remember how long schedules are."""
        self._longest = max(self._longest, self._depth)


class Given:
    """One schedule, as it was written down; what cannot be followed is a divergence."""

    complete = False
    bound: int | None = None
    reduced = 0

    def __init__(self, schedule: Sequence[Unit]) -> None:
        self.divergences: list[Divergence] = []
        self._schedule = schedule
        self._depth = 0
        self._is_done = False

    def more(self) -> bool:
        """Once."""
        return not self._is_done

    def choose(self, point: Point) -> Unit:
        """As written; after the end, whoever went last."""
        depth, self._depth = self._depth, self._depth + 1
        if depth >= len(self._schedule):
            return go_on(point)
        unit = self._schedule[depth]
        if unit in point.ops:
            return unit
        same = [each for each in point.ops if each[0] == unit[0]]
        if unit[1] == 0 and same:
            return same[0]
        names = " or ".join(letter(each[0]) for each in point.ops)
        self.divergences.append(
            Divergence(depth, f"a step of {letter(unit[0])}", names)
        )
        return go_on(point)

    def end(self) -> None:
        """That was it."""
        self._is_done = True


def letter(actor: int) -> str:
    """What stands for an actor in a schedule: A for the first one."""
    return chr(ord("A") + actor)


def spell(unit: Unit, point: Point) -> str:
    """A step as it is written: with a number where an actor could do several things."""
    several = [each for each in point.ops if each[0] == unit[0]]
    return letter(unit[0]) + (str(unit[1]) if len(several) > 1 else "")


def read_schedule(text: str, actors: int) -> list[Unit] | None:
    """What `text` says, such as "AABB" or "A1A2B"; None if it is no schedule."""
    text = text.replace(" ", "")
    steps = [
        (ord(match[1]) - ord("A"), int(match[2] or 0)) for match in _STEP.finditer(text)
    ]
    if not text or _STEP.sub("", text) or any(actor >= actors for actor, _ in steps):
        return None
    return steps
