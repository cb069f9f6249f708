"""What lies behind errors of async SQLAlchemy, where that is certain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_asyncdb.statements._clues import Clues
from pytest_asyncdb.statements._connecting import exhausted, other_loop
from pytest_asyncdb.statements._rows import duplicate, stale
from pytest_asyncdb.statements._unloaded import unloaded
from pytest_asyncdb.statements._unusable import begun, busy, rolled_back

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["answer"]

_ANSWERS: Final[tuple[Callable[[BaseException, Clues], str | None], ...]] = (
    unloaded,
    rolled_back,
    begun,
    busy,
    exhausted,
    other_loop,
    duplicate,
    stale,
)
_NONE: Final = Clues()


def answer(error: BaseException, clues: Clues = _NONE) -> str | None:
    """What happened in terms of the application, and the remedy; None if unknown.

    Of `MissingGreenlet`, `DetachedInstanceError`, `PendingRollbackError`, a transaction
    that is begun twice, a connection that is in use or of another loop, a pool that ran
    out, a key that there is already, and a row that has changed. `clues` is what else
    is known; without it some of them have no answer.
    """
    for each in _ANSWERS:
        text = each(error, clues)
        if text is not None:
            return text
    return None
