"""An installed MariaDB or MySQL: how its data are made, and how it is started."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import URL

from pytest_asyncdb.errors import ServerFailed
from pytest_asyncdb.provisioning._account import client_name
from pytest_asyncdb.provisioning._installation import ENVIRONMENT, Installation

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_asyncdb.provisioning._account import Account

__all__ = ["MariaDB", "MySQL"]

_SOCKET: Final = "mysqld.sock"
_LOG: Final = "16M"
"""Size of the redo log, which is copied with the data; the default is 96 MB."""
_SETTINGS: Final = (
    "skip-networking",
    "skip-name-resolve",
    "skip-log-bin",
    "innodb-flush-log-at-trx-commit=0",
    "innodb-doublewrite=0",
    "innodb-buffer-pool-size=64M",
    "innodb-use-native-aio=0",  # a machine has only so many, and tests need none
    "character-set-server=utf8mb4",
    "default-time-zone=+00:00",
    "max-connections=200",
)


@dataclass(frozen=True, slots=True)
class _Family(Installation):
    """What the two products have in common.

    Temporary files are beside the data: a server that starts removes those of all
    others from its directory of them.
    """

    ends_by = signal.SIGKILL  # one process, whose data nobody will read

    def socket(self, sockets: Path) -> Path:
        return sockets / _SOCKET

    def _options(self, data: Path, sockets: Path, *more: str) -> list[str]:
        own = (
            f"datadir={data}",
            f"socket={self.socket(sockets)}",
            f"pid-file={data / 'server.pid'}",
            f"tmpdir={data.parent}",
        )
        options = (*own, *_SETTINGS, *more)
        return [str(self.program), "--no-defaults", *(f"--{each}" for each in options)]


@dataclass(frozen=True, slots=True)
class MariaDB(_Family):
    """A server that lets in nobody but the user who started it (unix_socket)."""

    product = "mariadb"

    @property
    def program(self) -> Path:
        """The server's program; before 10.5 it had MySQL's name."""
        program = self.root / "mariadbd"
        return program if program.is_file() else self.root / "mysqld"

    def recipe(self, account: Account) -> list[object]:
        return [account.client, _LOG]

    def initialise(self, account: Account, data: Path) -> None:
        """Run `mariadb-install-db`, whose superuser is the user of this process."""
        account.run(
            [
                str(self._installer()),
                "--no-defaults",
                f"--datadir={data}",
                f"--tmpdir={data.parent}",
                "--auth-root-authentication-method=socket",
                f"--auth-root-socket-user={account.client}",
                "--skip-test-db",
                "--skip-name-resolve",
                f"--innodb-log-file-size={_LOG}",
            ],
            env=ENVIRONMENT,
            cwd=data.parent,
        )

    def command(self, data: Path, sockets: Path) -> list[str]:
        log = f"innodb-log-file-size={_LOG}"
        return self._options(data, sockets, log, "innodb-flush-method=nosync")

    @classmethod
    def url(cls, drivername: str, sockets: Path, database: str) -> URL:
        return URL.create(
            drivername,
            username=client_name(),
            database=database,
            query={"unix_socket": str(sockets / _SOCKET)},
        )

    def _installer(self) -> Path:
        """The program that makes a data directory; not where the server itself is."""
        places = (self.root, self.root.parent / "bin", self.root.parent / "scripts")
        for place in places:
            for name in ("mariadb-install-db", "mysql_install_db"):
                if (place / name).is_file():
                    return place / name
        raise ServerFailed.no_installer(
            str(self.program), [str(each) for each in places]
        )


@dataclass(frozen=True, slots=True)
class MySQL(_Family):
    """A server whose only account has no password, in a directory that is closed."""

    product = "mysql"

    @property
    def program(self) -> Path:
        """The server's program."""
        return self.root / "mysqld"

    def recipe(self, account: Account) -> list[object]:
        del account
        return []

    def initialise(self, account: Account, data: Path) -> None:
        """Run `mysqld --initialize-insecure`."""
        places = (f"--datadir={data}", f"--tmpdir={data.parent}")
        account.run(
            [str(self.program), "--no-defaults", *places, "--initialize-insecure"],
            env=ENVIRONMENT,
            cwd=data.parent,
        )

    def command(self, data: Path, sockets: Path) -> list[str]:
        return self._options(data, sockets, "mysqlx=OFF")

    @classmethod
    def url(cls, drivername: str, sockets: Path, database: str) -> URL:
        return URL.create(
            drivername,
            username="root",
            database=database,
            query={"unix_socket": str(sockets / _SOCKET)},
        )
