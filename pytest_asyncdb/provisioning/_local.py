"""A private server for a run, from programs that the machine has installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.provisioning import _search
from pytest_asyncdb.provisioning._private import PrivateServer

if TYPE_CHECKING:
    from pytest_asyncdb.provisioning._installation import Installation
    from pytest_asyncdb.settings import Target

__all__ = ["Local"]


class Local(PrivateServer):
    """A server of the machine's own, such as the distribution's package has it."""

    name = "local"

    @classmethod
    def find(cls, target: Target) -> Installation:
        """The newest server that fits."""
        return _search.find(target.product, target.version)
