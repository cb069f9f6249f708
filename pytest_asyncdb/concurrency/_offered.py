"""What a check uses that is given no engine: what the running test has asked for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import CheckRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["offered", "offering"]

_FIXTURES: Final = {
    "explorer": "db_concurrency",
    "faults": "db_faults",
    "sessionmaker": "db_concurrency or db_faults",
}
_offers: Final[dict[str, Any]] = {}


@contextlib.contextmanager
def offering(**things: Any) -> Iterator[None]:
    """Offer these to checks, by the names in `_FIXTURES`, for as long as the block."""
    _offers.update(things)
    try:
        yield
    finally:
        for name in things:
            _offers.pop(name, None)


def offered(name: str, argument: str) -> Any:
    """What the running test offers; raises `CheckRefused` where it has none."""
    if name not in _offers:
        raise CheckRefused.nothing(argument, _FIXTURES[name])
    return _offers[name]
