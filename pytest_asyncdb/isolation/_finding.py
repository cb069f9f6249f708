"""What a test left behind."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a test left behind. A fatal one always fails the test."""

    fatal: bool
    text: str
