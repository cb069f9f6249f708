"""Removing what dead runs of this user left on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from filelock import Timeout

from pytest_asyncdb.errors import RunEnded
from pytest_asyncdb.provisioning._container import remove_container
from pytest_asyncdb.provisioning._naming import is_alive
from pytest_asyncdb.provisioning._place import leftovers
from pytest_asyncdb.provisioning._server import stop_server

if TYPE_CHECKING:
    from pytest_asyncdb.provisioning._place import Place

__all__ = ["sweep"]


def sweep(*, kept: bool = False) -> list[str]:
    """Stop the servers and remove the directories of runs whose owner is dead.

    Returns the removed directories. Left alone: runs of other users, runs whose owner
    may live (in another container, say), what another process sweeps, and unless `kept`
    says otherwise what the user asked to keep.
    """
    found = (place for place in leftovers() if kept or not place.kept)
    return [str(place.directory) for place in found if _swept(place)]


def _swept(place: Place) -> bool:
    tag = place.tag
    if tag is None or is_alive(tag) is not False:
        return False
    try:
        with place.locked(timeout=0):
            stop_server(place)
            if remove_container(place) is not None:
                return False
            place.remove()
    except (Timeout, RunEnded, FileNotFoundError):
        return False
    return True
