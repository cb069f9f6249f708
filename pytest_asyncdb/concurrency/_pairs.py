"""Verdicts of each pair of some functions, as a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_asyncdb.errors import AnomalyFound, ExplorationRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_asyncdb.concurrency._actor import Function
    from pytest_asyncdb.concurrency._result import Result

__all__ = ["Pairs", "name_functions"]


@dataclass(frozen=True, slots=True)
class Pairs:
    """The results by the names of two functions; `str()` of it is a table."""

    results: Mapping[tuple[str, str], Result]

    @property
    def bad(self) -> list[tuple[str, str]]:
        """The pairs with an anomaly, besides those that only read."""
        return [
            pair
            for pair, result in self.results.items()
            if result.anomaly is not None and not result.anomaly.is_read
        ]

    def __getitem__(self, pair: tuple[str, str]) -> Result:
        first, second = pair
        found = self.results.get((first, second))
        return found if found is not None else self.results[second, first]

    def __str__(self) -> str:
        rows = [
            (f"{first} x {second}", result.verdict)
            for (first, second), result in self.results.items()
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {verdict}" for name, verdict in rows)

    def failure(self) -> AnomalyFound:
        """The error that shows the table, and the first bad schedule."""
        first = self.results[self.bad[0]]
        lines = [*str(self).splitlines(), "", *first.diagram().splitlines()]
        text = "\n".join(
            [f"{len(self.bad)} of {len(self.results)} pairs have an anomaly", ""]
            + [f"  {line}" for line in lines]
        )
        help_ = "explore each of these pairs by itself, which shows its schedule"
        return AnomalyFound.of(self, text, remedies=[help_])


def name_functions(functions: Sequence[Function]) -> dict[str, Function]:
    """Functions by their names, numbered where two have the same one."""
    if not isinstance(functions, list | tuple):
        raise ExplorationRefused.no_list(functions)
    names, seen = [], Counter[str]()
    for fn in functions:
        name = getattr(fn, "__name__", type(fn).__name__).strip("<>")
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return dict(zip(names, functions, strict=True))
