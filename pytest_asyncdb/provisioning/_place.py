"""The directories of one run: where they are, whose they are, and how they go."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock

from pytest_asyncdb.errors import CacheRefused, RunEnded
from pytest_asyncdb.provisioning._naming import LENGTH, PREFIX, OwnerTag, new_short
from pytest_asyncdb.settings import mask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

__all__ = [
    "Place",
    "bases",
    "check_private",
    "leftovers",
    "user_id",
    "walkable",
]

_OWNER: Final = "owner.json"
_KEPT: Final = "kept"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a 0700 one in it
_LONGEST: Final = 60  # of 107 bytes for a socket; the rest is our own name and its
_PRIVATE: Final = 0o700
_TRAVERSABLE: Final = 0o001


@dataclass(frozen=True, slots=True)
class Place:
    """The directories of one run, as one of its processes sees them."""

    directory: Path
    worker: str
    owner: bool
    """Whether this process made the directory and removes it."""
    keep: bool = False

    @classmethod
    def make(cls, *, worker: str, keep: bool) -> Place:
        """A new private directory that carries our tag from its first moment on."""
        short = new_short()
        base = next(bases())
        fresh = base / f".{PREFIX}-{short}"
        fresh.mkdir(mode=_PRIVATE)
        (fresh / _OWNER).write_text(OwnerTag.here().text())
        directory = fresh.rename(base / f"{PREFIX}-{short}")
        return cls(directory, worker, owner=True, keep=keep)

    @classmethod
    def shared(cls, key: str, *, worker: str) -> Place:
        """The private directory of a thing that stays, the same for the same key.

        It counts as kept. Raises `CacheRefused` where it is not this user's alone.
        """
        directory = cls.shared_directory(key)
        if not directory.exists():
            fresh = Place.make(worker=worker, keep=True)
            fresh.mark_kept()
            try:
                fresh.directory.rename(directory)
            except OSError:  # another process was faster
                fresh.remove()
        check_private(directory)
        return cls(directory, worker, owner=False, keep=True)

    @staticmethod
    def shared_directory(key: str) -> Path:
        """Where `shared` makes it.

        Its name counts the folder in: the part in memory is known by the name alone.
        """
        base = next(bases())
        said = f"{base} {key}".encode()
        letters = base64.b32encode(hashlib.sha256(said).digest()).decode()
        return base / f"{PREFIX}-{letters[:LENGTH].lower()}"

    @property
    def short(self) -> str:
        """The letters that all names of the run share."""
        return self.directory.name.rpartition("-")[2]

    @property
    def sockets(self) -> Path:
        """The server's directory; it belongs to the account that runs the server."""
        return self.directory.with_name(f"{self.directory.name}.s")

    @property
    def memory(self) -> Path:
        """The server's directory in memory, where there is such a thing."""
        return _MEMORY / self.directory.name

    @property
    def tag(self) -> OwnerTag | None:
        """Who made the directory; None when it is not ours or gone."""
        try:
            return OwnerTag.parse((self.directory / _OWNER).read_text())
        except OSError:
            return None

    @property
    def age(self) -> float:
        """Seconds since the run began; 0 when its directory is gone."""
        try:
            return time.time() - (self.directory / _OWNER).stat().st_mtime
        except OSError:
            return 0.0

    @contextmanager
    def locked(self, *, timeout: float = -1) -> Iterator[None]:
        """Hold the lock that the processes of the run share.

        Raises `RunEnded` when the directory is gone, and filelock's `Timeout` when
        another process has held the lock for `timeout` seconds (-1: no limit).
        """
        if not self.is_there():
            raise RunEnded.directory(self.directory)
        path = self.directory / "lock"
        with FileLock(path, mode=0o600, poll_interval=0.01, timeout=timeout):
            if (
                not self.is_there()
            ):  # removed while we waited, and made anew by the lock
                shutil.rmtree(self.directory, ignore_errors=True)
                raise RunEnded.directory(self.directory)
            yield

    def is_there(self) -> bool:
        """Whether the directory still carries its owner's tag."""
        return (self.directory / _OWNER).exists()

    def write(self, name: str, content: Any) -> None:  # noqa: ANN401 - any JSON
        """Record something for the other processes, all of it or nothing."""
        fresh = self.directory / f".{name}.{self.worker}"
        with open(fresh, "w", opener=_private) as file:
            json.dump(content, file)
        fresh.replace(self.directory / name)

    def read(self, name: str) -> Any:  # noqa: ANN401 - any JSON
        """What `write` recorded; None when there is nothing."""
        try:
            return json.loads((self.directory / name).read_text())
        except FileNotFoundError:
            return None

    def forget(self, name: str) -> None:
        """Remove a record."""
        (self.directory / name).unlink(missing_ok=True)

    def note_secret(self, name: str, text: str) -> Path:
        """Write a file that only its owner may read; gives its path."""
        path = self.directory / name
        with open(path, "w", opener=_private) as file:
            file.write(text)
        return path

    def note_database(
        self, url: URL, command: str | None = None, *, name: str = ""
    ) -> None:
        """Record where this worker's database is, and how it is looked at.

        `name` tells it from others of the worker.
        """
        text = mask(url.render_as_string(hide_password=True))
        self.write(f"url.{self.worker}{name}", [text, command])

    def databases(self) -> list[tuple[str, str | None]]:
        """What `note_database` recorded, of all workers."""
        names = sorted(path.name for path in self.directory.glob("url.*"))
        return [tuple(self.read(name)) for name in names]

    @property
    def stays(self) -> bool:
        """Whether the user asked to keep what was made, and something was."""
        return self.keep and bool(self.databases())

    def mark_kept(self) -> None:
        """Say that later runs leave this one's directories alone."""
        (self.directory / _KEPT).touch()

    @property
    def kept(self) -> bool:
        """Whether the user asked that it stays."""
        return (self.directory / _KEPT).exists()

    def remove_server(self) -> None:
        """Remove the directories of the run's server."""
        for directory in (self.memory, self.sockets):
            shutil.rmtree(directory, ignore_errors=True)

    def remove(self) -> None:
        """Remove all directories of the run; the one with the tag goes last."""
        self.remove_server()
        shutil.rmtree(self.directory, ignore_errors=True)


