"""All databases of a run on a server that others use too, and their end."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_asyncdb.errors import AsyncDBError, DatabaseFailed
from pytest_asyncdb.provisioning._marks import Mark
from pytest_asyncdb.provisioning._naming import (
    PATTERN,
    is_alive,
    lock_key,
    marks_name,
    short_of,
    template_name,
)

if TYPE_CHECKING:
    from pytest_asyncdb.provisioning._administration import Administration

__all__ = ["drop_family", "is_owned", "sweep_server"]

Family = dict[str, str | None]
"""Databases of one run by name, each with its mark as text."""


def sweep_server(administration: Administration) -> None:
    """Drop the databases of dead runs, as far as this role may.

    A family without any mark is not ours, whatever its names are. Another run may sweep
    the same ones at the same time.
    """
    for short, family in _families(administration).items():
        mark = _mark_of(family)
        if mark is None or mark.kept or is_owned(administration, mark):
            continue
        with suppress(DatabaseFailed):
            _drop(administration, short, family)


def is_owned(administration: Administration, mark: Mark) -> bool:
    """Whether the run that made the mark still lives.

    It holds a lock on the server; its processes may also be seen from here. In a
    cluster a lock is known to its own node alone, so there unknown means alive.
    """
    held = administration.scalar(administration.backend.held(lock_key(mark.short)))
    alive = is_alive(mark.tag)
    return bool(held) or (alive is not False if administration.nodes else bool(alive))


def drop_family(administration: Administration, short: str) -> list[str]:
    """Drop what is left of one run; returns what could not be dropped, and why."""
    try:
        _drop(administration, short, _families(administration).get(short, {}))
    except AsyncDBError as error:
        return [f"{error.cause}: {'; '.join(error.tried)}"]
    return []


def _families(administration: Administration) -> dict[str, Family]:
    families: dict[str, Family] = {}
    for name, text in administration.rows(administration.backend.marks(PATTERN)):
        if short := short_of(name):
            families.setdefault(short, {})[name] = text
    return families


def _mark_of(family: Family) -> Mark | None:
    marks = (Mark.parse(text) for text in family.values())
    return next((mark for mark in marks if mark is not None), None)


def _drop(administration: Administration, short: str, family: Family) -> None:
    """The template goes last: its mark vouches for clones not yet marked.

    Where marks are in a database of their own, that goes after it.
    """
    last = (template_name(short), marks_name(short))
    for name in sorted(family, key=lambda name: (name in last, name == last[-1])):
        administration.drop(name)
