"""Waiting among tasks of any loop and threads of none: whose statement is next."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.errors import StatementInFlight
from pytest_asyncdb.isolation._bridge import await_, cooperates

if TYPE_CHECKING:
    from pytest_asyncdb.isolation._transactions import Transaction

__all__ = ["TURN_SECONDS", "Flight", "Mutex", "Queue", "Turns", "Waiter"]

TURN_SECONDS: Final = 0.005
"""How long one turn of waiting is; a blocked loop makes it longer, never shorter."""
_PING_TURNS: Final = 400


class Waiter:
    """One who waits until another wakes him, or for a turn of his own loop."""

    def __init__(self) -> None:
        self._woken = threading.Event()
        self._loop = asyncio.get_running_loop() if cooperates() else None
        self._future: asyncio.Future[None] | None = None

    def wait(self) -> bool:
        """Wait for a wake, one turn at the most; says whether it was a wake."""
        if self._loop is not None:
            await_(self._turn(self._loop))
        else:
            self._woken.wait(TURN_SECONDS)
        woken = self._woken.is_set()
        self._woken.clear()
        return woken

    async def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._future = loop.create_future()
        timer = loop.call_later(TURN_SECONDS, self._settle)
        try:
            if not self._woken.is_set():
                await self._future
        finally:
            timer.cancel()

    def _settle(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def wake(self) -> None:
        """Wake him, from any thread."""
        self._woken.set()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # closed: nobody waits there
                self._loop.call_soon_threadsafe(self._settle)


class Queue:
    """Those who wait for one thing, in order. To be used under a lock."""

    def __init__(self) -> None:
        self._waiters: collections.deque[Waiter] = collections.deque()

    def __bool__(self) -> bool:
        return bool(self._waiters)

    def join(self) -> Waiter:
        """Stand in line."""
        waiter = Waiter()
        self._waiters.append(waiter)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Step out of the line."""
        self._waiters.remove(waiter)

    def first(self) -> Waiter | None:
        """Who has waited longest."""
        return self._waiters[0] if self._waiters else None

    def wake_first(self) -> None:
        """Wake who has waited longest."""
        if self._waiters:
            self._waiters[0].wake()


class Mutex:
    """A lock for tasks of any loop and threads of none, handed on in order."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._line = Queue()
        self._taken = False

    def __enter__(self) -> None:
        with self._lock:
            if not self._taken and not self._line:
                self._taken = True
                return
            waiter = self._line.join()
        try:
            while not self._is_mine(waiter):
                waiter.wait()
        finally:
            with self._lock:
                self._line.leave(waiter)

    def _is_mine(self, waiter: Waiter) -> bool:
        with self._lock:
            if self._taken or self._line.first() is not waiter:
                return False
            self._taken = True
            return True

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._taken = False
            self._line.wake_first()


@dataclass(eq=False, slots=True)
class Flight:
    """A statement that is on its way."""

    transaction: Transaction
    host: asyncio.AbstractEventLoop | None
    thread: threading.Thread = field(default_factory=threading.current_thread)
    answers: bool = True

    def ping(self) -> None:
        """Ask its loop for a sign of life."""
        self.answers = False
        if self.host is not None:
            with contextlib.suppress(
                RuntimeError
            ):  # closed: it stays without an answer
                self.host.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self.answers = True

    def waits_for(self, other: Flight) -> bool:
        """Whether it can end only when `other` has been sent, or never."""
        if self.host is None:
            return False
        blocked = other.host is None and other.thread is self.thread
        return blocked or self.host.is_closed() or not self.thread.is_alive()


class Turns:
    """One statement at a time: a connection takes no more."""

    def __init__(self, lock: threading.RLock) -> None:
        self.flight: Flight | None = None
        self._lock = lock
        self._line = Queue()

    def take(self, transaction: Transaction) -> Flight:
        """Wait until no other statement is on its way.

        Raises StatementInFlight where that can never be, since this thread blocks it.
        """
        host = asyncio.get_running_loop() if cooperates() else None
        flight = Flight(transaction, host)
        with self._lock:
            if self.flight is None and not self._line:
                return self._depart(flight)
            waiter = self._line.join()
        try:
            for turn in itertools.count():
                if self._is_next(flight, waiter, turn):
                    return flight
                waiter.wait()
            raise AssertionError
        finally:
            with self._lock:
                self._line.leave(waiter)

    def _is_next(self, flight: Flight, waiter: Waiter, turn: int) -> bool:
        with self._lock:
            holder = self.flight
            if holder is None and self._line.first() is waiter:
                self._depart(flight)
                return True
            if holder is not None:
                self._refuse_stuck(holder, flight, turn)
            return False

    def _refuse_stuck(self, holder: Flight, flight: Flight, turn: int) -> None:
        if holder.waits_for(flight):
            raise StatementInFlight.blocked_by(holder.transaction)
        if turn and turn % _PING_TURNS == 0 and holder.host is not None:
            if not holder.answers:
                raise StatementInFlight.blocked_by(holder.transaction)
            holder.ping()

    def _depart(self, flight: Flight) -> Flight:
        self.flight = flight
        flight.transaction.busy = True
        flight.transaction.moves += 1
        return flight

    def give(self, flight: Flight) -> None:
        """The statement has ended."""
        with self._lock:
            flight.transaction.busy = False
            flight.transaction.moves += 1
            if self.flight is flight:
                self.flight = None
            self._line.wake_first()
