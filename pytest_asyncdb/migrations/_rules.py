"""How a project takes differences: which fail, which are noted, which are nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_asyncdb.migrations._diff import Difference

__all__ = ["Rules"]


@dataclass(frozen=True, slots=True)
class Rules:
    """Verdicts, "fail", "note" or "ignore", by what differs.

    That is "kind.attribute" such as "table.owner", a kind such as "comment", or a
    weight such as "order"; the first of these that is said holds.
    """

    said: Mapping[str, str] = field(default_factory=dict)

    def apply(self, differences: Iterable[Difference]) -> list[Difference]:
        """Those that are not ignored, each with what the project says of it."""
        if not self.said:
            return list(differences)
        found = []
        for each in differences:
            verdict = self._verdict(each)
            if verdict is None:
                found.append(each)
            elif verdict != "ignore":
                found.append(replace(each, verdict=verdict))
        return found

    def _verdict(self, each: Difference) -> str | None:
        keys = (f"{each.kind}.{each.attribute}", each.kind, each.weight)
        return next((self.said[key] for key in keys if key in self.said), None)
