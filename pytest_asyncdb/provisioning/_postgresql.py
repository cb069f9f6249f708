"""An installed PostgreSQL: how its data are made, and how it is started."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import URL

from pytest_asyncdb.provisioning._installation import ENVIRONMENT, Door, Installation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_asyncdb.provisioning._account import Account

__all__ = ["SUPERUSER", "TUNING", "PostgreSQL"]

SUPERUSER: Final = "asyncdb"
_ALL_ROLES_SINCE: Final = (16,)
_PORT: Final = 5432
"""What the name of the socket holds where nothing listens on TCP."""
_INITDB: Final = (
    f"--username={SUPERUSER}",
    "--encoding=UTF8",
    "--locale=C",
    "--auth-local=peer",
    "--auth-host=scram-sha-256",
    "--wal-segsize=1",  # 1 MB instead of 16 to copy
    "--no-sync",
)
_ACCESS: Final = (
    "local all all peer map=asyncdb\nhost all all 127.0.0.1/32 scram-sha-256\n"
)
TUNING: Final = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "huge_pages": "off",
}
"""What every server of ours is told: its data end with it, and UTC is everywhere."""
_SETTINGS: Final = {
    **TUNING,
    "unix_socket_permissions": "0700",
    "dynamic_shared_memory_type": "mmap",  # in the data directory: goes with it
}


@dataclass(frozen=True, slots=True)
class PostgreSQL(Installation):
    """A server that lets in nobody but the user who started it."""

    product = "postgresql"
    ends_by = signal.SIGQUIT
    closes_by = signal.SIGINT  # SIGTERM would wait for the clients

    @property
    def program(self) -> Path:
        """The server's program."""
        return self.root / "bin" / "postgres"

    def recipe(self, account: Account) -> list[object]:
        return [_INITDB, _ACCESS, self._map(account)]

    def initialise(self, account: Account, data: Path) -> None:
        """Run `initdb`; only this user may connect, even if others reach the socket."""
        initdb = self.program.with_name("initdb")
        account.run(
            [str(initdb), f"--pgdata={data}", *_INITDB],
            env=ENVIRONMENT,
            cwd=data.parent,
        )
        (data / "pg_hba.conf").write_text(_ACCESS)
        (data / "pg_ident.conf").write_text(self._map(account))

    def _map(self, account: Account) -> str:
        """Who may connect as which role; before 16 there is no word for all of them."""
        role = "all" if self.version >= _ALL_ROLES_SINCE else SUPERUSER
        return f'asyncdb "{account.client}" {role}\n'

    def command(self, data: Path, door: Door, options: Mapping[str, str]) -> list[str]:
        own = {
            "unix_socket_directories": str(door.sockets),
            "listen_addresses": "127.0.0.1" if door.port else "",
            "port": str(door.port or _PORT),
        }
        settings = _SETTINGS | dict(options) | own
        said = [part for item in settings.items() for part in ("-c", "=".join(item))]
        return [str(self.program), "-D", str(data), *said]

    @classmethod
    def socket(cls, door: Door) -> Path:
        return door.sockets / f".s.PGSQL.{door.port or _PORT}"

    @classmethod
    def url(cls, drivername: str, door: Door, database: str) -> URL:
        return URL.create(
            drivername,
            username=SUPERUSER,
            database=database,
            query={"host": str(door.sockets), "port": str(door.port or _PORT)},
        )

    @classmethod
    def tcp_url(cls, drivername: str, door: Door, database: str) -> URL:
        return URL.create(
            drivername, SUPERUSER, door.password, "127.0.0.1", door.port, database
        )

    @classmethod
    def lock(cls, door: Door) -> Sequence[str]:
        return [f"ALTER ROLE {SUPERUSER} PASSWORD '{door.password}'"]
