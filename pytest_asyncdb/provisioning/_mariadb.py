"""An installed MariaDB or MySQL: how its data are made, and how it is started."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import URL

from pytest_asyncdb.errors import ServerFailed
from pytest_asyncdb.provisioning._account import client_name
from pytest_asyncdb.provisioning._installation import ENVIRONMENT, Door, Installation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_asyncdb.provisioning._account import Account

__all__ = ["TUNING", "MariaDB", "MySQL"]

_SOCKET: Final = "mysqld.sock"
_ACCOUNT: Final = "asyncdb"
"""Who comes in through a port."""
_LOG: Final = "16M"
"""Size of the redo log, which is copied with the data; the default is 96 MB."""
TUNING: Final = {
    "skip-name-resolve": "1",
    "skip-log-bin": "1",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-doublewrite": "0",
    "innodb-buffer-pool-size": "64M",
    "innodb-use-native-aio": "0",  # a machine has only so many, and tests need none
    "character-set-server": "utf8mb4",
    "default-time-zone": "+00:00",
}
"""What every server of ours is told: its data end with it, and UTC is everywhere."""


@dataclass(frozen=True, slots=True)
class _Family(Installation):
    """What the two products have in common.

    Temporary files are beside the data: a server that starts removes those of all
    others from its directory of them.
    """

    ends_by = signal.SIGKILL  # one process, whose data nobody will read
    closes_by = signal.SIGTERM

    @classmethod
    def socket(cls, door: Door) -> Path:
        return door.sockets / _SOCKET

    @classmethod
    def tcp_url(cls, drivername: str, door: Door, database: str) -> URL:
        return URL.create(
            drivername, _ACCOUNT, door.password, "127.0.0.1", door.port, database
        )

    @classmethod
    def lock(cls, door: Door) -> Sequence[str]:
        account = f"{_ACCOUNT}@'127.0.0.1'"
        return [
            f"CREATE USER {account} IDENTIFIED BY '{door.password}'",
            f"GRANT ALL ON *.* TO {account} WITH GRANT OPTION",
        ]

    def _command(
        self, data: Path, door: Door, options: Mapping[str, str], *more: str
    ) -> list[str]:
        own = (
            f"datadir={data}",
            f"socket={self.socket(door)}",
            f"pid-file={data / 'server.pid'}",
            f"tmpdir={data.parent}",
            *((f"port={door.port}", "bind-address=127.0.0.1") if door.port else ()),
            *(() if door.port else ("skip-networking",)),
        )
        settings = {**TUNING, **options}
        said = (f"{name}={value}" for name, value in settings.items())
        words = (*more, *said, *own)
        return [str(self.program), "--no-defaults", *(f"--{each}" for each in words)]


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

    def command(self, data: Path, door: Door, options: Mapping[str, str]) -> list[str]:
        log = f"innodb-log-file-size={_LOG}"
        return self._command(data, door, options, log, "innodb-flush-method=nosync")

    @classmethod
    def url(cls, drivername: str, door: Door, database: str) -> URL:
        return URL.create(
            drivername,
            username=client_name(),
            database=database,
            query={"unix_socket": str(cls.socket(door))},
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

    def command(self, data: Path, door: Door, options: Mapping[str, str]) -> list[str]:
        return self._command(data, door, options, "mysqlx=OFF")

    @classmethod
    def url(cls, drivername: str, door: Door, database: str) -> URL:
        return URL.create(
            drivername,
            username="root",
            database=database,
            query={"unix_socket": str(cls.socket(door))},
        )
