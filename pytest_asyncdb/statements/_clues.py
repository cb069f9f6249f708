"""What answers are made of: frames of a traceback, and what a test knows besides."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Engine, Select

    from pytest_asyncdb.statements._recorder import Recorder

__all__ = ["Clues", "in_sqlalchemy", "told"]


@dataclass(frozen=True)
class Clues:
    """What the surroundings of an error know; whoever knows nothing gives nothing."""

    recorder: Recorder | None = None
    """What has recorded the statements."""
    held: Callable[[BaseException], Sequence[str]] | None = None
    """Where the connections were taken that a pool had given away when it failed."""
    opened: Callable[[Engine], Sequence[str]] | None = None
    """Where an engine has opened its connections."""
    rows: Callable[[Select[Any]], Sequence[Mapping[str, Any]]] | None = None
    """Rows of the database that the test has used."""


def in_sqlalchemy(
    error: BaseException, module: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Functions of SQLAlchemy's that an error came through, outermost first.

    Each by its name, which begins with `_` in some versions only, and its variables.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_globals.get("__name__", "").startswith(f"sqlalchemy.{module}"):
            yield frame.f_code.co_name.lstrip("_"), frame.f_locals


def told(what: str, remedies: Iterable[str]) -> str:
    """The text of an answer."""
    return "\n  - ".join([f"{what}; what helps:", *remedies])
