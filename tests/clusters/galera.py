"""A Galera cluster of MariaDB nodes, on loopback."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from pytest_asyncdb.provisioning._account import Account
from tests.clusters.ports import free_ports
from tests.provisioning.conftest import rows

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PROVIDER", "Cluster", "Node"]

PROVIDER: Final = Path("/usr/lib/galera/libgalera_smm.so")
_PATIENCE: Final = 30.0
_TRIES: Final = 3
_OPTIONS: Final = (
    "skip-name-resolve",
    "bind-address=127.0.0.1",
    "binlog-format=ROW",
    "innodb-autoinc-lock-mode=2",
    "innodb-flush-log-at-trx-commit=0",
    "innodb-flush-method=nosync",
    "innodb-log-file-size=16M",
    "innodb-buffer-pool-size=64M",
    "innodb-use-native-aio=0",
    "wsrep-on=ON",
    f"wsrep-provider={PROVIDER}",
    "wsrep-cluster-name=asyncdbtest",
    "wsrep-sst-method=rsync",
)


@dataclass
class Node:
    """One of the servers, each of which takes writes."""

    data: Path
    program: Path
    account: Account
    ports: Sequence[int] = field(default_factory=lambda: free_ports(4))
    """For SQL, for the group, and for the two ways of catching up with it."""
    process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        """Where it takes SQL."""
        return f"127.0.0.1:{self.ports[0]}"

    @property
    def group(self) -> str:
        """Where others join it."""
        return f"127.0.0.1:{self.ports[1]}"

    @property
    def url(self) -> URL:
        """Its superuser's."""
        return URL.create(
            "mariadb+asyncmy", "root", None, "127.0.0.1", self.ports[0], "mysql"
        )

    def start(self, cluster: str) -> None:
        """Start it, empty, as one of a cluster; wait until it takes statements."""
        if self.data.exists():
            shutil.rmtree(self.data)
        self.account.directory(self.data)
        self.account.run(
            [
                *("mariadb-install-db", "--no-defaults", f"--datadir={self.data}"),
                *("--auth-root-authentication-method=normal", "--skip-test-db"),
                *("--innodb-log-file-size=16M", "--skip-name-resolve"),
            ]
        )
        with self.log.open("wb") as log:
            self.process = process = subprocess.Popen(
                [str(self.program), "--no-defaults", *self._options(cluster)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                **self.account.switches,
            )
        deadline = time.monotonic() + _PATIENCE
        while not self.is_ready():
            assert process.poll() is None, self.log.read_text()[-2000:]
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            time.sleep(0.05)

    @property
    def log(self) -> Path:
        """What it has said."""
        return self.data.with_suffix(".log")

    def is_ready(self) -> bool:
        """Whether it takes statements as one of the cluster."""
        try:
            found = rows(self.url, "SHOW STATUS LIKE 'wsrep_ready'")
        except DBAPIError:
            return False
        return [("wsrep_ready", "ON")] == found

    def kill(self) -> None:
        """Kill -9, with whatever it has started, and wait for its end."""
        if self.process is not None and self.process.poll() is None:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                child.kill()
            self.process.kill()
            self.process.wait()

    def _options(self, cluster: str) -> list[str]:
        group, ist, sst = self.ports[1:]
        provider = (
            f"base_port={group};gmcast.listen_addr=tcp://127.0.0.1:{group}"
            f";ist.recv_addr=127.0.0.1:{ist};gcache.size=16M"
        )
        said = [
            *_OPTIONS,
            f"datadir={self.data}",
            f"socket={self.data / 's.sock'}",
            f"port={self.ports[0]}",
            f"wsrep-node-address={self.group}",
            f"wsrep-sst-receive-address=127.0.0.1:{sst}",
            f"wsrep-provider-options={provider}",
            f"wsrep-cluster-address=gcomm://{cluster}",
        ]
        return [f"--{each}" for each in said]


@dataclass
class Cluster:
    """Three nodes that are one database."""

    folder: Path
    program: Path
    nodes: list[Node] = field(default_factory=list)

    def start(self) -> None:
        """Start the nodes; a state transfer sometimes fails, and is tried again."""
        account = Account.current()
        for number in range(3):
            node = Node(self.folder / f"n{number}", self.program, account)
            self.nodes.append(node)
            for attempt in range(1, _TRIES + 1):
                try:
                    node.start(self.nodes[0].group if number else "")
                except AssertionError:
                    node.kill()
                    if attempt == _TRIES:
                        raise
                else:
                    break
        assert [3] * 3 == [self.size(node) for node in self.nodes]

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.kill()

    def size(self, node: Node) -> int:
        """How many nodes there are, as one of them sees it."""
        ((_, value),) = rows(node.url, "SHOW STATUS LIKE 'wsrep_cluster_size'")
        return int(value)

    def word(self, *nodes: Node, driver: str = "asyncmy") -> str:
        """The URL of some of the nodes, as a user would give it."""
        hosts = tuple(node.address for node in nodes)
        url = URL.create(f"mariadb+{driver}", "root", query={"host": hosts})
        return url.render_as_string(hide_password=False)

    def databases(self, node: Node) -> list[str]:
        """Names of all databases of runs, as a node sees them."""
        found = rows(node.url, "SHOW DATABASES LIKE 'asyncdb%'")
        return [str(name) for (name,) in found]
