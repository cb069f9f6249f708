"""Initialised data directories, kept so that each is made once per machine."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.provisioning._place import check_private
from pytest_asyncdb.provisioning._room import telling_full_disk

if TYPE_CHECKING:
    from pytest_asyncdb.provisioning._account import Account
    from pytest_asyncdb.provisioning._installation import Installation

__all__ = ["cache_directory", "copy_cluster", "initialised"]

_LAYOUT: Final = 1
"""To be raised when what is written below changes."""
_PRIVATE: Final = 0o700
_ABANDONED: Final = 3600.0


def cache_directory() -> Path:
    """The private directory of cached data directories, made when it is not there.

    Raises `CacheRefused` when somebody else owns it or may look into it.
    """
    directory = _cache_home() / "pytest-asyncdb"
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.mkdir(mode=_PRIVATE, exist_ok=True)
    check_private(directory)
    return directory


def initialised(installation: Installation, account: Account, room: Path) -> Path:
    """The cached data directory for a server; made in `room` when it is missing."""
    cache = cache_directory()
    version = ".".join(map(str, installation.version))
    key = _key(cache, installation, account)
    entry = cache / f"{installation.product}-{version}-{key}"
    if not entry.is_dir():
        _remove_abandoned(cache)
        data = room / "initial"
        installation.initialise(account, data)
        _fill(entry, data, replace(account, uid=None, gid=None))
    return entry


def copy_cluster(source: Path, target: Path, account: Account) -> None:
    """Copy a data directory into a new one that belongs to the account.

    Raises `NoRoom` when the disk is full; what was copied stays for the caller.
    """
    with telling_full_disk(target.parent):
        _copy_tree(str(source), str(target), account)


def _cache_home() -> Path:
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named)
    with suppress(RuntimeError):
        home = Path.home()
        if os.access(home, os.W_OK):
            return home / ".cache"
    return Path(tempfile.gettempdir()) / f"asyncdb-cache-{getpass.getuser()}"


def _key(cache: Path, installation: Installation, account: Account) -> str:
    digest = _digest(cache, installation)
    material = [_LAYOUT, digest, *installation.recipe(account)]
    return hashlib.sha256(json.dumps(material).encode()).hexdigest()[:16]


def _digest(cache: Path, installation: Installation) -> str:
    """The hash of a program, written down: 50 MB are not read again for each run.

    It is another program once its file is another one, or was changed (inode, size,
    and the time of the last change of its content or its metadata).
    """
    found = installation.program.stat()
    said = (str(installation.program), found.st_ino, found.st_size, found.st_ctime_ns)
    name = hashlib.sha256(repr(said).encode()).hexdigest()[:16]
    known = cache / f"program-{name}"
    with suppress(FileNotFoundError):
        return known.read_text()
    digest = installation.digest()
    fresh = cache / f".new-{name}-{os.getpid()}"
    fresh.write_text(digest)
    fresh.replace(known)
    return digest


def _fill(entry: Path, data: Path, owner: Account) -> None:
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=entry.parent))
    try:
        copy_cluster(data, fresh / "data", owner)
        with suppress(OSError):  # another run was faster
            (fresh / "data").rename(entry)
    finally:
        shutil.rmtree(data, ignore_errors=True)
        shutil.rmtree(fresh, ignore_errors=True)


def _remove_abandoned(cache: Path) -> None:
    for fresh in cache.glob(".new-*"):
        with suppress(FileNotFoundError):
            if time.time() - fresh.stat().st_mtime < _ABANDONED:
                continue
            if fresh.is_dir():
                shutil.rmtree(fresh, ignore_errors=True)
            else:
                fresh.unlink()


def _copy_tree(source: str, target: str, account: Account) -> None:
    os.mkdir(target, _PRIVATE)  # noqa: PTH102 - a thousand files, so no Path objects
    account.own(Path(target))
    with os.scandir(source) as entries:
        for entry in entries:
            copy = f"{target}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                _copy_tree(entry.path, copy, account)
            else:
                _copy_file(entry.path, copy, account)


def _copy_file(source: str, target: str, account: Account) -> None:
    if sys.platform != "linux":
        shutil.copyfile(source, target)
        Path(target).chmod(0o600)
        return
    read = os.open(source, os.O_RDONLY)
    try:
        written = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            while os.sendfile(written, read, None, 1 << 30):
                pass
            account.own(written)
        finally:
            os.close(written)
    finally:
        os.close(read)
