"""Which tables and rows a statement touches, as its text tells a reader.

Less than its footprint, which has what the server touches besides: the parents of
foreign keys, or SQLite's one lock.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.concurrency._shorten import filled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_asyncdb.concurrency._trace import Step

__all__ = ["locks_rows", "may_meet", "must_meet", "tables_of", "values_of"]

_SOURCES: Final = re.compile(
    r"\b(?:FROM|JOIN|INTO|UPDATE|USING)\b(.*?)"
    r"(?=\b(?:FROM|JOIN|ON|USING|WHERE|SET|VALUES|SELECT|GROUP|ORDER|RETURNING)\b"
    r"|[()]|$)",
    re.IGNORECASE | re.DOTALL,
)
_LOCKING: Final = re.compile(
    r"\s*SELECT\b.*\b(?:FOR\s+(?:NO\s+)?(?:KEY\s+)?(?:UPDATE|SHARE)"
    r"|LOCK\s+IN\s+SHARE\s+MODE)\b",
    re.IGNORECASE | re.DOTALL,
)
_WHERE: Final = re.compile(r"\bWHERE\b(.*)", re.IGNORECASE | re.DOTALL)
_WORD: Final = r"'(?:[^']|'')*'|(?<![\w.$])(?:\d+(?:\.\d+)?)"
_VALUE: Final = re.compile(_WORD)
_EQUAL: Final = re.compile(
    rf"(\w+)[\"`]?\s*(?:=\s*({_WORD}|true\b|false\b)|IN\s*\(([^()]*)\))",
    re.IGNORECASE,
)


def tables_of(step: Step) -> frozenset[str]:
    """The tables that the statement names; of a view, those that it reads."""
    return _named(step.sql, step.tables)


@lru_cache(maxsize=1024)
def _named(sql: str, tables: frozenset[str]) -> frozenset[str]:
    words = {
        word.lower()
        for source in _SOURCES.findall(sql)
        for word in re.findall(r"[\w$]+", source)
    }
    named = frozenset(each for each in tables if each.lower() in words)
    return named or frozenset(each for each in tables if not each.startswith("("))


def locks_rows(step: Step) -> bool:
    """Whether it reads, and locks what it reads."""
    return _LOCKING.match(step.sql) is not None


def may_meet(one: Step, two: Step) -> bool:
    """Whether both may touch one row, by their tables and the values after WHERE."""
    if not tables_of(one) & tables_of(two):
        return False
    agreed = _agreed(one, two)
    return not agreed or any(agreed)


def must_meet(one: Step, two: Step) -> bool:
    """Whether both name one row; others may be one for all that the text tells."""
    agreed = _agreed(one, two)
    return bool(tables_of(one) & tables_of(two) and agreed) and all(agreed)


def _agreed(one: Step, two: Step) -> list[bool]:
    """For each column after both WHERE, whether they give it a common value."""
    first, second = _rows(one), _rows(two)
    return [bool(first[each] & second[each]) for each in first.keys() & second.keys()]


def _rows(step: Step) -> dict[str, set[str]]:
    """For columns after WHERE the values that they must have."""
    rows: dict[str, set[str]] = {}
    for where in _wheres(step):
        for column, value, several in _EQUAL.findall(where):
            values = _VALUE.findall(several) if several else [value]
            rows.setdefault(column.lower(), set()).update(values)
    return rows


def values_of(step: Step) -> set[str]:
    """The values after WHERE; where there is none, all."""
    found = {value for where in _wheres(step) for value in _VALUE.findall(where)}
    return found or set(_VALUE.findall(filled(step.sql, step.parameters)))


def _wheres(step: Step) -> Iterator[str]:
    """What stands after WHERE, for each row of parameters."""
    given = step.parameters
    for row in given if isinstance(given, list) else [given]:
        found = _WHERE.search(filled(step.sql, row))
        if found is not None:
            yield found[1]
