"""What an error of a database says: its condition, whatever driver tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

__all__ = [
    "EXHAUSTED",
    "LOST",
    "UNREACHABLE",
    "Condition",
    "Errors",
    "Undone",
    "conditions",
]

Undone = Literal["transaction", "statement"]


@dataclass(frozen=True, slots=True)
class Condition:
    """Why the database refused, by PostgreSQL's name for it (appendix A of its manual).

    `transient`: the whole transaction, run again, may succeed, and running it again is
    right. `rolled_back`: what the server has undone by itself, the "transaction" (on
    PostgreSQL it then waits for the ROLLBACK), only the "statement", or None where it
    has undone nothing or nobody can know. `disconnected`: the session is gone.
    `outcome_unknown`: a COMMIT was on its way, and nobody can say whether it arrived;
    such a condition is never transient. `code` is what the driver tells, "" for none.
    """

    name: str
    transient: bool = False
    rolled_back: Undone | None = None
    disconnected: bool = False
    outcome_unknown: bool = False
    code: str = ""


def conditions(
    names: Mapping[str, str],
    *,
    transient: Iterable[str] = (),
    disconnected: Iterable[str] = (),
    rolled_back: Undone,
    otherwise: Mapping[str, Undone | None] | None = None,
) -> dict[str, Condition]:
    """A product's conditions by their codes; `names` holds several codes for a name.

    `transient`, `disconnected` and `otherwise` (what else than `rolled_back` is undone)
    name codes.
    """
    pairs = [(code, name) for name, codes in names.items() for code in codes.split()]
    repeatable, gone, apart = set(transient), set(disconnected), dict(otherwise or {})
    return {
        code: Condition(
            name,
            transient=code in repeatable,
            rolled_back="transaction" if code in gone else apart.get(code, rolled_back),
            disconnected=code in gone,
            code=code,
        )
        for code, name in pairs
    }


@dataclass(frozen=True, slots=True)
class Errors:
    """A product's errors: what they mean, and how it is brought to raise them."""

    conditions: Mapping[str, Condition]
    """By code."""
    raisable: Collection[str]
    """Names of conditions that can be raised at any statement."""
    provoke: Callable[[str], Sequence[str]] | None = None
    """Statements of which the last one fails with the condition of that name."""
    error: Callable[[str, Any], Exception] | None = None
    """The same from the driver's module, where no statement raises it."""
    end: str | None = None
    """The statement that fails as all do whose session the server ends, if any does."""
    slow: Callable[[float], str] | None = None
    """A statement that takes that many seconds; None where no server could wait."""


LOST: Final = Condition(
    "connection_failure", transient=True, rolled_back="transaction", disconnected=True
)
"""The connection is gone, and no code says why."""
UNREACHABLE: Final = Condition(
    "sqlclient_unable_to_establish_sqlconnection", transient=True, disconnected=True
)
"""No connection could be made."""
EXHAUSTED: Final = Condition("pool_timeout")
"""SQLAlchemy's pool had none to give; retrying would make the queue longer."""
