"""Removing what dead runs of this user left on this machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from filelock import Timeout

from pytest_asyncdb.errors import RunEnded
from pytest_asyncdb.provisioning._container import remove_container
from pytest_asyncdb.provisioning._naming import is_alive
from pytest_asyncdb.provisioning._place import bases, leftovers
from pytest_asyncdb.provisioning._server import stop_server

if TYPE_CHECKING:
    from pytest_asyncdb.provisioning._place import Place

__all__ = ["sweep"]


def sweep(*, kept: bool = False, older_than: float = math.inf) -> list[str]:
    """Stop the servers and remove the directories of runs whose owner is dead.

    Returns the removed directories. Left alone: runs of other users, what another
    process sweeps, unless `kept` says otherwise what the user asked to keep, and runs
    whose owner may live (in another container, say) unless they began so many seconds
    ago. What was kept is looked for only where a run of now would be.
    """
    here = next(bases())
    found = (
        place
        for place in leftovers()
        if not place.kept or (kept and place.directory.parent == here)
    )
    return [str(place.directory) for place in found if _swept(place, older_than)]


def _swept(place: Place, older_than: float) -> bool:
    tag = place.tag
    alive = is_alive(tag) if tag is not None else True
    if alive or (alive is None and place.age < older_than):
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
