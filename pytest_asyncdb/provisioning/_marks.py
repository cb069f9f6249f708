"""The mark on a database that says which run made it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final

from pytest_asyncdb.provisioning._naming import OwnerTag

__all__ = ["Mark"]

_PREFIX: Final = "pytest-asyncdb "


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose a database is, and whether the user asked to keep it."""

    short: str
    tag: OwnerTag
    kept: bool = False
    extensions: tuple[str, ...] = ()
    """Those that were there before, in a database that we were only lent."""

    def text(self) -> str:
        """The mark in one line, for `parse`."""
        return _PREFIX + json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str | None) -> Mark | None:
        """The mark in a text that `text` wrote; None for any other text."""
        if text is None or not text.startswith(_PREFIX):
            return None
        with suppress(ValueError, TypeError, KeyError):
            fields = json.loads(text.removeprefix(_PREFIX))
            tag = OwnerTag(**fields.pop("tag"))
            extensions = tuple(fields.pop("extensions"))
            return cls(tag=tag, extensions=extensions, **fields)
        return None