def _private(path: str, flags: int) -> int:
    """Open a file that only its owner may read: some records hold passwords."""
    return os.open(path, flags, 0o600)


def bases() -> Iterator[Path]:
    """Directories in which runs make theirs, the one for a new run first.

    A socket's path must be short, and as root another account runs the server, which
    must be able to walk there.
    """
    chosen = [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 - a 0700 one in it
    there = [base for base in chosen if base.is_dir()]
    fitting = [base for base in there if _fits(base)]
    yield from dict.fromkeys([*fitting, *there])


def leftovers() -> Iterator[Place]:
    """Places of this user's runs, living or dead."""
    for base in bases():
        for directory in base.glob(f"{PREFIX}-????????"):
            if _own(directory):
                yield Place(directory, worker="sweep", owner=False)


def _own(directory: Path) -> bool:
    try:
        return directory.lstat().st_uid == user_id()
    except FileNotFoundError:
        return False


def _fits(base: Path) -> bool:
    if len(os.fsencode(base)) > _LONGEST:
        return False
    return user_id() != 0 or walkable(base)


def walkable(path: Path) -> bool:
    """Whether every account may walk to `path`."""
    return all(
        step.stat().st_mode & _TRAVERSABLE for step in (path, *path.resolve().parents)
    )


def check_private(directory: Path) -> None:
    """Raise `CacheRefused` unless nobody but this user may write or look into it."""
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise CacheRefused.of(directory, "it is not a directory")
    if found.st_uid != user_id():
        raise CacheRefused.of(directory, f"user {found.st_uid} owns it")
    if stat.S_IMODE(found.st_mode) != _PRIVATE:
        mode = f"{stat.S_IMODE(found.st_mode):04o}"
        raise CacheRefused.of(directory, f"its mode is {mode}, not 0700")


def user_id() -> int:
    """The effective user; 0 where there is no such thing, as `stat` says there."""
    return os.geteuid() if hasattr(os, "geteuid") else 0
