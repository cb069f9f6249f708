"""What the isolation levels of each product let one transaction see of another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.concurrency._op import Op
from pytest_asyncdb.concurrency._trace import Kind

if TYPE_CHECKING:
    from pytest_asyncdb.backends._footprint import Footprint

__all__ = ["Rules", "Transaction"]

_FILE: Final = frozenset({"(the file's lock)"})
"""SQLite locks its whole file; no table has a name with such characters."""
_SNAPSHOTS: Final = frozenset({"REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT"})


@dataclass(frozen=True, slots=True)
class Rules:
    """Of one product; `journal`: a file of SQLite's that is not in WAL mode."""

    product: str
    journal: bool = False

    @property
    def is_file(self) -> bool:
        """Whether one lock stands for all tables."""
        return self.product == "sqlite"

    def snapshots(self, level: str, kind: Kind) -> bool:
        """Whether a statement of that kind decides what its transaction will see."""
        if self.is_file:
            return True
        if level not in _SNAPSHOTS:
            return False
        return self.product == "postgresql" or kind is Kind.READ

    def watches_reads(self, level: str) -> bool:
        """Whether a transaction may fail for what another one has read."""
        return level == "SERIALIZABLE" and not self.is_file

    def locks_reads(self, level: str) -> bool:
        """Whether reading waits for writes, or sees them before they are committed."""
        if self.is_file:
            return self.journal
        return self.product != "postgresql" and level in {
            "SERIALIZABLE",
            "READ UNCOMMITTED",
        }


@dataclass(slots=True)
class Transaction:
    """What a connection has done since its transaction began."""

    rules: Rules
    level: str = ""
    said: str | None = None
    """The level that a statement has set for this transaction alone."""
    has_snapshot: bool = False
    wrote: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    def statement(self, sql: str, footprint: Footprint) -> Op:
        """The next step, if it is this statement."""
        rules, level = self.rules, self.said or self.level
        kind = Kind.WRITE if footprint.writes else Kind.READ
        tables = footprint.tables
        if rules.is_file and (footprint.writes or rules.journal):
            tables |= _FILE
        return Op(
            kind,
            sql,
            tables,
            snapshot=not self.has_snapshot and rules.snapshots(level, kind),
            serial=rules.watches_reads(level),
            locks=rules.locks_reads(level),
            atomic=level == "AUTOCOMMIT" and footprint.writes,
        )

    def end(self, kind: Kind) -> Op | None:
        """The next step, if it is the end; None where nobody could tell."""
        level = self.said or self.level
        serial, locks = self.rules.watches_reads(level), self.rules.locks_reads(level)
        if not self.wrote and not (self.seen and (serial or locks)):
            return None
        return Op(
            kind,
            kind.value.upper(),
            frozenset(self.wrote),
            frozenset(self.seen),
            serial=serial,
            locks=locks,
        )

    def sent(self, op: Op) -> None:
        """The step has been let go."""
        if op.kind in {Kind.COMMIT, Kind.ROLLBACK}:
            self.clear()
        elif not op.ends:
            self.has_snapshot |= op.snapshot
            self.seen |= op.tables
            if op.kind is Kind.WRITE and not op.atomic:
                self.wrote |= op.tables

    def clear(self) -> None:
        """The transaction is over."""
        self.said, self.has_snapshot = None, False
        self.wrote.clear()
        self.seen.clear()
