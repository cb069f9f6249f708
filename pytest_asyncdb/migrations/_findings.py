"""What the checks found, in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_asyncdb.migrations._diff import Difference
    from pytest_asyncdb.migrations._history import Revision
    from pytest_asyncdb.migrations._locks import Locks
    from pytest_asyncdb.migrations._schema import Schema

__all__ = ["Finding", "Report", "Result", "table"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or with `fails` False only worth a note."""

    what: str
    differences: tuple[Difference, ...] = ()
    lacks: str = ""
    """Whose statements are missing, such as "downgrade() of ab12"."""
    fails: bool = True
    forth: bool = False
    """Whether it lacks what leads to the second schema, not back to the first."""

    @property
    def text(self) -> str:
        """What it is, each difference, and for each the statement that is missing."""
        lines = [self.what]
        for each in self.differences:
            lines += [f"  {line}" for line in str(each).splitlines()]
            if self.lacks and each.counts:
                statement = " ".join((each.forth if self.forth else each.back).split())
                lines.append(f"      {self.lacks} lacks: {statement}")
            elif not each.counts:
                lines.append(f"      (a note: {each.weight})")
        return "\n".join(lines)


@dataclass(slots=True)
class Result:
    """What a revision did, up, down and up again."""

    revision: Revision
    findings: list[Finding] = field(default_factory=list)
    up: float | None = None
    """Seconds of the first upgrade; None where it was not reached."""
    down: float | None = None
    irreversible: str | None = None
    """Why there is no way back from it; None where there is, or should be."""

    @property
    def failures(self) -> list[str]:
        """The texts of what is wrong."""
        return [each.text for each in self.findings if each.fails]

    @property
    def notes(self) -> list[str]:
        """The texts of what is only worth knowing."""
        return [each.text for each in self.findings if not each.fails]


@dataclass(slots=True)
class Report:
    """What one walk through the whole history found."""

    results: dict[str, Result] = field(default_factory=dict)
    heads: tuple[str, ...] = ()
    head: Schema | None = None
    """The schema at head; None where it was not reached."""
    base: list[Finding] = field(default_factory=list)
    """What is left when all of it has been taken back."""
    base_skipped: str | None = None
    """Why that is not known."""
    cluster: list[str] = field(default_factory=list)
    """Roles and tablespaces that are there now, and were not before."""
    stopped: str | None = None
    """Why head was not reached."""


_HEAD = ("revision", "message", "up ms", "down ms", "findings")
_WIDTH = 34


def table(
    results: Iterable[Result],
    rows: Mapping[str, Sequence[Finding]],
    locks: Mapping[str, Locks],
) -> list[str]:
    """A line for each revision: its times, what was found, and what it locks.

    `rows` is what has become of rows, as far as that is known.
    """
    head = (*_HEAD, "locks") if locks else _HEAD
    lines = [
        head,
        *(_line(each, rows.get(each.revision.id, ()), locks) for each in results),
    ]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    return ["  ".join(_padded(line, widths)).rstrip() for line in lines]


def _line(
    result: Result, rows: Sequence[Finding], locks: Mapping[str, Locks]
) -> tuple[str, ...]:
    found = {
        "up and down failed": result.failures,
        "rows failed": [each for each in rows if each.fails],
        f"{len(result.notes)} noted": result.notes,
        "irreversible": result.irreversible,
    }
    return (
        result.revision.id,
        result.revision.message[:_WIDTH],
        _milliseconds(result.up),
        _milliseconds(result.down),
        ", ".join(name for name, there in found.items() if there)
        if result.up is not None
        else "not reached",
        *([_locked(locks.get(result.revision.id))] if locks else []),
    )


def _locked(locks: Locks | None) -> str:
    """The strongest lock of each table that was there before."""
    if locks is None:
        return ""
    return ", ".join(f"{name} {said}" for name, said in locks.strongest.items())


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    numbers = (2, 3)
    return [
        text.rjust(width) if place in numbers else text.ljust(width)
        for place, (text, width) in enumerate(zip(row, widths, strict=True))
    ]


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.1f}"
