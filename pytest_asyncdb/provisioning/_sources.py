"""Which source provides what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_asyncdb.errors import SourceUnavailable
from pytest_asyncdb.provisioning._embedded import Embedded
from pytest_asyncdb.provisioning._external import External
from pytest_asyncdb.provisioning._file import File
from pytest_asyncdb.provisioning._memory import Memory

if TYPE_CHECKING:
    from pytest_asyncdb.provisioning._source import Source
    from pytest_asyncdb.settings import Target

__all__ = ["choose"]

_SOURCES: Final[dict[str, dict[str, type[Source]]]] = {
    "sqlite": {"memory": Memory, "file": File},
    "postgresql": {"embedded": Embedded},
}
"""Of each product, the default first."""
_IN_MEMORY: Final = (None, "", ":memory:")


def choose(target: Target) -> type[Source]:
    """The source for a target; raises `SourceUnavailable` for one that is not there."""
    known = _SOURCES.get(target.product, {})
    if target.url is not None:
        if "memory" in known:
            return Memory if target.url.database in _IN_MEMORY else File
        return External
    name = target.source or next(iter(known), "url")
    if name not in known:
        raise SourceUnavailable.unknown(target.product, name, list(known))
    return known[name]
