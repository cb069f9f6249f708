"""Statements as people read them: with values, without columns and casts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["filled", "shortened"]

_CAST: Final = (
    r"(?:::[A-Z]\w*(?: (?:VARYING|PRECISION|WITH(?:OUT)? TIME ZONE))?"
    r"(?:\([\d, ]+\))?(?:\[\])?)?"
)
_MARK: Final = re.compile(
    r"'(?:[^']|'')*'"  # a literal, in which nothing is a mark
    rf"|\$(?P<number>\d+){_CAST}"  # asyncpg
    rf"|%\((?P<name>\w+)\)s{_CAST}"  # psycopg
    r"|(?P<next>%s|\?)"  # MySQL's drivers, SQLite's
)
_COLUMNS: Final = re.compile(r"^(SELECT(?: DISTINCT)?) .{24,}? (FROM) ", re.IGNORECASE)
_LONGEST_VALUE: Final = 24


def filled(sql: str, parameters: object = None) -> str:
    """The statement with its parameters where they belong, as far as they are known.

    For people, not for a server: values are Python's. Of several rows it is the first.
    """
    rows = parameters if isinstance(parameters, list) else [parameters]
    given = rows[0] if rows else None
    counted = iter(given) if isinstance(given, tuple) else iter(())

    def value(match: re.Match[str]) -> str:
        number, name = match["number"], match["name"]
        if number and isinstance(given, Sequence) and int(number) <= len(given):
            return _shown(given[int(number) - 1])
        if name and isinstance(given, Mapping) and name in given:
            return _shown(given[name])
        if match["next"]:
            found = next(counted, match)
            return match[0] if found is match else _shown(found)
        return match[0]

    text = _MARK.sub(value, " ".join(sql.split()))
    more = f" ({len(rows)} rows)" if len(rows) > 1 else ""
    return text + more


def shortened(sql: str, parameters: object = None) -> str:
    """The statement on one line, without the columns that are selected."""
    text = _COLUMNS.sub(r"\1 … \2 ", filled(sql, parameters))
    only = _only_table(text)
    return re.sub(rf"\b{only}\.(?=\w)", "", text) if only else text


def _only_table(text: str) -> str | None:
    """The table in front of columns, where there is one only."""
    found = set(re.findall(r"\b([A-Za-z_]\w*)\.(?=[A-Za-z_])", text))
    return found.pop() if len(found) == 1 else None


def _shown(value: object) -> str:
    text = f"'{value}'" if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 2]}…'"
