"""Qualified names as the servers write them, taken apart."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["split"]

_LAST: Final = re.compile(
    r'(?P<place>.*)\.(?P<own>"(?:[^"]|"")*"|<unnamed>.*|[^."]*)', re.DOTALL
)


def split(name: str) -> tuple[str, str]:
    """What an object is in, and its own name; the first is empty for none."""
    if "<unnamed>" in name:
        place, mark, rest = name.partition("<unnamed>")
        return place.removesuffix("."), mark + rest
    match = _LAST.fullmatch(name)
    return (match["place"], match["own"]) if match else ("", name)
