"""What every error and warning of the package is."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["REAL_COMMITS", "AsyncDBError", "AsyncDBWarning", "meant"]


REAL_COMMITS: Final = '@pytest.mark.asyncdb(isolation="commit")'


class AsyncDBError(Exception):
    """Base of every error that the package raises on its own account.

    The text has up to three parts: the cause in one line, what was tried, and what the
    reader can do about it.
    """

    def __init__(
        self,
        cause: str,
        *,
        tried: Sequence[str] = (),
        remedies: Sequence[str] = (),
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.tried = tuple(tried)
        self.remedies = tuple(remedies)

    def __str__(self) -> str:
        lines = [self.cause]
        for title, items in (("tried", self.tried), ("what helps", self.remedies)):
            if items:
                lines.append(f"  {title}:")
                lines += [f"    - {item}" for item in items]
        return "\n".join(lines)


class AsyncDBWarning(UserWarning):
    """Base of every warning that the package gives."""


def meant(word: object, known: Iterable[str]) -> list[str]:
    """A remedy with the one that is nearest, where one is near."""
    near = difflib.get_close_matches(str(word), known, n=1)
    return [f"did you mean {each}?" for each in near]
