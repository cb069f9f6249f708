"""CHECK constraints that say something simple of one column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Check", "read_check"]

_NAME: Final = r'(?:["`]?\w+["`]?\.)?["`]?(?P<name>[A-Za-z_]\w*)["`]?'
_LENGTH: Final = rf"(?:char_|character_)?length\s*\(\s*{_NAME}\s*\)"
_NUMBER: Final = r"(?P<number>-?\d+(?:\.\d+)?)"
_SIGN: Final = r"(?P<sign>>=|<=|<>|!=|>|<|=)"
_LIST: Final = r"\((?P<list>[^()]*)\)"
_COMPARISON: Final = re.compile(rf"{_NAME}\s*{_SIGN}\s*{_NUMBER}")
_REVERSED: Final = re.compile(rf"{_NUMBER}\s*{_SIGN}\s*{_NAME}")
_LENGTHS: Final = re.compile(rf"{_LENGTH}\s*{_SIGN}\s*{_NUMBER}", re.IGNORECASE)
_MEMBER: Final = re.compile(rf"{_NAME}\s+in\s*{_LIST}", re.IGNORECASE)
_NOT_EMPTY: Final = re.compile(rf"{_NAME}\s*(<>|!=)\s*''")
_NOT_NULL: Final = re.compile(rf"{_NAME}\s+is\s+not\s+null", re.IGNORECASE)
_BETWEEN: Final = re.compile(
    r"(\S+|\w+\s*\(\s*\S+\s*\))\s+between\s+(-?[\d.]+)\s+and\s+(-?[\d.]+)",
    re.IGNORECASE,
)
_AND: Final = re.compile(r"\s+and\s+", re.IGNORECASE)
_ITEM: Final = re.compile(r"\s*(?:'((?:[^']|'')*)'|(-?\d+(?:\.\d+)?))\s*(?:,|$)")
_MIRROR: Final = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "=": "=", "<>": "<>"}


@dataclass(frozen=True)
class Check:
    """One thing that has to be true of a column, or of the length of its text.

    `sign` is ">", ">=", "<", "<=", "=", "<>", "in" or "not null".
    """

    column: str
    sign: str
    number: Decimal = Decimal(0)
    members: tuple[str | Decimal, ...] = ()
    of_length: bool = False


def read_check(text: str) -> list[Check] | None:
    """What `text` demands, all of it; None where any part of it is not simple."""
    plain = _unwrapped(_BETWEEN.sub(r"\1 >= \2 and \1 <= \3", text.strip()))
    found = []
    for part in _AND.split(plain):
        check = next(_read(_unwrapped(part)), None)
        if check is None:
            return None
        found.append(check)
    return found


def _unwrapped(text: str) -> str:
    """Without the parentheses around all of it."""
    text = text.strip()
    while text.startswith("(") and _closes_at_the_end(text):
        text = text[1:-1].strip()
    return text


def _closes_at_the_end(text: str) -> bool:
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return place == len(text) - 1
    return False


def _read(text: str) -> Iterator[Check]:
    if match := _COMPARISON.fullmatch(text):
        yield Check(match["name"], _sign(match["sign"]), Decimal(match["number"]))
    if match := _REVERSED.fullmatch(text):
        sign = _MIRROR[_sign(match["sign"])]
        yield Check(match["name"], sign, Decimal(match["number"]))
    if match := _LENGTHS.fullmatch(text):
        number = Decimal(match["number"])
        yield Check(match["name"], _sign(match["sign"]), number, of_length=True)
    if (match := _MEMBER.fullmatch(text)) and (members := _members(match["list"])):
        yield Check(match["name"], "in", members=members)
    if match := _NOT_EMPTY.fullmatch(text):
        yield Check(match["name"], ">", of_length=True)
    if match := _NOT_NULL.fullmatch(text):
        yield Check(match["name"], "not null")


def _sign(sign: str) -> str:
    return "<>" if sign == "!=" else sign


def _members(text: str) -> tuple[str | Decimal, ...] | None:
    """Texts and numbers of a list; None if there is anything else in it."""
    place, found = 0, []
    while place < len(text):
        match = _ITEM.match(text, place)
        if match is None or not match[0]:
            return None
        word = match[1]
        found.append(Decimal(match[2]) if word is None else word.replace("''", "'"))
        place = match.end()
    return tuple(found)
