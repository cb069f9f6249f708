"""The account that runs a server: oneself, or as root an unprivileged one."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import ServerFailed
from pytest_asyncdb.provisioning._place import user_id

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Account", "client_name"]

_UNPRIVILEGED: Final = "nobody"


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server, and who may connect to it."""

    client: str
    """Name of the user of this process, the only one that the server lets in."""
    uid: int | None = None
    gid: int | None = None
    """Of the server's own account; None: the same user."""

    @classmethod
    def current(cls) -> Account:
        """The account for a server that this process starts.

        Raises `ServerFailed` when this is root and there is nobody else to be, or when
        the user has no name (servers ask for it).
        """
        import pwd  # not on Windows

        client = client_name()
        if user_id() != 0:
            return cls(client)
        try:
            other = pwd.getpwnam(_UNPRIVILEGED)
        except KeyError as error:
            raise ServerFailed.account(_UNPRIVILEGED, str(error.args[0])) from error
        return cls(client, other.pw_uid, other.pw_gid)

    @property
    def name(self) -> str:
        """Name of the server's own account."""
        return self.client if self.uid is None else _UNPRIVILEGED

    @property
    def switches(self) -> dict[str, Any]:
        """Arguments of `subprocess.Popen` that make the process the account's."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path | int) -> None:
        """Give a file, a directory or an open file to the account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def directory(self, path: Path) -> Path:
        """Make a private directory of the account; fails when it is there."""
        path.mkdir(mode=0o700)
        self.own(path)
        return path

    def run(self, command: list[str], **options: Any) -> None:  # noqa: ANN401
        """Run a program as the account; raises `ServerFailed` with what it said."""
        try:
            subprocess.run(
                command,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                **self.switches,
                **options,
            )
        except subprocess.CalledProcessError as error:
            what = f"{command[0]} failed"
            raise ServerFailed.start(what, error.output) from error
        except OSError as error:
            raise ServerFailed.account(self.name, str(error)) from error


def client_name() -> str:
    """Name of the user of this process; raises `ServerFailed` when there is none."""
    import pwd

    uid = user_id()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError as error:
        raise ServerFailed.nameless(uid) from error
