"""A PostgreSQL server with a hot standby, on loopback."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from pytest_asyncdb.provisioning._account import Account
from pytest_asyncdb.provisioning._installation import ENVIRONMENT
from tests.clusters.ports import free_ports
from tests.provisioning.conftest import rows

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Pair"]

_PATIENCE: Final = 30.0
_OPTIONS: Final = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "wal_level=replica",
    "hot_standby=on",
    "fsync=off",
)


@dataclass
class Pair:
    """Two servers: one takes writes, the other one replays them and is read."""

    folder: Path
    root: Path
    ports: list[int] = field(default_factory=lambda: free_ports(2))
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @staticmethod
    def fits(root: Path) -> bool:
        """Whether an installation has what makes a standby."""
        return (root / "bin" / "pg_basebackup").is_file()

    @property
    def primary(self) -> URL:
        """Of the server that takes writes."""
        return self._url(self.ports[0])

    @property
    def standby(self) -> URL:
        """Of the server that is only read."""
        return self._url(self.ports[1])

    def start(self) -> None:
        """Start both; the second one is made from the first."""
        account, data = Account.current(), self.folder / "primary"
        account.directory(data)
        initdb = [self._program("initdb"), "-D", str(data), "-U", "tester"]
        account.run([*initdb, "-A", "trust", "-E", "UTF8", "-N"], env=ENVIRONMENT)
        self._start(account, data, self.primary)
        copy = account.directory(self.folder / "standby")
        backup = [self._program("pg_basebackup"), "-D", str(copy), "-R"]
        source = f"host=127.0.0.1 port={self.ports[0]} user=tester"
        account.run([*backup, "-c", "fast", "--no-sync", "-d", source], env=ENVIRONMENT)
        self._start(account, copy, self.standby)

    def stop(self) -> None:
        """End both."""
        for process in reversed(self.processes):
            process.terminate()
            process.wait()

    def databases(self) -> list[str]:
        """Names of all databases of runs."""
        sql = "SELECT datname FROM pg_database WHERE datname LIKE 'asyncdb%'"
        return [str(name) for (name,) in rows(self.primary, sql)]

    def _program(self, name: str) -> str:
        return str(self.root / "bin" / name)

    def _url(self, port: int) -> URL:
        return URL.create(
            "postgresql+asyncpg", "tester", None, "127.0.0.1", port, "postgres"
        )

    def _start(self, account: Account, data: Path, url: URL) -> None:
        words = [word for each in _OPTIONS for word in ("-c", each)]
        with data.with_suffix(".log").open("wb") as log:
            process = subprocess.Popen(
                [self._program("postgres"), "-D", data, "-p", f"{url.port}", *words],
                stdout=log,
                stderr=log,
                cwd=data,
                **account.switches,
            )
        self.processes.append(process)
        deadline = time.monotonic() + _PATIENCE
        while not _answers(url):
            assert process.poll() is None, data.with_suffix(".log").read_text()
            assert time.monotonic() < deadline, data.with_suffix(".log").read_text()
            time.sleep(0.02)


def _answers(url: URL) -> bool:
    try:
        return bool(rows(url, "SELECT 1"))
    except (DBAPIError, OSError):
        return False
