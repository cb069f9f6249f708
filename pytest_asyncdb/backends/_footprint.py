"""The tables that a statement touches, as far as its text tells: never too few.

Known names that occur in the text as words are a superset of what the server would find
by parsing it. What the text cannot tell, functions and triggers, touches everything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.backends._text import classify

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EVERYTHING", "Footprint", "Footprints"]

EVERYTHING: Final = "*"
"""In a footprint: any table at all."""

_QUIET: Final = frozenset(
    "SET RESET SHOW SAVEPOINT RELEASE PRAGMA BEGIN START COMMIT END ROLLBACK ABORT USE"
    " ANALYZE EXPLAIN DEALLOCATE".split()
)
_IMMEDIATE: Final = re.compile(r"\s*BEGIN\s+(IMMEDIATE|EXCLUSIVE)\b", re.IGNORECASE)
# They draw from a sequence, and no order of theirs shows but in the number itself.
_SEQUENCE: Final = re.compile(r"\b(nextval|currval|lastval)\s*\(", re.IGNORECASE)
_LEVEL: Final = re.compile(
    r"\s*(?:SET\s+(?:SESSION\s+CHARACTERISTICS\s+AS\s+)?TRANSACTION|BEGIN|START\s+"
    r"TRANSACTION)\b.*?ISOLATION\s+LEVEL\s+(READ\s+UNCOMMITTED|READ\s+COMMITTED"
    r"|REPEATABLE\s+READ|SERIALIZABLE)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a statement does: `quiet` ones concern nobody else.

    `level` is the isolation level that it sets for its transaction.
    """

    tables: frozenset[str] = frozenset()
    writes: bool = False
    quiet: bool = False
    defines: bool = False
    level: str | None = None


@dataclass(slots=True)
class Footprints:
    """Reads statements, knowing the tables of a database.

    `named` gives for each name, in lower case, the tables behind it: itself, or what a
    view reads. `written` gives for a table what a write to it touches besides: parents
    of its foreign keys, or everything, where a trigger fires.
    """

    named: Mapping[str, frozenset[str]]
    written: Mapping[str, frozenset[str]]
    is_mysql: bool = False
    _words: re.Pattern[str] = field(init=False)
    _known: dict[str, Footprint] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        names = sorted(self.named, key=len, reverse=True)
        either = "|".join(map(re.escape, names)) or r"(?!)"
        self._words = re.compile(rf"(?<![\w$])(?:{either})(?![\w$])", re.IGNORECASE)

    def of(self, sql: str) -> Footprint:
        """What the statement touches."""
        known = self._known.get(sql)
        if known is None:
            known = self._known[sql] = self._read(sql)
        return known

    def _read(self, sql: str) -> Footprint:
        if _IMMEDIATE.match(sql):
            return Footprint(frozenset({EVERYTHING}), writes=True)
        text = classify(_SEQUENCE.sub("abs(", sql), mysql=self.is_mysql)
        if text.first in _QUIET or text.savepoint is not None:
            level = _LEVEL.match(sql)
            name = " ".join(level[1].upper().split()) if level else None
            return Footprint(quiet=True, level=name)
        names = {each.lower() for each in self._words.findall(sql)}
        tables = frozenset[str]().union(*map(self.named.__getitem__, names))
        if text.session:  # a function that may do anything
            tables = frozenset({EVERYTHING})
        if text.reads:
            return Footprint(tables)
        more = [self.written.get(each, frozenset()) for each in tables]
        found = tables.union(*more) or self._unnamed(sql)
        return Footprint(found, writes=True, defines=text.defines)

    @staticmethod
    def _unnamed(sql: str) -> frozenset[str]:
        """A write that names no table; drawing from a sequence is none."""
        return frozenset() if _SEQUENCE.search(sql) else frozenset({EVERYTHING})
