"""The revision files, read without a database: what they are, and what is wrong."""

from __future__ import annotations

import ast
import inspect
import textwrap
import traceback
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import HistoryRefused
from pytest_asyncdb.migrations._config import directory

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from alembic.config import Config
    from alembic.script import Script, ScriptDirectory

__all__ = [
    "ACCEPTED",
    "IRREVERSIBLE",
    "History",
    "Revision",
    "in_order",
    "read_history",
]

IRREVERSIBLE: Final = "asyncdb_irreversible"
"""A variable of a revision file: it has no way back; a text says why."""
ACCEPTED: Final = "asyncdb_rows_accepted"
"""A variable of a revision file: what it does to rows is meant; a text says why."""
_SLUG: Final = 40


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision file."""

    id: str
    message: str
    down: tuple[str, ...]
    """What it follows; empty for a base, several for a merge."""
    irreversible: str | None
    """Why it declares to have no way back; None if it does not."""
    empty: frozenset[str]
    """Which of "upgrade" and "downgrade" do nothing."""
    accepted: str | None = None
    """Why what it does to rows is meant; None if it does not say."""

    @property
    def slug(self) -> str:
        """Its identifier and the begin of its message, in one word."""
        words = "".join(
            each if each.isalnum() else " " for each in self.message.lower()
        )
        return "-".join([self.id, "_".join(words.split())[:_SLUG]]).rstrip("-_")

    @property
    def title(self) -> str:
        """As Alembic shows it."""
        return f"{self.id} ({self.message})" if self.message else self.id

    @classmethod
    def of(cls, script: Script, declared: Collection[str] = ()) -> Revision:
        """What Alembic has read; `declared` are irreversible for the project."""
        down = script.down_revision or ()
        said = getattr(script.module, IRREVERSIBLE, script.revision in declared)
        return cls(
            id=script.revision,
            message=(script.doc or "").strip(),
            down=(down,) if isinstance(down, str) else tuple(down),
            irreversible=_said_by(said),
            empty=frozenset(_empty(script.module)),
            accepted=_said_by(getattr(script.module, ACCEPTED, None)),
        )


def _said_by(value: object) -> str | None:
    """The reason that a variable gives; None where it is not set."""
    if not value:
        return None
    return "declared" if value is True else str(value)


@dataclass(frozen=True, slots=True)
class History:
    """All revisions, the oldest first, with the heads and what is wrong."""

    revisions: tuple[Revision, ...]
    heads: tuple[str, ...]
    labels: frozenset[str] = frozenset()
    """Names of branches."""
    problems: tuple[str, ...] = ()

    def __getitem__(self, revision: str) -> Revision:
        return next(each for each in self.revisions if each.id == revision)


def in_order(script: ScriptDirectory) -> list[Script]:
    """All revisions, each after those that it follows.

    Raises `HistoryRefused`.
    """
    try:
        found = list(script.walk_revisions("base", "heads"))
    except Exception as error:
        raise HistoryRefused.unreadable(_said(error)) from error
    return found[::-1]


def _said(error: Exception) -> str:
    """What is wrong, and in which file; a script may raise anything."""
    from alembic.util import CommandError

    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    if isinstance(error, CommandError):
        return str(error)
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    for each, number in traceback.walk_tb(error.__traceback__):
        if "down_revision" in each.f_globals and "revision" in each.f_globals:
            frame, line = each, number
    where = f"{frame.f_code.co_filename}, line {line}"
    return f"{where}: {type(error).__name__}: {error}"


def read_history(config: Config, declared: Collection[str] = ()) -> History:
    """The history as the files tell it; what is wrong with it is told in it.

    Raises `HistoryRefused` where the files cannot be read at all.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        script = directory(config)
        try:
            scripts = in_order(script)
        except HistoryRefused as error:
            missing = [str(each.message) for each in said]
            if missing:
                raise HistoryRefused.unreadable("; ".join(missing)) from error
            raise
    revisions = tuple(Revision.of(each, declared) for each in scripts)
    problems = [str(each.message) for each in said if _is_alembics(each)]
    return History(
        revisions,
        tuple(script.get_heads()),
        frozenset(label for each in scripts for label in each.branch_labels),
        (*problems, *_unknown(revisions, declared)),
    )


def _is_alembics(warning: warnings.WarningMessage) -> bool:
    return issubclass(warning.category, UserWarning)


def _unknown(
    revisions: tuple[Revision, ...], declared: Collection[str]
) -> Iterator[str]:
    known = {each.id for each in revisions}
    for revision in sorted(set(declared) - known):
        yield f"asyncdb_migration_irreversible names {revision}, which there is not"
    for each in revisions:
        if each.empty >= {"upgrade", "downgrade"} and len(each.down) < 2:  # noqa: PLR2004
            yield f"{each.title} is empty: upgrade() and downgrade() do nothing"


def _empty(module: Any) -> Iterator[str]:  # noqa: ANN401  (of a revision file)
    for name in ("upgrade", "downgrade"):
        function = getattr(module, name, None)
        if function is None or _does_nothing(function):
            yield name


def _does_nothing(function: Any) -> bool:  # noqa: ANN401
    try:
        source = textwrap.dedent(inspect.getsource(function))
        body = ast.parse(source).body[0].body  # type: ignore[attr-defined]
    except (OSError, SyntaxError, TypeError):
        return False
    return all(
        isinstance(each, ast.Pass)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        for each in body
    )
