"""The programs of one installed server, and what is particular to its product."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from sqlalchemy import URL

    from pytest_asyncdb.provisioning._account import Account

__all__ = ["ENVIRONMENT", "Door", "Installation"]

ENVIRONMENT: Final = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/sbin:/usr/bin:/bin"}
"""What servers and their tools see, whatever pytest's own environment is."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where a server is reached."""

    sockets: Path
    """The private directory of its socket."""
    port: int = 0
    """On 127.0.0.1; 0: nothing listens on TCP."""
    password: str = ""
    """That is asked for at the port."""


@dataclass(frozen=True, slots=True)
class Installation(ABC):
    """One installed server, as a source has found it."""

    product: ClassVar[str]
    ends_by: ClassVar[signal.Signals]
    """The signal that ends the server at once, with all of its processes."""
    closes_by: ClassVar[signal.Signals]
    """The signal at which it ends all sessions, and keeps what was committed."""
    version: tuple[int, ...]
    root: Path
    """The directory that holds the programs."""

    @property
    @abstractmethod
    def program(self) -> Path:
        """The server's program."""

    def is_version(self, wanted: str | None) -> bool:
        """Whether that version, or a part of it such as the major one, is this."""
        if wanted is None:
            return True
        parts = tuple(int(part) for part in wanted.split("."))
        return self.version[: len(parts)] == parts

    def digest(self) -> str:
        """Hash of the server's program; it holds the version of the catalogs."""
        with self.program.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def reachable(self, account: Account, room: Path) -> Self:
        """The same, or a copy in `room` when the account cannot walk to it."""
        del account, room
        return self

    @abstractmethod
    def recipe(self, account: Account) -> list[object]:
        """All that a data directory depends on besides the program."""

    @abstractmethod
    def initialise(self, account: Account, data: Path) -> None:
        """Make a data directory; raises `ServerFailed`."""

    @abstractmethod
    def command(self, data: Path, door: Door, options: Mapping[str, str]) -> list[str]:
        """The command that runs the server on `data`, with options of the user's."""

    @classmethod
    @abstractmethod
    def socket(cls, door: Door) -> Path:
        """The socket that the server makes."""

    @classmethod
    @abstractmethod
    def url(cls, drivername: str, door: Door, database: str) -> URL:
        """The URL of a database on a server, through its socket."""

    @classmethod
    @abstractmethod
    def tcp_url(cls, drivername: str, door: Door, database: str) -> URL:
        """The same through its port, for the account that `lock` makes."""

    @classmethod
    @abstractmethod
    def lock(cls, door: Door) -> Sequence[str]:
        """SQL after which nobody comes in through the port without the password."""
