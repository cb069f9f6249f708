"""What a given server can do, as it says itself, and what is done without the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.errors import DatabaseRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_asyncdb.provisioning._administration import Administration

__all__ = ["check", "notes"]


def check(administration: Administration, server: str) -> None:
    """Raise `DatabaseRefused` where tests could not be isolated on the server."""
    backend = administration.backend
    if administration.scalar(backend.reads_only):
        raise DatabaseRefused.reads_only(server)
    if not administration.scalar(backend.savepoints):
        raise DatabaseRefused.no_savepoints(server)


def notes(administration: Administration, *, lent: bool) -> Iterator[str]:
    """What is done otherwise than on most servers, each with its reason."""
    if lent:
        yield "in the given database (the role may not create another)"
    if administration.nodes:
        yield (
            f"on one of {administration.nodes} nodes of a cluster (whose locks are each"
            " node's own: a template for each run)"
        )
