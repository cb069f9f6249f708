"""A statement that was sent, and what is known of it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple, Protocol

__all__ = ["Line", "Origin", "Statement", "is_control"]

_PLACEHOLDER: Final = r"(?:\?|%s|[$:]\w+(?:::[\w ]+)?|%\(\w+\)s)"
_LIST: Final = re.compile(rf"\({_PLACEHOLDER}(?:, {_PLACEHOLDER})+\)")
_GROUPS: Final = re.compile(r"\(…\)(?:, \(…\))+")
_WRITES: Final = re.compile(
    r"\s*(?:INSERT|UPDATE|DELETE|MERGE|REPLACE|TRUNCATE|CREATE|ALTER|DROP|COPY|LOAD)\b",
    re.IGNORECASE,
)
_WITH: Final = re.compile(
    r"\s*WITH\b.*\b(?:INSERT|UPDATE|DELETE|MERGE)\s", re.IGNORECASE | re.DOTALL
)
_CONTROL: Final = re.compile(
    r"\s*(?:SAVEPOINT|RELEASE|ROLLBACK|COMMIT|BEGIN)\b", re.IGNORECASE
)
_COLUMNS: Final = re.compile(r"^SELECT .{25,}? FROM ")
_NAME: Final = r'[`"\[]?([\w$]+)[`"\]]?(?:\.[`"\[]?([\w$]+)[`"\]]?)?'
_TABLES: Final = re.compile(
    rf"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?:ONLY\s+)?{_NAME}",
    re.IGNORECASE,
)
_LENGTH: Final = 160


class Line(NamedTuple):
    """A line of the application's code."""

    file: str
    number: int
    function: str

    def __str__(self) -> str:
        relative = os.path.relpath(self.file)
        path = self.file if relative.startswith("..") else relative
        return f"{path}:{self.number} in {self.function}"


class Way(Protocol):
    """How the application came to a statement."""

    flushes: bool
    factory: bool

    @property
    def line(self) -> Line | None:
        """The innermost line of the application."""


@dataclass(eq=False, slots=True)
class Origin:
    """What the ORM was about when it sent a statement; shared by all recorders."""

    kind: str
    path: tuple[Any, ...] = ()
    """Mapper, relationship, mapper, ... of what is loaded; the root query's first."""
    loaded_for: tuple[Any, ...] | None = None
    """Identity of the object whose relationship is loaded."""
    parent: Origin | None = None
    """What that object was loaded by."""
    way: Way | None = None
    identities: list[tuple[Any, ...]] = field(default_factory=list)
    """Primary keys of what was loaded."""

    @property
    def line(self) -> Line | None:
        """The line of the application that has sent it."""
        return None if self.way is None else self.way.line

    @property
    def keys(self) -> set[Any]:
        """Values of the primary keys of what was loaded."""
        return {value for each in self.identities for value in each}


@dataclass(eq=False)
class Statement:
    """A statement as it went to the driver."""

    sql: str
    parameters: Any
    many: bool
    """Sent once for each of several sets of parameters."""
    transaction: int
    """Number of the transaction, in the order in which they sent their first."""
    origin: Origin | None
    hidden: bool
    """Whether the engine hides parameters."""
    _way: Way = field(repr=False)
    _compiled: Any = field(repr=False)
    """What SQLAlchemy has compiled; the context would keep the connection alive."""
    began: float = field(repr=False)
    """When it was sent, in seconds of `time.perf_counter`."""
    rows: int | None = None
    """Rows found or changed; None where the driver does not say."""
    duration: float | None = None
    """Seconds in the driver; None where it did not end."""
    error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Statement {self.shape!r}, {self.kind}, {self.line}>"

    @cached_property
    def kind(self) -> str:
        """Who sent it.

        "application", "lazy load", "eager load", "refresh", "flush", or "transaction"
        for a savepoint.
        """
        if self.origin is not None and self.origin.kind != "application":
            return self.origin.kind
        if self._way.flushes:
            return "flush"
        return "transaction" if is_control(self.sql) else "application"

    @property
    def factory(self) -> bool:
        """Whether a factory sent it."""
        return self._way.factory

    @cached_property
    def line(self) -> Line | None:
        """The line of the application that caused it; None where there is none."""
        return self._way.line

    @cached_property
    def shape(self) -> str:
        """The SQL on one line, with lists of any length and most columns left out."""
        text = " ".join(self.sql.split())
        text = _GROUPS.sub("(…), …", _LIST.sub("(…)", text))
        text = _COLUMNS.sub("SELECT … FROM ", text)
        return text if len(text) <= _LENGTH else f"{text[:_LENGTH]}…"

    @property
    def relationship(self) -> str | None:
        """What a lazy or eager load is of, such as "User.posts"."""
        if self.origin is None or not self.origin.path:
            return None
        return str(self.origin.path[-1])

    @cached_property
    def is_write(self) -> bool:
        """Whether it changes rows or the schema."""
        return bool(_WRITES.match(self.sql) or _WITH.match(self.sql))

    @cached_property
    def tables(self) -> frozenset[str]:
        """Names of the tables that it reads or writes, with the schema if it has one.

        Those of text are found by the words before them.
        """
        return frozenset(_of_clause(self._compiled) or _of_text(self.sql))


def is_control(sql: str) -> bool:
    """Whether a text controls a transaction."""
    return _CONTROL.match(sql) is not None


def _of_clause(compiled: Any) -> set[str]:  # noqa: ANN401 - its parts are not typed
    from sqlalchemy import TextClause
    from sqlalchemy.sql import visitors
    from sqlalchemy.sql.expression import TableClause

    statement = getattr(compiled, "statement", None)
    if statement is None or isinstance(statement, TextClause):
        return set()
    state = getattr(compiled, "compile_state", None)
    rendered = getattr(state, "statement", None)
    each = statement if rendered is None else rendered
    return {
        getattr(element, "fullname", element.name)
        for element in visitors.iterate(each)
        if isinstance(element, TableClause)
    }


def _of_text(sql: str) -> set[str]:
    return {
        f"{first}.{second}" if second else first
        for first, second in _TABLES.findall(sql)
    }
