"""Errors of lanes, and of asking a server who waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.errors._base import AsyncDBError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

__all__ = ["LaneBlocked", "LaneBusy", "LanesRefused", "ProbeRefused"]


class ProbeRefused(AsyncDBError):
    """Who waits for whom in the database cannot be known.

    Raised before anything runs; without that, a step that waits and one that is slow
    are the same.
    """

    @classmethod
    def denied(cls, product: str, said: str) -> Self:
        """The server does not show its locks to this role; `said` are its words."""
        grants = {
            "postgresql": "GRANT EXECUTE ON FUNCTION pg_blocking_pids(int) TO the role",
            "mariadb": "GRANT PROCESS ON *.* TO the role",
            "mysql": "GRANT SELECT ON performance_schema.* and PROCESS to the role",
        }
        return cls(
            "the server does not tell this role which session waits for which",
            tried=[said],
            remedies=[
                grants.get(product, "give the role the right to see locks"),
                "or use a server that the run starts by itself, where it may",
            ],
        )

    @classmethod
    def in_memory(cls) -> Self:
        """A database in memory has one connection."""
        return cls(
            "SQLite in memory has one connection, so nothing in it is concurrent",
            remedies=["use a file: --asyncdb=sqlite@file, or another product"],
        )

    @classmethod
    def unknown(cls, product: str) -> Self:
        """The backend has no SQL that asks for waits."""
        return cls(
            f"it is not known how to ask {product} which session waits for which",
            remedies=["give its backend `waits`, as the built-in ones have"],
        )


class LanesRefused(AsyncDBError):
    """Lanes were asked for in a way that makes no sense; nothing has been sent."""

    @classmethod
    def number(cls, given: object) -> Self:
        """How many there are to be is no number."""
        return cls(
            f"lanes are counted from 1, not {given!r}",
            remedies=["give how many transactions there are to be: lanes(2)"],
        )

    @classmethod
    def isolation(cls, given: object, known: Sequence[str]) -> Self:
        """The database has no such level."""
        return cls(
            f"{given!r} is no isolation level of this database",
            remedies=[f"give one of {', '.join(known)}"],
        )

    @classmethod
    def step(cls, given: object) -> Self:
        """A step is a function that is no coroutine function."""
        return cls(
            f"{given!r} is no step: it gave nothing that can be awaited",
            remedies=[
                "give SQL, a construct of SQLAlchemy's, or an async function(session)"
            ],
        )

    @classmethod
    def begun(cls) -> Self:
        """The engine begins SQLite's transactions by a listener of its own."""
        return cls(
            "the engine has begun the transaction already, in its own way",
            remedies=[
                "leave isolation= out, and the engine's own BEGIN is what is tested"
            ],
        )

    @classmethod
    def outside(cls) -> Self:
        """A lane was used before or after its block."""
        return cls(
            "a lane has a connection only inside of its block",
            remedies=["use it inside of `async with lanes(...) as (t1, t2):`"],
        )


class LaneBlocked(AsyncDBError):
    """A step waits for a lock, and nothing in the test could go on to release it.

    Its `step` is still on its way; it ends when the lock is released.
    """

    step: object = None

    @classmethod
    def of(cls, step: object, holders: Iterable[object]) -> Self:
        """The step, and the lanes (or numbers of other sessions) that it waits for."""
        named = ", ".join(sorted(map(_holder, holders)))
        if named:
            error = cls(
                f"{step} waits in the database for {named}",
                remedies=[
                    "where it has to wait, say so: step = lane.start(...)",
                    "commit or roll back who holds the lock, then await the step",
                ],
            )
        else:
            error = cls(
                f"{step} has not been answered, and waits for no lock",
                remedies=["a lane is for short statements: ten seconds are the most"],
            )
        error.step = step
        return error


class LaneBusy(AsyncDBError):
    """A lane was given a step while it is still at another one."""

    @classmethod
    def of(cls, step: object, holders: Iterable[object]) -> Self:
        """The step that it is at, and whom that one waits for."""
        named = ", ".join(sorted(map(_holder, holders))) or "the database"
        return cls(
            f"the lane is still at {step}, which waits for {named}",
            remedies=["await that step before the lane takes another one"],
        )


def _holder(holder: object) -> str:
    if not isinstance(holder, int):
        return str(holder)
    return "somebody" if holder < 0 else f"session {holder}, which is no lane"
