"""What a connection would do next, and which two such steps may change places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from pytest_asyncdb.backends._footprint import EVERYTHING
from pytest_asyncdb.concurrency._trace import Kind

__all__ = ["Op", "Unit", "independent", "is_same"]

Unit: TypeAlias = tuple[int, int]
"""A connection of an actor: the actor's number from 0, the connection's from 1."""


_ENDS: Final = frozenset({Kind.COMMIT, Kind.ROLLBACK, Kind.ROLLBACK_TO})


@dataclass(frozen=True, slots=True)
class Op:
    """A step that waits to be let go.

    `tables` are those that a statement names, or that a transaction has written when it
    ends; `seen` are all that it has named when it ends. `snapshot`: it decides what the
    transaction sees from then on. `serial`: the server watches reads too. `locks`:
    reads hold locks, or see what is not committed. `atomic`: it commits by itself.
    """

    kind: Kind
    sql: str
    tables: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()
    snapshot: bool = False
    serial: bool = False
    locks: bool = False
    atomic: bool = False

    @property
    def ends(self) -> bool:
        """Whether it ends a transaction, or a part of one."""
        return self.kind in _ENDS

    @property
    def publishes(self) -> bool:
        """Whether others can see more than before."""
        return bool(self.tables) and (self.kind is Kind.COMMIT or self.atomic)


def is_same(first: Op, second: Op) -> bool:
    """Whether two runs have come to the same step."""
    return (first.kind, first.sql) == (second.kind, second.sql)


def independent(first: Op, second: Op) -> bool:
    """Whether two steps of different actors have one effect in both orders.

    Under multi-version concurrency control: who reads sees no uncommitted write and
    waits for none, and a snapshot that is taken sees every commit before it.
    """
    if (first.snapshot and second.publishes) or (second.snapshot and first.publishes):
        return False
    if first.serial or second.serial:
        return _independent_serial(first, second)
    common = _overlap(first.tables, second.tables)
    if first.kind is Kind.READ and second.kind is Kind.READ:
        return True
    if first.ends and second.ends:
        return True
    if Kind.READ in {first.kind, second.kind}:
        other = second if first.kind is Kind.READ else first
        locks = first.locks or second.locks
        return not (common and (locks or other.publishes))
    return not common


def _independent_serial(first: Op, second: Op) -> bool:
    """The server may abort either by what others have read, and by who ends first."""
    if first.ends and second.ends:
        return False
    if first.kind is Kind.READ and second.kind is Kind.READ:
        return not (first.locks or second.locks) or not _overlap(
            first.tables, second.tables
        )
    mine = first.tables | first.seen
    return not _overlap(mine, second.tables | second.seen)


def _overlap(first: frozenset[str], second: frozenset[str]) -> bool:
    if not first or not second:
        return False
    return EVERYTHING in first or EVERYTHING in second or bool(first & second)
