"""Errors of retries and injected faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.errors._base import REAL_COMMITS, AsyncDBError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = ["FaultNotReached", "FaultRefused", "RetryRefused", "SweepFailed"]


class RetryRefused(AsyncDBError):
    """What was given to `retry_transaction` or `retrying` cannot be run again."""

    @classmethod
    def session(cls, *, begun: bool) -> Self:
        """A session was given, or comes, with a transaction that has begun."""
        if begun:
            return cls(
                "the session is in a transaction already, whose first half would not be"
                " repeated",
                remedies=[
                    "give an async_sessionmaker on an engine, for new sessions",
                    "let the retry be around whatever begins the transaction",
                ],
            )
        return cls(
            "retry_transaction takes an async_sessionmaker, not a session",
            remedies=["give the sessionmaker: each attempt has a new session"],
        )

    @classmethod
    def generator(cls, name: str) -> Self:
        """Half of what it yields may be used before it fails."""
        return cls(
            f"{name} is a generator: what it has yielded cannot be taken back",
            remedies=[
                "retry the coroutine function that writes, and yield its result",
                "in an endpoint that streams, retry the part before the first yield",
            ],
        )

    @classmethod
    def not_callable(cls, value: object) -> Self:
        """A coroutine can be awaited once."""
        return cls(
            f"{value!r} cannot be called, so it cannot be run again",
            remedies=["give the coroutine function itself: without its parentheses"],
        )

    @classmethod
    def option(cls, name: str, value: object) -> Self:
        """An option has a value that nothing can be done with."""
        return cls(
            f"{name}={value!r} makes no sense",
            remedies=[
                "attempts: 1 or more",
                "within: seconds, more than 0, or None",
                "delay and max_delay: seconds, 0 or more, the second not less",
            ],
        )

    @classmethod
    def condition(cls, name: str, near: Sequence[str], known: Sequence[str]) -> Self:
        """`on` names a condition that is none, or that repetition doesn't cure."""
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        return cls(
            f"{name!r} is no condition that may pass",
            remedies=[f"{meant}on= takes: {', '.join(known)}"],
        )

    @classmethod
    def not_installed(cls) -> Self:
        """The pauses and attempts are tenacity's."""
        return cls(
            "tenacity is not installed",
            remedies=['pip install "pytest-asyncdb[retry]"'],
        )


class FaultRefused(AsyncDBError):
    """A fault was asked for that cannot be injected, or not there."""

    @classmethod
    def condition(cls, name: str, near: Sequence[str], known: Sequence[str]) -> Self:
        """No fault has that name."""
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        return cls(
            f"there is no fault {name!r}",
            remedies=[f"{meant}known are: {', '.join(known)}"],
        )

    @classmethod
    def sandboxed(cls) -> Self:
        """All sessions of a sandbox are one transaction."""
        return cls(
            "the test is in a sandbox, where no transaction is a real one: a fault in"
            " one would end them all, and none waits for another",
            remedies=[
                "ask for the fixture db_faults",
                f"or let it commit: {REAL_COMMITS}",
            ],
        )

    @classmethod
    def product(cls, name: str, product: str, known: Sequence[str]) -> Self:
        """The product never has that condition."""
        return cls(
            f"{product} has no {name}",
            remedies=[f"known on {product} are: {', '.join(known)}"],
        )

    @classmethod
    def option(cls, name: str, value: object, expected: str) -> Self:
        """An option has a value that nothing can be done with."""
        return cls(f"{name}={value!r}: expected {expected}")

    @classmethod
    def place(cls) -> Self:
        """Several places were given for one fault."""
        return cls(
            "a fault is at a statement or at a COMMIT, not at both",
            remedies=["inject two faults, or sweep over all positions: sweep(...)"],
        )

    @classmethod
    def together(cls, first: object, second: object, statement: str) -> Self:
        """Two faults are due at the same statement, which can fail in one way only."""
        return cls(
            f"two faults are due at one statement: {statement}",
            tried=[str(first), str(second)],
            remedies=["tell them apart by at_statement=, matching= or actor="],
        )

    @classmethod
    def endless(cls, limit: int) -> Self:
        """A sweep has not come to its end."""
        return cls(
            f"the sweep has reached {limit} positions without coming to an end",
            tried=["the code sends more statements each time it is run, or never ends"],
            remedies=["sweep over less code, or give max_positions=..."],
        )

    @classmethod
    def unused(cls) -> Self:
        """The loop over a sweep has not entered the fault."""
        return cls(
            "the body of the loop over a sweep has not entered its fault",
            remedies=["async for fault in sweep(...):\n    async with fault: ..."],
        )

    @classmethod
    def unlimited(cls, pool: str) -> Self:
        """A pool without a limit is never exhausted."""
        return cls(
            f"a {pool} without a limit cannot be exhausted",
            remedies=["give the engine pool_size=, max_overflow= and pool_timeout="],
        )

    @classmethod
    def restart(cls, source: str) -> Self:
        """Only a server that the run has started itself can be restarted."""
        return cls(
            f"a server from the source {source!r} is not started by the run, so it is"
            " not restarted",
            remedies=["run on postgresql@embedded, postgresql@local or mariadb@local"],
        )


class FaultNotReached(AsyncDBError):
    """The statement never came at which a fault was to be: nothing has been tested."""

    @classmethod
    def of(cls, fault: object, seen: Sequence[str]) -> Self:
        """Name the fault, and the statements that it has seen."""
        return cls(
            f"{fault} was never reached",
            tried=list(seen) or ["no statement was sent while it was armed"],
            remedies=["correct at_statement=, at_commit=, matching= or actor="],
        )


class SweepFailed(AsyncDBError, AssertionError):
    """At some position of a fault, code neither did its work nor failed cleanly."""

    @classmethod
    def of(cls, table: str) -> Self:
        """The table of the sweep."""
        return cls(
            f"the code is wrong where this fault comes\n{table}",
            remedies=[
                "let all be one transaction: retry_transaction(sessionmaker, fn)",
                "columns that differ in each run: sweep(..., volatile=[...])",
            ],
        )
