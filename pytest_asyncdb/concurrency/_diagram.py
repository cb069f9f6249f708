"""A schedule as text: a lane for each actor, one step below the other."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.concurrency._picture import picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_asyncdb.concurrency._picture import Picture, Row
    from pytest_asyncdb.concurrency._trace import Trace

__all__ = ["diagram"]

_GAP: Final = 2
_MARGIN: Final = 5
_NARROWEST: Final = 18
_MOST_LINES: Final = 4


def diagram(trace: Trace, *, name: str = "", width: int = 88) -> str:
    """The schedule for a terminal of that many columns.

    `*` marks the steps that make the anomaly, whose `name` is given where it is known.
    Many actors, for whom there is no room side by side, stand in one lane with their
    names in front.
    """
    shown = picture(trace, name=name)
    column = (width - _MARGIN) // max(len(shown.lanes), 1) - _GAP
    rows = _side_by_side(shown, column) if column >= _NARROWEST else _below(shown)
    lines = [*_title(shown, width), *rows, *_endings(shown, width)]
    for remark in shown.remarks:
        lines += _wrapped(remark, width, "  ")
    return "\n".join(line.rstrip() for line in lines)


def _title(shown: Picture, width: int) -> list[str]:
    return _wrapped(shown.title, width, "  ") if shown.title else []


def _side_by_side(shown: Picture, column: int) -> Iterator[str]:
    names = (f"{name[:column]:<{column + _GAP}}" for name in shown.lanes)
    yield " " * _MARGIN + "".join(names)
    for row in shown.rows:
        indent = " " * ((column + _GAP) * row.lane)
        for at, line in enumerate(_cell(row, column)):
            front = f"{row.number:>3}{'*' if row.marked else ' '} " if at == 0 else ""
            yield f"{front:<{_MARGIN}}{indent}{line}"


def _below(shown: Picture) -> Iterator[str]:
    widest = max(map(len, shown.lanes), default=0)
    for row in shown.rows:
        sign = "*" if row.marked else " "
        said = "  ".join([row.sql, *_notes(row)])
        yield f"{row.number:>3}{sign} {shown.lanes[row.lane]:<{widest}}  {said}"


def _cell(row: Row, column: int) -> list[str]:
    lines = _wrapped(row.sql, column, " ")
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], f"{lines[_MOST_LINES - 1][: column - 1]}…"]
    for note in _notes(row):
        if len(lines[-1]) + _GAP + len(note) <= column:
            lines[-1] += f"  {note}"
        else:
            lines += _wrapped(f" {note}", column, " ")
    return lines


def _notes(row: Row) -> list[str]:
    notes = [f"-- waits for {row.waits_for}"] if row.waits_for else []
    if row.outcome:
        notes.append(f"-- {row.outcome}")
    if row.freed:
        notes.append(f"-- {' and '.join(row.freed)} can go on")
    return notes


def _endings(shown: Picture, width: int) -> Iterator[str]:
    for name in shown.lanes:
        if name in shown.endings:
            yield from _wrapped(f"{name} ended: {shown.endings[name]}", width, "  ")


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent) or [""]
