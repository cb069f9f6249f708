"""Builders, runs and servers for the tests of provisioning."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.provisioning._account import Account
from pytest_asyncdb.provisioning._cluster import copy_cluster, initialised
from pytest_asyncdb.provisioning._process import Process, stop
from pytest_asyncdb.provisioning._wheel import find
from pytest_asyncdb.settings import Target, parse_target
from tests.provisioning.programs.attach import main as attach_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from pytest_asyncdb.settings import ServerOptions

_WARM = multiprocessing.get_context("forkserver")
_WARM.set_forkserver_preload(
    ["asyncpg", "pytest_asyncdb.provisioning", "sqlalchemy.dialects.postgresql.asyncpg"]
)


class Build:
    """A schema builder of plain statements."""

    def __init__(self, *statements: str, key: str | None = None) -> None:
        self.statements = statements
        self.key = key
        self.calls = 0

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Run the statements."""
        self.calls += 1
        for statement in self.statements:
            await connection.execute(text(statement))


class MakeRun(Protocol):
    """Makes a run that is closed at the end of the test."""

    def __call__(
        self,
        target: str | Target,
        *,
        directory: Path | None = None,
        worker: str = "main",
        keep: bool = False,
        server: ServerOptions | None = None,
        reuse: bool = False,
    ) -> Run:
        """What `Run` takes, or a word instead of a target."""


class Rows(Protocol):
    """Runs SQL on a connection of its own."""

    def __call__(self, url: URL, sql: str, /) -> list[tuple[Any, ...]]:
        """What the SQL returns."""


class Attach(Protocol):
    """Starts a process of a run; see `programs.attach` for the words."""

    def __call__(self, *words: str, **environment: str) -> Attached:
        """The process, which is killed at the end of the test."""


class Broken(Build):
    """A builder that fails after its statements."""

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Run the statements, then fail."""
        await super().__call__(connection)
        message = "no such model"
        raise ValueError(message)


@pytest.fixture(scope="session", autouse=True)
def _own_places() -> Iterator[None]:
    """A cache and a place of runs for these tests alone: others would sweep ours.

    Its path is short, for sockets, and open, for the account that runs servers.
    """
    base = Path(tempfile.mkdtemp(prefix="asyncdbtest-", dir="/tmp"))
    base.chmod(0o755)
    get_temp_dir()  # multiprocessing's, which it removes when the interpreter ends
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(base / "cache"))
        patch.setenv("TMPDIR", str(base))
        patch.setattr(tempfile, "tempdir", str(base))
        yield
    shutil.rmtree(base)


@pytest.fixture
def build() -> Build:
    """A table with one row."""
    return Build(
        "CREATE TABLE note (id integer PRIMARY KEY, body text UNIQUE)",
        "INSERT INTO note VALUES (1, 'seed')",
    )


@pytest.fixture
def builder() -> type[Build]:
    """Builder of any statements."""
    return Build


@pytest.fixture
def broken() -> Broken:
    """A builder that raises after it has made a table."""
    return Broken("CREATE TABLE half (id integer)")


@pytest.fixture
def make_run() -> Iterator[MakeRun]:
    """Make runs that are closed at the end, workers before their controller."""
    made: list[Run] = []

    def make(
        target: str | Target,
        *,
        directory: Path | None = None,
        worker: str = "main",
        keep: bool = False,
        server: ServerOptions | None = None,
        reuse: bool = False,
    ) -> Run:
        run = Run(
            parse_target(target) if isinstance(target, str) else target,
            directory=directory,
            worker=worker,
            keep=keep,
            server=server,
            reuse=reuse,
        )
        made.append(run)
        return run

    yield make
    for run in reversed(made):
        run.close()


def rows(url: URL, sql: str) -> list[tuple[Any, ...]]:
    """What `sql` returns on a connection of its own; nothing for what returns none."""

    async def work() -> list[tuple[Any, ...]]:
        engine = create_async_engine(url, poolclass=NullPool)
        try:
            async with engine.connect() as connection:
                autocommit = await connection.execution_options(
                    isolation_level="AUTOCOMMIT"
                )
                result = await autocommit.execute(text(sql))
                return [tuple(row) for row in result] if result.returns_rows else []
        finally:
            await engine.dispose()

    return asyncio.run(work())


@pytest.fixture(scope="session", name="rows")
def _rows() -> Rows:
    """Run SQL on any URL."""
    return rows


@dataclass
class Server:
    """A PostgreSQL server that a test was given by somebody else."""

    base: URL

    def url(self, database: str = "postgres", user: str = "asyncdb") -> URL:
        """The URL of a database on it, for a role."""
        return self.base.set(database=database, username=user)

    def target(self, database: str = "postgres", user: str = "asyncdb") -> Target:
        """What a user would give for it."""
        return Target("postgresql", None, "url", None, self.url(database, user), "url")

    def sql(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run SQL as superuser."""
        return rows(self.url(database), sql)

    def databases(self) -> list[str]:
        """Names of all databases of any run on it."""
        found = self.sql(
            "SELECT datname FROM pg_database WHERE datname LIKE 'asyncdb_%'"
        )
        return sorted(name for (name,) in found if name != f"{self.base.database}")


