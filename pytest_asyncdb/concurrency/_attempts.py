"""Attempts at one transaction: when it is run again, and after which pause."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from sqlalchemy.orm.exc import StaleDataError

from pytest_asyncdb.concurrency._classify import classify, leaves
from pytest_asyncdb.errors import RetryRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenacity import AsyncRetrying, RetryCallState

__all__ = ["Policy", "Transaction"]

T = TypeVar("T")

_log: Final = logging.getLogger("pytest_asyncdb.retry")


@dataclass(slots=True)
class Transaction(Generic[T]):
    """What is to happen once, however often it is tried.

    `once` tries it in a session of its own. `applied`, if given, finds out whether a
    lost COMMIT has arrived; then `result` is what it would have given.
    """

    once: Callable[[], Awaitable[T]]
    applied: Callable[[], Awaitable[bool]] | None
    result: Callable[[], T]
    unknown: Exception | None = None
    """Of the last COMMIT, while nobody knows whether it has arrived."""
    absent: Exception | None = None
    """The same, once it is known that it has not."""

    async def attempt(self) -> T:
        """Try it, unless it turns out to have happened."""
        if self.unknown is None:
            try:
                return await self.once()
            except Exception as error:
                if not _is_unknown(error):
                    raise
                self.unknown = error
                if self.applied is None:
                    raise
        if self.applied is not None and await self.applied():
            return self.result()
        lost, self.unknown = self.unknown, None
        self.absent = lost
        raise lost


@dataclass(frozen=True, slots=True)
class Policy:
    """When a transaction is run again, and after which pause."""

    attempts: int
    within: float | None
    delay: float
    max_delay: float
    on: frozenset[str]
    stale: bool

    def __post_init__(self) -> None:
        for name, fits in (
            ("attempts", self.attempts >= 1),
            ("within", self.within is None or self.within > 0),
            ("delay", self.delay >= 0),
            ("max_delay", self.max_delay >= self.delay),
        ):
            if not fits:
                raise RetryRefused.option(name, getattr(self, name))

    async def run(self, transaction: Transaction[T]) -> T:
        """Try it until it succeeds, or may not be tried again."""
        cancelled = _cancellations()

        def repeats(error: BaseException) -> bool:
            if _cancellations() > cancelled:
                return False
            is_absent = error is transaction.absent
            return is_absent or all(map(self._is_passing, leaves(error)))

        try:
            return await self._engine(repeats)(transaction.attempt)
        except Exception as error:
            if _cancellations() > cancelled:  # what cancelled it was lost on the way
                raise asyncio.CancelledError from error
            if transaction.unknown is not None:
                error.add_note(_UNKNOWN)
            raise

    def _is_passing(self, error: BaseException) -> bool:
        """Whether one error may not come again."""
        if self.stale and _is_stale(error):
            return True
        condition = classify(error)
        return (
            condition is not None and condition.transient and condition.name in self.on
        )

    def _engine(self, repeats: Callable[[BaseException], bool]) -> AsyncRetrying:
        try:
            import tenacity
        except ModuleNotFoundError as error:
            raise RetryRefused.not_installed() from error
        stop: Any = tenacity.stop_after_attempt(self.attempts)
        if self.within is not None:
            stop |= tenacity.stop_before_delay(self.within)
        return tenacity.AsyncRetrying(
            stop=stop,
            wait=tenacity.wait_random_exponential(self.delay, max=self.max_delay),
            retry=tenacity.retry_if_exception(repeats),
            before_sleep=_tell,
            reraise=True,
        )


_UNKNOWN: Final = (
    "not run again: the connection was lost in a COMMIT, which may have arrived;"
    " was_applied= is what can find out"
)


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    condition = classify(error) if error is not None else None
    name = condition.name if condition is not None else type(error).__name__
    _log.info("attempt %d: %s; trying again", state.attempt_number, name)


def _is_unknown(error: BaseException) -> bool:
    condition = classify(error)
    return condition is not None and condition.outcome_unknown


def _is_stale(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, StaleDataError):
        error = error.__cause__
    return error is not None


def _cancellations() -> int:
    """How many times somebody has asked the running task to stop."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0
