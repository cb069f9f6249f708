"""Who may write next: transactions end one after the other where they can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_asyncdb.isolation._turn import Queue

if TYPE_CHECKING:
    import threading

    from pytest_asyncdb.isolation._transactions import Stack, Transaction

__all__ = ["IDLE_TURNS", "Writers"]

IDLE_TURNS: Final = 20
"""How many turns a write waits for others that have written and do nothing more."""
_MOST_TURNS: Final = 200


class Writers:
    """Lets a transaction's first write wait for the end of those that wrote before.

    What is written above an open transaction forbids its rollback. So a write waits, as
    long as the other does something, and not for ever: then it is written above.
    """

    def __init__(self, stack: Stack, lock: threading.RLock) -> None:
        self._stack = stack
        self._lock = lock
        self._line = Queue()
        self._claims: set[Transaction] = set()

    def wait(self, transaction: Transaction) -> None:
        """Wait until the transaction may write; it holds a claim until `written`."""
        with self._lock:
            if self._stack.has_written(transaction) or self._claim(transaction):
                return
            waiter = self._line.join()
        try:
            patience = _Patience(self._blockers(transaction))
            while not patience.is_over():
                waiter.wait()
                with self._lock:
                    if self._claim(transaction):
                        return
                    patience.look_at(self._blockers(transaction))
            self._claims.add(transaction)
        finally:
            with self._lock:
                self._line.leave(waiter)
                self._line.wake_first()

    def written(self, transaction: Transaction) -> None:
        """The stack knows now that the transaction has written, or it did not."""
        self._claims.discard(transaction)

    def wake(self) -> None:
        """A transaction has ended."""
        self._line.wake_first()

    def _claim(self, transaction: Transaction) -> bool:
        if self._blockers(transaction):
            return False
        self._claims.add(transaction)
        return True

    def _blockers(self, transaction: Transaction) -> list[Transaction]:
        """The others that wrote, and may still go on while this one waits."""
        return [
            other
            for other in (*self._stack.writers(), *self._claims)
            if other is not transaction
            and not transaction.descends_from(other)
            and not other.owner.is_done()
            and not other.owner.is_here()
        ]


class _Patience:
    """How long the end of others' transactions is waited for, in turns."""

    def __init__(self, blockers: list[Transaction]) -> None:
        self._blockers = blockers
        self._moves = [each.moves for each in blockers]
        self._idle = 0
        self._turns = 0

    def look_at(self, blockers: list[Transaction]) -> None:
        """A turn has gone by; note whether they did something, or ended."""
        if any(each.busy for each in blockers):
            return
        moves = [each.moves for each in blockers]
        ended = blockers != self._blockers
        self._turns = 0 if ended else self._turns + 1
        self._idle = 0 if ended or moves != self._moves else self._idle + 1
        self._blockers, self._moves = blockers, moves

    def is_over(self) -> bool:
        """Whether they do nothing more, or go on for longer than anybody can wait."""
        return self._idle >= IDLE_TURNS or self._turns >= _MOST_TURNS
