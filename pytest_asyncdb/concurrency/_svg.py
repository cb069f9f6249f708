"""A schedule as an SVG file: a line for each actor, time runs downwards."""

from __future__ import annotations

import textwrap
from html import escape
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.concurrency._picture import picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_asyncdb.concurrency._picture import Picture, Row
    from pytest_asyncdb.concurrency._trace import Trace

__all__ = ["svg"]

_WIDTH: Final = 340
"""Of one lane, in pixels; so are all others below."""
_LEFT: Final = 44
_LINE: Final = 16
_PADDING: Final = 7
_SPACE: Final = 12
_LETTERS: Final = 43
"""How many fit into a lane at 12 pixels of a monospaced font."""
_STYLE: Final = """
  text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328 }
  .title, .name { font-weight: bold }
  .note { fill: #57606a }
  .wait { fill: #9a6700 }
  .life { stroke: #d0d7de; stroke-width: 2 }
  .step { fill: #f6f8fa; stroke: #8c959f }
  .marked { fill: #ffebe9; stroke: #cf222e }
  .blocked { stroke-dasharray: 5 3; stroke: #9a6700 }
"""


def svg(trace: Trace, *, name: str = "") -> str:
    """The schedule as the text of an SVG file, which needs nothing besides itself.

    `name` is that of the anomaly, where it is known.
    """
    shown = picture(trace, name=name)
    width = _LEFT + _WIDTH * max(len(shown.lanes), 1) + _SPACE
    letters = (width - 2 * _SPACE) // 8
    title = textwrap.wrap(shown.title, letters)
    top = _SPACE + _LINE * (len(title) + 2)
    body, bottom = _body(shown, top)
    below = [*_endings(shown), *shown.remarks]
    lines = [line for each in below for line in textwrap.wrap(each, letters)]
    height = bottom + _LINE * (len(lines) + 2)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_texts(title, _SPACE, _SPACE + _LINE, "title"),
        *_lanes(shown, top, bottom),
        *body,
        *_texts(lines, _SPACE, bottom + 2 * _LINE, "note"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _lanes(shown: Picture, top: int, bottom: int) -> Iterator[str]:
    for lane, name in enumerate(shown.lanes):
        yield from _texts([name], _x(lane), top - 6, "name")
        middle = _x(lane) + (_WIDTH - _SPACE) // 2
        yield (
            f'<line class="life" x1="{middle}" y1="{top}" x2="{middle}" y2="{bottom}"/>'
        )


def _body(shown: Picture, top: int) -> tuple[list[str], int]:
    parts: list[str] = []
    y = top + _SPACE
    for row in shown.rows:
        lines = textwrap.wrap(row.sql, _LETTERS) or [""]
        notes = textwrap.wrap("; ".join(_notes(row)), _LETTERS)
        height = _LINE * (len(lines) + len(notes)) + 2 * _PADDING
        parts += _step(row, lines, notes, y, height)
        y += height + _SPACE
    return parts, y


def _step(
    row: Row, lines: Sequence[str], notes: Sequence[str], y: int, height: int
) -> Iterator[str]:
    kind = "step marked" if row.marked else "step"
    kind += " blocked" if row.waits_for else ""
    x = _x(row.lane)
    yield from _texts([str(row.number)], _SPACE, y + _PADDING + 12, "note")
    yield (
        f'<rect class="{kind}" x="{x}" y="{y}" rx="4"'
        f' width="{_WIDTH - _SPACE}" height="{height}"/>'
    )
    first = y + _PADDING + 12
    yield from _texts(lines, x + _PADDING, first, "")
    style = "wait" if row.waits_for else "note"
    yield from _texts(notes, x + _PADDING, first + _LINE * len(lines), style)


def _notes(row: Row) -> Iterator[str]:
    if row.waits_for:
        yield f"waits for {row.waits_for}"
    if row.outcome:
        yield row.outcome
    if row.freed:
        yield f"{' and '.join(row.freed)} can go on"


def _endings(shown: Picture) -> list[str]:
    return [
        f"{name} ended: {shown.endings[name]}"
        for name in shown.lanes
        if name in shown.endings
    ]


def _texts(lines: Sequence[str], x: int, y: int, style: str) -> Iterator[str]:
    for at, line in enumerate(lines):
        place = f'class="{style}" x="{x}" y="{y + at * _LINE}" xml:space="preserve"'
        yield f"<text {place}>{escape(line)}</text>"


def _x(lane: int) -> int:
    return _LEFT + lane * _WIDTH
