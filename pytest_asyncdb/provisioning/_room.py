"""Where a server's data has room: in memory, else on the disk."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.errors import NoRoom

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_asyncdb.provisioning._account import Account
    from pytest_asyncdb.provisioning._place import Place

__all__ = ["choose_room", "telling_full_disk"]

_NEEDED: Final = 300 * 2**20
"""Bytes for a fresh data directory, the databases of a run and the write-ahead log."""


def choose_room(place: Place, account: Account) -> Path:
    """A private directory of the account with room for a server's data.

    Raises `NoRoom` naming each place that was looked at.
    """
    seen = []
    for directory in (place.memory, place.sockets):
        if not directory.parent.is_dir():
            seen.append(f"{directory.parent}: not there")
            continue
        free = shutil.disk_usage(directory.parent).free
        seen.append(f"{directory.parent}: {free // 2**20} MB free")
        if free >= _NEEDED:
            return directory if directory.is_dir() else account.directory(directory)
    raise NoRoom.of(_NEEDED, seen)


@contextmanager
def telling_full_disk(directory: Path) -> Iterator[None]:
    """Raise `NoRoom` naming `directory` where the disk runs full."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        if not _is_full(error):
            raise
        raise NoRoom.full(directory) from error


def _is_full(error: OSError | sqlite3.OperationalError) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return error.sqlite_errorcode == sqlite3.SQLITE_FULL
