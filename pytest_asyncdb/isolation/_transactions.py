"""Many transactions on one connection: whose savepoints stand, and who wrote above.

Pure bookkeeping. Nothing here sends a statement or waits; `Stack` says which control
statements have to travel before the next real one.

A transaction of the application is a savepoint. The savepoints of all of them stand
on one stack, since that is all that a connection has. Invariant: the statement that
runs belongs to the transaction that owns the topmost savepoint, and above that
savepoint nobody else wrote. So a statement that fails takes along nothing but the
work of its own transaction.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_asyncdb.isolation._places import current_task

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from pytest_asyncdb.isolation._places import Place

__all__ = ["Conflict", "Owner", "Savepoint", "Stack", "Transaction"]


class Owner:
    """The task, or without one the thread, that opened a transaction."""

    __slots__ = ("_task", "_thread")

    def __init__(self) -> None:
        task = current_task()
        self._thread = threading.current_thread()
        self._task = None if task is None else weakref.ref(task)

    def task(self) -> asyncio.Task[Any] | None:
        """The task, as long as it exists."""
        return None if self._task is None else self._task()

    def is_here(self) -> bool:
        """Whether the owner cannot go on before the one that asks does."""
        if self._thread is not threading.current_thread():
            return False
        asking = current_task()
        return self._task is None or asking is None or self._task() is asking

    def is_done(self) -> bool:
        """Whether the owner can send nothing more."""
        if self._task is None:
            return not self._thread.is_alive()
        task = self._task()
        return task is None or task.done() or task.get_loop().is_closed()


@dataclass(eq=False, slots=True)
class Transaction:
    """One transaction of the application, from its first statement to its end.

    `suspended` is the list of its savepoints' labels while it stands on no stack: it
    has only read, so another could take its place, and it comes back with its next
    statement.
    """

    engine: str
    place: Place
    parent: Transaction | None
    sandbox: object
    owner: Owner = field(default_factory=Owner)
    open: bool = True
    aborted: bool = False
    suspended: list[str | None] | None = None
    local: dict[str, str] = field(default_factory=dict)
    moves: int = 0
    busy: bool = False

    def __str__(self) -> str:
        return f"the transaction on {self.engine} opened at {self.place}"

    def descends_from(self, other: Transaction) -> bool:
        """Whether it was begun by code that ran inside `other`."""
        ancestor = self.parent
        while ancestor is not None and ancestor is not other:
            ancestor = ancestor.parent
        return ancestor is not None


@dataclass(eq=False, slots=True)
class Savepoint:
    """A savepoint on the connection.

    `label` is what the application calls it, None for the start of a transaction, and
    `GUARD` for one that was set because somebody else's savepoint stood on top.
    """

    name: str
    transaction: Transaction
    label: str | None
    released: bool = False
    writers: set[Transaction] = field(default_factory=set)


GUARD = "\0guard"


class Conflict(Exception):
    """A rollback would take along what `others` wrote."""

    def __init__(self, transaction: Transaction, others: set[Transaction]) -> None:
        super().__init__(transaction, others)
        self.transaction = transaction
        self.others = others


class Stack:
    """The savepoints on a connection, and the control statements yet to travel."""

    def __init__(self, prefix: str) -> None:
        self.pending: list[str] = []
        self._prefix = prefix
        self._count = 0
        self._savepoints: list[Savepoint] = []
        self._lasting: set[str] = set()

    def then(self, statements: Sequence[str]) -> None:
        """Have these travel too, at this point, whatever savepoints are set after."""
        self._lasting.update(statements)
        self.pending += statements

    # ------------------------------------------------------------------ questions
    def writers(self) -> list[Transaction]:
        """The open transactions whose writes could still be undone, outermost first."""
        found = dict.fromkeys(
            writer for each in self._savepoints for writer in each.writers
        )
        return [transaction for transaction in found if transaction.open]

    def is_empty(self) -> bool:
        """Whether no transaction stands on the connection."""
        return not self._savepoints

    def has_written(self, transaction: Transaction) -> bool:
        """Whether a write of the transaction could still be undone."""
        return any(transaction in each.writers for each in self._savepoints)

    def knows(self, transaction: Transaction, label: str) -> bool:
        """Whether the application has set a savepoint of that name."""
        if transaction.suspended is not None:
            return label in transaction.suspended
        return self._find(transaction, label) is not None

    # ------------------------------------------------------------------ statements
    def begin(self, transaction: Transaction) -> None:
        """Put the transaction on top."""
        self.give_way(transaction)
        self._push(transaction, None)

    def prepare(self, transaction: Transaction, *, writes: bool) -> None:
        """Before a statement: make its transaction own the topmost savepoint."""
        if transaction.suspended is not None:
            labels, transaction.suspended = transaction.suspended, None
            for label in labels:
                self._push(transaction, label)
        if not self._owns_top(transaction):
            self.give_way(transaction)
            if not self._owns_top(transaction):
                self._push(transaction, GUARD)
        if writes:
            self._savepoints[-1].writers.add(transaction)

    def _owns_top(self, transaction: Transaction) -> bool:
        top = self._savepoints[-1]
        return top.transaction is transaction and top.writers <= {transaction}

    def failed(self, savepoint: Savepoint) -> None:
        """A statement failed above `savepoint`, and the server refuses all others.

        Travels before all that is pending: it undoes what the server has done, not what
        it has yet to hear of.
        """
        savepoint.writers.clear()
        self.pending.insert(0, f"ROLLBACK TO SAVEPOINT {savepoint.name}")

    def top(self) -> Savepoint:
        """The topmost savepoint."""
        return self._savepoints[-1]

    def give_way(self, newcomer: Transaction | None) -> None:
        """Take idle transactions that have only read off the top."""
        while self._savepoints:
            top = self._savepoints[-1]
            if top.transaction is newcomer or top.transaction.busy:
                return
            if not self.has_written(top.transaction):
                self._suspend(top.transaction)
            elif top.label == GUARD and not top.writers:
                top.released = True
                self._settle()
            else:
                return

    # ------------------------------------------------------------------ savepoints
    def savepoint(self, transaction: Transaction, label: str) -> None:
        """SAVEPOINT of the application."""
        self.prepare(transaction, writes=False)
        self._push(transaction, label)

    def release(self, transaction: Transaction, label: str) -> None:
        """RELEASE of the application's savepoint, and of all of its own above."""
        if transaction.suspended is not None:
            del transaction.suspended[_last(transaction.suspended, label) :]
            return
        target = self._find(transaction, label)
        assert target is not None
        for at in range(self._savepoints.index(target), len(self._savepoints)):
            each = self._savepoints[at]
            if each.transaction is transaction and each.label != GUARD:
                self._let_go(each, self._savepoints[at - 1])
        self._settle()

    def _let_go(self, savepoint: Savepoint, below: Savepoint) -> None:
        """Release it; but above another's it goes on to keep the writes apart."""
        if below.transaction is savepoint.transaction:
            savepoint.released = True
        else:
            savepoint.label = GUARD

    def rollback_to(self, transaction: Transaction, label: str) -> None:
        """ROLLBACK TO of the application's savepoint; raises Conflict."""
        transaction.aborted = False
        if transaction.suspended is not None:
            del transaction.suspended[_last(transaction.suspended, label) + 1 :]
            return
        target = self._find(transaction, label)
        assert target is not None
        self._undo(target, forced=False)

    # ------------------------------------------------------------------ ends
    def end(
        self, transaction: Transaction, *, commit: bool, forced: bool = False
    ) -> None:
        """COMMIT or ROLLBACK. Raises Conflict, and then nothing has changed.

        `forced` never conflicts: where others wrote above, the writes stay.
        """
        own = [each for each in self._savepoints if each.transaction is transaction]
        if own and (transaction.aborted or not commit):
            self._undo(own[0], forced=forced)
        transaction.open = False
        transaction.suspended = None
        for each in own:
            each.released = True
        self._settle()

    def _undo(self, target: Savepoint, *, forced: bool) -> None:
        """Undo what its transaction wrote above `target`, nothing of anybody else."""
        transaction = target.transaction
        above = self._savepoints[self._savepoints.index(target) :]
        while above and transaction not in above[0].writers:
            del above[0]
        others = set().union(*(each.writers for each in above)) - {transaction}
        if others and not forced:
            raise Conflict(transaction, others)
        if above and not others:
            for each in above[1:]:
                self._drop(each)
            del self._savepoints[self._savepoints.index(above[0]) + 1 :]
            above[0].writers.clear()
            self._emit_rollback(above[0])
            self._set_again(above[1:], transaction)
        self._release_above(target)

    def _set_again(self, gone: list[Savepoint], transaction: Transaction) -> None:
        """Others' savepoints that vanished; nothing was written in them."""
        for each in gone:
            other = each.transaction
            stands = other.open and other is not transaction and other.suspended is None
            if stands and not each.released and each.label not in {None, GUARD}:
                self._push(other, each.label)

    def _release_above(self, target: Savepoint) -> None:
        """The later savepoints of its transaction are gone."""
        for each in self._savepoints[self._savepoints.index(target) + 1 :]:
            if each.transaction is target.transaction:
                each.released = True
        self._settle()

    def _drop(self, savepoint: Savepoint) -> None:
        """A savepoint vanishes with one below; a reader whose start it was waits."""
        transaction = savepoint.transaction
        if transaction.open and not savepoint.released and savepoint.label is None:
            transaction.suspended = self._labels(transaction)

    # ------------------------------------------------------------------ the stack
    def _push(self, transaction: Transaction, label: str | None) -> None:
        self._count += 1
        savepoint = Savepoint(f"{self._prefix}{self._count}", transaction, label)
        self._savepoints.append(savepoint)
        self.pending.append(f"SAVEPOINT {savepoint.name}")

    def _find(self, transaction: Transaction, label: str) -> Savepoint | None:
        for each in reversed(self._savepoints):
            mine = each.transaction is transaction and not each.released
            if mine and each.label == label:
                return each
        return None

    def _labels(self, transaction: Transaction) -> list[str | None]:
        return [
            each.label
            for each in self._savepoints
            if each.transaction is transaction
            and not each.released
            and each.label != GUARD
        ]

    def _suspend(self, transaction: Transaction) -> None:
        """The topmost transaction has only read: its savepoints go, not their names."""
        transaction.suspended = self._labels(transaction)
        for each in self._savepoints:
            if each.transaction is transaction:
                each.released = True
        self._settle()

    def _settle(self) -> None:
        """Release what is released and on top; what was written there is now below."""
        lowest = None
        writers: set[Transaction] = set()
        while self._savepoints and self._savepoints[-1].released:
            lowest = self._savepoints.pop()
            writers |= lowest.writers
        if self._savepoints:
            self._savepoints[-1].writers |= writers
        if lowest is not None:
            self._emit_release(lowest)

    def _emit_release(self, savepoint: Savepoint) -> None:
        if not self._forget(savepoint):
            self.pending.append(f"RELEASE SAVEPOINT {savepoint.name}")

    def _emit_rollback(self, savepoint: Savepoint) -> None:
        if self._forget(savepoint):
            self.pending.append(f"SAVEPOINT {savepoint.name}")
        else:
            self.pending.append(f"ROLLBACK TO SAVEPOINT {savepoint.name}")

    def _forget(self, savepoint: Savepoint) -> bool:
        """A savepoint that never travelled needs no end, nor does what it encloses."""
        start = f"SAVEPOINT {savepoint.name}"
        if start not in self.pending:
            return False
        at = self.pending.index(start)
        self.pending[at:] = [
            each for each in self.pending[at:] if each in self._lasting
        ]
        return True


def _last(labels: list[str | None], label: str) -> int:
    return len(labels) - 1 - labels[::-1].index(label)
