"""How to search: what `explore()` can be told, checked."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.concurrency._search import DepthFirst
from pytest_asyncdb.concurrency._walks import Given, Priorities, RandomWalk
from pytest_asyncdb.errors import ExplorationRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_asyncdb.concurrency._search import Strategy

__all__ = ["OPTIONS", "Options"]

_STRATEGIES: Final = ("dfs", "random", "pct")
_LEVELS: Final = (
    "READ UNCOMMITTED",
    "READ COMMITTED",
    "REPEATABLE READ",
    "SERIALIZABLE",
)


@dataclass(frozen=True, slots=True)
class Options:
    """How to search; the arguments of `explore()`."""

    invariant: Any = None
    strategy: str = "dfs"
    preemption_bound: int | None = 2
    max_schedules: int = 1000
    max_seconds: float | None = None
    seed: int = 0
    isolation: str | Sequence[str] | None = None
    volatile: Sequence[str] = ()
    check: bool = True
    require_complete: bool = False
    serializable: bool = True
    self_check: bool = False
    patience: float = 10.0
    replayed: Sequence[tuple[int, int]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.strategy not in _STRATEGIES:
            known = " or ".join(map(repr, _STRATEGIES))
            raise ExplorationRefused.option("strategy", self.strategy, known)
        if self.require_complete and self.strategy != "dfs":
            known = 'strategy="dfs" with it: a walk by chance is never complete'
            raise ExplorationRefused.option("require_complete", value=True, known=known)
        for name, least in (("max_schedules", 1), ("preemption_bound", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ExplorationRefused.option(name, value, f"{least} or more")
        for level in self.levels:
            if level is not None and level not in _LEVELS:
                known = ", ".join(_LEVELS)
                raise ExplorationRefused.option("isolation", level, known)

    @property
    def levels(self) -> list[str | None]:
        """The isolation levels to search at; None is what the application has."""
        if self.isolation is None or isinstance(self.isolation, str):
            return [self.isolation]
        return list(self.isolation)

    @property
    def search(self) -> Strategy:
        """A new one."""
        if self.replayed is not None:
            return Given(self.replayed)
        if self.strategy == "random":
            return RandomWalk(self.seed)
        if self.strategy == "pct":
            return Priorities(self.seed)
        return DepthFirst(self.preemption_bound)


OPTIONS: Final = tuple(each.name for each in fields(Options) if each.repr)
"""What `explore()` can be told, by name."""
