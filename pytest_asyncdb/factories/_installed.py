"""Where factory_boy is missing: an error that names the extra."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["needing_factory_boy"]


@contextlib.contextmanager
def needing_factory_boy(name: str) -> Iterator[None]:
    """Around an import. Raises `FactoryRefused` where factory_boy is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "factory":
            raise
        from pytest_asyncdb.errors import FactoryRefused

        raise FactoryRefused.not_installed(name) from error
