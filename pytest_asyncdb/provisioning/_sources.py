"""Which source provides what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_asyncdb.errors import SourceUnavailable
from pytest_asyncdb.provisioning._container import Container
from pytest_asyncdb.provisioning._embedded import Embedded
from pytest_asyncdb.provisioning._external import External
from pytest_asyncdb.provisioning._file import File
from pytest_asyncdb.provisioning._local import Local
from pytest_asyncdb.provisioning._memory import Memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_asyncdb.provisioning._source import Source
    from pytest_asyncdb.settings import Target

__all__ = ["choose", "probe", "source_names"]

_SOURCES: Final[dict[str, dict[str, type[Source]]]] = {
    "sqlite": {"memory": Memory, "file": File},
    "postgresql": {"embedded": Embedded, "local": Local, "container": Container},
    "mysql": {"local": Local, "container": Container},
    "mariadb": {"local": Local, "container": Container},
}
"""Of each product, in the order in which they are asked when none is named."""
_IN_MEMORY: Final = (None, "", ":memory:")


def choose(target: Target) -> type[Source]:
    """The source for a target.

    Raises `SourceUnavailable` for one that the product has not, and, where none is
    named, when no source can provide the database.
    """
    known = _SOURCES.get(target.product, {})
    if target.url is not None:
        if "memory" in known:
            return Memory if target.url.database in _IN_MEMORY else File
        return External
    if target.source is None:
        return _first(target, list(known.values()))
    if target.source not in known:
        raise SourceUnavailable.unknown(target.product, target.source, list(known))
    return known[target.source]


def source_names() -> dict[str, tuple[str, ...]]:
    """The sources of each product, in the order in which they are asked."""
    return {product: tuple(known) for product, known in _SOURCES.items()}


def probe(target: Target) -> None:
    """Raise `SourceUnavailable` where no source has the target; starts nothing."""
    reason = None if target.url is not None else choose(target).probe(target)
    if reason is not None:
        raise reason


def _first(target: Target, sources: Sequence[type[Source]]) -> type[Source]:
    reasons = []
    for source in sources:
        reason = source.probe(target)
        if reason is None:
            return source
        reasons.append(reason)
    raise SourceUnavailable.all_of(target.word or target.product, reasons)
