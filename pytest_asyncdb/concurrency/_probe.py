"""Whether a step waits in the database is asked of the server: the protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pytest_asyncdb.concurrency._trace import Kind

__all__ = ["SOMEBODY", "Deadlocks", "Probe"]

SOMEBODY: Final = -1
"""The session that is waited for where the server tells only that one waits."""


@dataclass(frozen=True, slots=True)
class Deadlocks:
    """How soon the server ends a deadlock, and how its victim is made certain.

    A session looks for a deadlock once, some time after it began to wait. So where
    `settle` seconds are let pass after each step that waits, and before the next one is
    let go, all others have looked, and the statement that closes the circle is the one
    that fails. 0 where the server looks at once.
    """

    hurry: str | None
    """What a session says outside of a transaction before its first; None: nothing."""
    settle: float
    slow: bool = False
    """Whether the role may not hurry the server, so `settle` is long."""

    @property
    def remarks(self) -> list[str]:
        """What a report has to say of it."""
        if not self.slow:
            return []
        grant = "GRANT SET ON PARAMETER deadlock_timeout"
        return [f"each deadlock takes {self.settle:g} s: the role lacks {grant}"]


class Probe(Protocol):
    """Asks the server, on a connection of its own, who waits for whom.

    Sessions are known by the server's number for them: PostgreSQL's process id,
    MySQL's and MariaDB's connection id. SQLite has no server to ask: it is foretold
    from the steps that `sent` and `answered` have been told of, and numbers are given
    by `session`.
    """

    foretells: bool
    """Whether nobody can be asked, so `foretell` says what `blocking` will."""
    deadlocks: Deadlocks

    def session(self, driver_connection: object) -> int:
        """The number of the session behind a driver's connection, without a query."""

    def sent(self, session: int, kind: Kind, sql: str) -> None:
        """A step is about to be let go. BEGIN is told too, as what its text does."""

    def answered(self, session: int) -> None:
        """The step that was sent has come back, with whatever answer."""

    def foretell(self, session: int, kind: Kind, sql: str) -> frozenset[int]:
        """The sessions for which that step would have to wait, if it were sent now.

        Empty where a server decides; it says so by `blocking`, once it was sent.
        """

    async def blocking(
        self, sessions: Collection[int], *, exact: bool = False
    ) -> Mapping[int, frozenset[int]]:
        """Those of the sessions that wait for a lock, each with those it waits for.

        Sessions besides `sessions` that hold the lock are in the answer too, so that
        somebody else's load can be told apart. `SOMEBODY` where the server doesn't
        say for whom; with `exact` it is given the time to (MariaDB: 0.1 seconds).
        """

    async def close(self) -> None:
        """Give back the probe's own connection."""
