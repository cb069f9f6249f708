"""Who waits on a file of SQLite's, foretold from who holds its one write lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_asyncdb.backends._text import classify
from pytest_asyncdb.concurrency._probe import Deadlocks
from pytest_asyncdb.concurrency._trace import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["FileProbe"]


@dataclass(slots=True)
class _Session:
    """What is known of one connection to a file."""

    driver: Any
    pending: tuple[Kind, str] | None = None
    writes: bool = False
    """Whether its transaction has taken the write lock, as far as it still runs."""
    reads: bool = False
    """Whether its transaction has read, so that it has a snapshot, or a shared lock."""
    excludes: bool = False
    """Whether it began by BEGIN EXCLUSIVE."""

    @property
    def in_transaction(self) -> bool:
        """As SQLite itself says."""
        try:
            return bool(self.driver.in_transaction)
        except Exception:  # noqa: BLE001 - closed, each version says so in its own way
            return False

    def refresh(self) -> None:
        """A transaction that is over holds nothing.

        While a COMMIT is on its way, SQLite says already that there is none.
        """
        if self.pending is None and not self.in_transaction:
            self.writes = self.reads = self.excludes = False


class FileProbe:
    """Foretells who waits on a file of SQLite's, where nobody can be asked.

    One connection can write at a time. Another one waits for it, in the driver's
    `timeout`, if its own transaction has not read yet; if it has, it fails at once. In
    a journal other than WAL a COMMIT waits for those that read, and while it waits
    nobody begins to read (SQLite manual, "File Locking And Concurrency").
    """

    foretells = True
    deadlocks = Deadlocks(hurry=None, settle=0.0)

    def __init__(self, *, wal: bool) -> None:
        self._wal = wal
        self._sessions: dict[int, _Session] = {}
        self._numbers: dict[int, int] = {}

    def session(self, driver_connection: object) -> int:
        """A number, the same one for as long as the connection's thread lives."""
        driver: Any = driver_connection
        thread = driver._thread
        number = self._numbers.setdefault(id(thread), len(self._numbers) + 1)
        self._sessions.setdefault(number, _Session(driver))
        return number

    def sent(self, session: int, kind: Kind, sql: str) -> None:
        """Keep in mind what the connection is doing."""
        self._sessions[session].pending = (kind, sql)

    def answered(self, session: int) -> None:
        """It has done it: what it holds now."""
        known = self._sessions[session]
        pending, known.pending = known.pending, None
        known.refresh()
        if pending is not None and known.in_transaction:
            kind, sql = pending
            known.writes |= _takes_the_lock(kind, sql)
            known.reads |= kind in {Kind.READ, Kind.WRITE} and not _begins(sql)
            known.excludes |= _excludes(sql)

    def foretell(self, session: int, kind: Kind, sql: str) -> frozenset[int]:
        """The connections for which that step would have to wait."""
        for each in self._sessions.values():
            each.refresh()
        own = self._sessions[session]
        if _takes_the_lock(kind, sql) and not own.writes:
            if own.reads:
                return frozenset()
            readers = not self._wal and _excludes(sql)
            return self._others(session, "writes", *(["reads"] if readers else []))
        if self._wal:
            return frozenset()
        if kind is Kind.COMMIT and own.writes:
            return self._others(session, "reads")
        if kind is Kind.READ and not _begins(sql) and not (own.reads or own.writes):
            return self._committing(session) | self._others(session, "excludes")
        return frozenset()

    def _others(self, session: int, *what: str) -> frozenset[int]:
        """Those of whom any of that is true."""
        return frozenset(
            number
            for number, each in self._sessions.items()
            if number != session and any(getattr(each, name) for name in what)
        )

    def _committing(self, session: int) -> frozenset[int]:
        """The one whose COMMIT waits, and keeps others from beginning to read."""
        return frozenset(
            number
            for number, each in self._sessions.items()
            if number != session
            and each.pending is not None
            and each.pending[0] is Kind.COMMIT
            and self._others(number, "reads")
        )

    async def blocking(
        self, sessions: Collection[int], *, exact: bool = False
    ) -> Mapping[int, frozenset[int]]:
        """Those of the sessions whose step, as foretold, still waits."""
        del exact
        found = {}
        for number in sessions:
            pending = self._sessions[number].pending
            if pending is not None:
                holders = self.foretell(number, *pending)
                if holders:
                    found[number] = holders
        return found

    async def close(self) -> None:
        """There is no connection to close."""


def _begins(sql: str) -> bool:
    return classify(sql).first == "BEGIN"


def _takes_the_lock(kind: Kind, sql: str) -> bool:
    """Whether a step needs the write lock of the file."""
    if _begins(sql):
        return any(word in sql.upper() for word in ("IMMEDIATE", "EXCLUSIVE"))
    return kind is Kind.WRITE


def _excludes(sql: str) -> bool:
    """Whether it keeps readers away as well, which WAL knows nothing of."""
    return _begins(sql) and "EXCLUSIVE" in sql.upper()