@pytest.fixture(scope="session")
def started(_own_places: None) -> Iterator[Run]:
    """A run whose server is there, for tests that leave it as it is."""
    with contextlib.closing(Run(Target("postgresql"))) as run:
        run.database(Build("CREATE TABLE own (id integer)"))
        yield run


@pytest.fixture
def worker_of(make_run: MakeRun, started: Run) -> Callable[[str], Run]:
    """Make workers of that run, which have databases of their own on its server."""

    def make(driver: str) -> Run:
        word = f"postgresql+{driver}:18@embedded"
        return make_run(word, directory=started.directory, worker="gw0")

    return make


@pytest.fixture(scope="session")
def server(started: Run) -> Server:
    """A server with a life of its own; the tests' runs did not start it."""
    return Server(started.url)


@pytest.fixture
def role(server: Server) -> Iterator[str]:
    """A role that may not create databases, and owns an empty one named like it."""
    server.sql("CREATE ROLE limited LOGIN")
    server.sql("CREATE DATABASE limited OWNER limited")
    yield "limited"
    server.sql("DROP DATABASE limited WITH (FORCE)")
    server.sql("DROP ROLE limited")


@pytest.fixture(scope="session")
def tcp_server(_own_places: None) -> Iterator[URL]:
    """A server on 127.0.0.1 that asks for passwords; its superuser's URL."""
    room = Path(tempfile.gettempdir()) / "tcp"
    account, installation = Account.current(), find(None)
    account.directory(room)
    reachable = installation.reachable(account, room)
    data = room / "data"
    copy_cluster(initialised(reachable, account, room), data, account)
    (data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
    with room.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [reachable.program, "-D", data, "-p", str(port), "-F", *options],
            stdout=log,
            stderr=log,
            cwd=data,
            **account.switches,
        )
    url = URL.create(
        "postgresql+asyncpg", "asyncdb", "s3cr3t/@pw", "127.0.0.1", port, "postgres"
    )
    try:
        _wait(url)
        rows(url, "ALTER ROLE asyncdb PASSWORD 's3cr3t/@pw'")
        (data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        rows(url, "SELECT pg_reload_conf()")
        yield url
    finally:
        if known := Process.of(process.pid):
            stop([known], signal.SIGQUIT)
        process.wait()
        shutil.rmtree(room)


def _wait(url: URL) -> None:
    for _ in range(500):
        try:
            rows(url, "SELECT 1")
        except Exception:  # noqa: BLE001 - whatever a starting server says
            asyncio.run(asyncio.sleep(0.02))
        else:
            return
    pytest.fail("the server did not start")


@dataclass
class Attached:
    """A process of a run that waits to be ended."""

    process: BaseProcess
    line: Connection

    @cached_property
    def directory(self) -> Path:
        """The directory of its run."""
        return Path(self.line.recv())

    @cached_property
    def url(self) -> URL:
        """Its database, once it is ready."""
        assert self.directory.is_dir()
        return make_url(self.line.recv())

    def wait(self) -> None:
        """Wait for its end."""
        self.process.join(30)
        assert not self.process.is_alive()

    def interrupt(self) -> None:
        """Press Ctrl-C, and wait for its end."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGINT)
        self.wait()

    def end(self) -> None:
        """Let it close its run."""
        self.line.send("end")
        self.wait()

    def kill(self) -> None:
        """Kill it, where it still lives."""
        self.process.kill()
        self.wait()


@pytest.fixture
def attach() -> Iterator[Attach]:
    """Start processes of a run; those that still live at the end are killed."""
    started: list[Attached] = []

    def start(*words: str, **environment: str) -> Attached:
        started.append(_started(words, environment))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.line.close()


def _started(words: Sequence[str], environment: dict[str, str]) -> Attached:
    """A new process, forked from one that has imported all that it needs."""
    ours, theirs = multiprocessing.Pipe()
    process = _WARM.Process(
        target=attach_program, args=(theirs, words, os.environ | environment)
    )
    process.start()
    theirs.close()
    return Attached(process, ours)
