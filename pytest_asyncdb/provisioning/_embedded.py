"""PostgreSQL from the wheel: one private server for a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.provisioning import _wheel
from pytest_asyncdb.provisioning._private import PrivateServer

if TYPE_CHECKING:
    from pytest_asyncdb.provisioning._installation import Installation
    from pytest_asyncdb.settings import Target

__all__ = ["Embedded"]


class Embedded(PrivateServer):
    """A server whose programs came with the extra `[embedded]`."""

    name = "embedded"

    @classmethod
    def find(cls, target: Target) -> Installation:
        """The wheel's server of that version."""
        return _wheel.find(target.version)
