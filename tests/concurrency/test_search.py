"""The search finds what can happen: held against a small model of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_asyncdb.concurrency._op import Op
from pytest_asyncdb.concurrency._search import DepthFirst, Point
from pytest_asyncdb.concurrency._trace import Kind
from pytest_asyncdb.concurrency._walks import (
    Given,
    Priorities,
    RandomWalk,
    read_schedule,
    spell,
)
from tests.concurrency.model import outcomes, programs

if TYPE_CHECKING:
    from tests.concurrency.model import Program

READ, WRITE, COMMIT = Kind.READ, Kind.WRITE, Kind.COMMIT
UPDATE: tuple[Program, ...] = (((READ, "x"), (WRITE, "x"), (COMMIT, "")),) * 2


@pytest.mark.parametrize("bound", [0, 1, 2, None])
@pytest.mark.parametrize("snapshots", [False, True])
def test_the_reduced_search_finds_every_outcome(
    bound: int | None,
    snapshots: bool,  # noqa: FBT001
) -> None:
    """Of 400 random programs, at every bound, with and without snapshots."""
    lost, reduced, full = [], 0, 0
    for seed in range(400):
        each = programs(seed)
        small, count = outcomes(each, DepthFirst(bound), snapshots=snapshots)
        all_of_them, more = outcomes(
            each, DepthFirst(bound, reduces=False), snapshots=snapshots
        )
        reduced, full = reduced + count, full + more
        if not all_of_them <= small:
            lost.append(seed)

    assert [] == lost
    assert reduced <= full


def test_the_first_bad_schedule_has_the_fewest_preemptions() -> None:
    """Schedules without preemption come first, and none of them loses an update."""
    strategy = DepthFirst(2)
    levels = []
    while strategy.more():
        levels.append(strategy.bound)
        _run_one(strategy)

    assert [0, 0] == levels[:2]
    assert levels == sorted(levels, key=lambda each: (each is None, each))
    assert strategy.complete
    assert strategy.bound is None


def _run_one(strategy: DepthFirst) -> None:
    class Once:
        """One schedule of the strategy."""

        def __init__(self) -> None:
            self.left = 1
            self.choose, self.end = strategy.choose, strategy.end

        def more(self) -> bool:
            self.left -= 1
            return self.left >= 0

    outcomes(UPDATE, Once(), snapshots=False)  # type: ignore[arg-type]


def test_a_search_within_a_bound_says_so() -> None:
    """What was cut by the bound makes it complete within the bound only."""
    strategy = DepthFirst(0)

    _, count = outcomes(UPDATE, strategy, snapshots=False)
    assert 2 == count
    assert (True, 0) == (strategy.complete, strategy.bound)


@pytest.mark.parametrize("kind", [RandomWalk, Priorities])
def test_walks_are_the_same_for_the_same_seed(
    kind: type[RandomWalk | Priorities],
) -> None:
    """And in time they find what there is to find."""
    everything, _ = outcomes(UPDATE, DepthFirst(None), snapshots=False)

    first, second = (_walk(kind(7), 60) for _ in range(2))
    assert first == second
    assert everything == set(first)


def _walk(strategy: RandomWalk | Priorities, count: int) -> list[str]:
    class Some:
        """A few schedules of the strategy."""

        def __init__(self, left: int) -> None:
            self.left = left
            self.choose, self.end = strategy.choose, strategy.end

        def more(self) -> bool:
            self.left -= 1
            return self.left >= 0 and strategy.more()

    found: list[str] = []
    for _ in range(count):
        found += outcomes(UPDATE, Some(1), snapshots=False)[0]  # type: ignore[arg-type]
    return found


def test_a_schedule_is_replayed_as_written() -> None:
    """Both read, then both write: one update is lost."""
    schedule = read_schedule("ABAABB", 2)
    assert schedule is not None

    strategy = Given(schedule)
    (found,), count = outcomes(UPDATE, strategy, snapshots=False)
    assert 1 == count
    assert [] == strategy.divergences
    assert "(False, [0]), (False, [0])" in found


def test_what_cannot_be_followed_is_told() -> None:
    """An actor that has ended takes no more steps."""
    strategy = Given(read_schedule("AAAAB", 2) or [])

    outcomes(UPDATE, strategy, snapshots=False)
    (found,) = strategy.divergences
    assert (3, "a step of A", "B") == (found.depth, found.expected, found.found)


@pytest.mark.parametrize("text", ["", "AB?", "ABC", "ab"])
def test_what_is_no_schedule(text: str) -> None:
    """Letters of the actors only, with numbers of their connections."""
    assert read_schedule(text, 2) is None


def test_a_connection_is_named_where_an_actor_has_several() -> None:
    """By a number behind the letter."""
    op = Op(READ, "")
    both = Point({(0, 1): op, (0, 2): op, (1, 1): op})

    assert "A2" == spell((0, 2), both)
    assert "B" == spell((1, 1), both)
    assert [(0, 2), (1, 0)] == read_schedule("A2 B", 2)


def test_a_schedule_that_went_another_way_is_tried_again() -> None:
    """A server may serve two that waited in another order, now and then."""
    strategy, seen = DepthFirst(0), list[str]()
    for sql in ("usual", "other", "usual"):
        assert strategy.more()
        seen.append(_two_steps(strategy, Op(WRITE, sql)))

    assert ["ab", "ab", "ba"] == seen
    assert [] == strategy.divergences
    assert not strategy.more()
    assert strategy.complete


def test_a_first_run_that_went_the_rare_way_is_forgotten() -> None:
    """Where several waited and the server chose, nobody's code is to blame."""
    strategy, seen = DepthFirst(0), list[str]()
    texts = iter(["rare"])
    while strategy.more():
        op = Op(WRITE, next(texts, "usual"))
        seen.append(_two_steps(strategy, op, contested=True))

    assert [] == strategy.divergences
    assert strategy.complete
    assert {"ab", "ba"} == set(seen)


def test_code_that_always_differs_is_told() -> None:
    """After a few attempts the search goes on, and is not complete."""
    strategy = DepthFirst(0)
    for number in range(8):
        if strategy.more():
            _two_steps(strategy, Op(WRITE, f"number {number}"))

    assert strategy.divergences
    assert "number 0" == strategy.divergences[0].expected


def _two_steps(strategy: DepthFirst, op: Op, *, contested: bool = False) -> str:
    """Two actors of one step each; the text of the first one is `op`'s."""
    left = {(0, 1): op, (1, 1): Op(WRITE, "b")}
    said = ""
    while left:
        unit = strategy.choose(Point(dict(left), contested=contested))
        left.pop(unit)
        said += "ab"[unit[0]]
    strategy.end()
    return said
