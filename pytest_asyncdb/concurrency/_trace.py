"""What happened in one schedule: the steps of each actor, in the server's order."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

__all__ = ["Kind", "Step", "Trace"]


class Kind(enum.Enum):
    """What a step asks of the database."""

    READ = "read"
    WRITE = "write"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    RELEASE = "release"
    ROLLBACK_TO = "rollback to"


@dataclass(slots=True)
class Step:
    """One statement, COMMIT or ROLLBACK of one connection of an actor.

    `connection` counts the actor's connections from 1. `blocked_by` names the actors
    for which the step had to wait; it stays empty where the server said that it waits
    but not for whom, so `waited` says it too. `outcome` is short: "1 row", or the
    condition with which it failed, "deadlock_detected".
    """

    actor: str
    kind: Kind
    sql: str
    connection: int = 1
    tables: frozenset[str] = frozenset()
    waited: bool = False
    blocked_by: frozenset[str] = frozenset()
    outcome: str = ""
    error: BaseException | None = None
    parameters: object = None


@dataclass(slots=True)
class Trace:
    """One schedule: its steps in the order in which they were let go.

    `endings` says of each actor how it ended: its result's repr, or its error.
    `schedule` is the string that replays it, one letter a step. `row_locks` says
    whether the database has locks of single rows.
    """

    actors: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)
    endings: dict[str, str] = field(default_factory=dict)
    schedule: str = ""
    row_locks: bool = True
