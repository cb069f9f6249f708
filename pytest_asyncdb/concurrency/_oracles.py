"""What must be true of every schedule, besides equality with a serial order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pytest_asyncdb.concurrency._anomaly import anomaly

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asyncdb.concurrency._trace import Trace

__all__ = [
    "Ended",
    "Oracle",
    "all_succeed",
    "at_most_one",
    "no_deadlock",
    "no_lost_update",
]


@dataclass(frozen=True, slots=True)
class Ended:
    """A schedule that has ended: the results of those that succeeded, and the errors.

    `serial` says whether its outcome is that of some serial order; None where nobody
    has looked.
    """

    trace: Trace
    results: Mapping[str, Any]
    errors: Mapping[str, BaseException]
    serial: bool | None


class Oracle(Protocol):
    """Says of a schedule what is wrong with it, or None."""

    def verdict(self, ended: Ended) -> tuple[str, str] | None:
        """The name of what is wrong, and a sentence about it."""


@dataclass(frozen=True, slots=True)
class _NoDeadlock:
    """No statement is a deadlock's victim, even if the application tries again."""

    def verdict(self, ended: Ended) -> tuple[str, str] | None:
        for step in ended.trace.steps:
            if step.outcome == "deadlock_detected":
                return "deadlock", f"{step.actor} is the victim of a deadlock"
        return None


@dataclass(frozen=True, slots=True)
class _NoLostUpdate:
    """No update that was committed is overwritten by who had not seen it."""

    def verdict(self, ended: Ended) -> tuple[str, str] | None:
        found = anomaly(ended.trace)
        if ended.serial is False and found is not None and found.name == "lost update":
            return found.name, found.text
        return None


@dataclass(frozen=True, slots=True)
class _AllSucceed:
    """No actor fails, whatever the others do."""

    def verdict(self, ended: Ended) -> tuple[str, str] | None:
        for name in ended.errors:
            return "failure", f"{name} fails: {ended.trace.endings[name]}"
        return None


@dataclass(frozen=True, slots=True)
class _AtMostOne:
    """Of these actors one succeeds at the most."""

    names: frozenset[str]

    def verdict(self, ended: Ended) -> tuple[str, str] | None:
        found = [
            name
            for name, result in ended.results.items()
            if (not self.names or name in self.names) and result not in (None, False)
        ]
        if len(found) > 1:
            return "double success", f"{' and '.join(found)} succeed both"
        return None


no_deadlock: Oracle = _NoDeadlock()
no_lost_update: Oracle = _NoLostUpdate()
all_succeed: Oracle = _AllSucceed()


def at_most_one(*names: str) -> Oracle:
    """An oracle: of these actors (of all, if none is named) one succeeds at the most.

    One that returns None or False did not succeed, as one that raises.
    """
    return _AtMostOne(frozenset(names))
