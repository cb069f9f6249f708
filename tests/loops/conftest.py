"""An application on every driver, and its isolation over either bridge."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Final

import pytest
from sqlalchemy import String, select, text
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pytest_asyncdb.errors import SourceUnavailable
from pytest_asyncdb.isolation import Isolation
from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.settings import parse_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from sqlalchemy import URL

    from pytest_asyncdb.provisioning import Database

GUARD_SECONDS: Final = 10
"""How long a test may take before it counts as one that hangs."""

TARGETS: Final = {
    "asyncpg": "postgresql+asyncpg:18@embedded",
    "psycopg": "postgresql+psycopg:18@embedded",
    "asyncmy": "mariadb+asyncmy@local",
    "aiomysql": "mariadb+aiomysql@local",
    "memory": "sqlite@memory",
    "file": "sqlite@file",
}
BRIDGES: Final = ("guest", "thread")

on_servers = pytest.mark.parametrize(
    "kind", ["asyncpg", "psycopg", "asyncmy", "aiomysql"]
)
"""For tests of what only a server does: sleep, or cancel a statement."""


class Base(DeclarativeBase):
    """Tables of the application."""


class User(Base):
    """A user, whose name nobody else may have."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)


class Schema:
    """Builds the application's tables."""

    key = None

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Create them."""
        await connection.run_sync(Base.metadata.create_all)


class Application:
    """An application as teams write it: an engine, a sessionmaker, its functions."""

    User = User

    def __init__(
        self, url: URL, *, decode: Callable[[str], object] = json.loads
    ) -> None:
        self.url = url
        self.engine = create_async_engine(url, json_deserializer=decode)
        self.sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(
            self.engine, expire_on_commit=False
        )

    async def add(self, *names: str) -> None:
        """Insert users, each in a transaction of its own."""
        for name in names:
            async with self.sessions() as session:
                session.add(User(name=name))
                await session.commit()

    async def names(self) -> list[str]:
        """Names of all users, as a session of its own sees them."""
        async with self.sessions() as session:
            return sorted(await session.scalars(select(User.name)))

    def sleeping(self, seconds: float) -> str:
        """A statement that keeps the server busy for so long."""
        is_postgresql = self.url.get_backend_name() == "postgresql"
        return f"SELECT {'pg_sleep' if is_postgresql else 'SLEEP'}({seconds})"

    async def sleep(self, seconds: float, *, writes: bool = False) -> None:
        """Keep the server busy for so long, by an UPDATE where it `writes`."""
        statement = self.sleeping(seconds)
        if writes:
            await self.add("sleeper")
            slept = statement.removeprefix("SELECT ")
            is_postgresql = self.url.get_backend_name() == "postgresql"
            value = f"name || {slept}" if is_postgresql else f"concat(name, {slept})"
            statement = f"UPDATE users SET name = {value}"
        async with self.engine.connect() as connection:
            await connection.execute(text(statement))


# ----------------------------------------------------------------------- guard
class Hang(SystemExit):
    """A test took too long; asyncio lets no other error out of its callbacks."""


@pytest.fixture(autouse=True)
def _guard() -> Iterator[None]:
    """End a test that hangs, and its finalisers if they do."""

    def strike(_: int, __: FrameType | None) -> None:
        message = f"still not done after {GUARD_SECONDS} s"
        raise Hang(message)

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, GUARD_SECONDS, 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# ------------------------------------------------------------------- databases
@pytest.fixture(scope="session")
def databases() -> Iterator[Callable[[str, str], Database]]:
    """The database of each kind and bridge, made when it is first asked for.

    None is shared: an isolation that replaces its database ends all sessions on it.
    """
    runs: dict[str, Run] = {}
    servers: dict[str, Run] = {}

    def get(kind: str, bridge: str) -> Database:
        name = f"{kind}_{bridge}"
        if name not in runs:
            target = parse_target(TARGETS[kind])
            first = servers.get(target.product)
            directory = first.directory if first is not None else None
            runs[name] = Run(target, directory=directory, worker=name)
            servers.setdefault(target.product, runs[name])
        try:
            return runs[name].database(Schema())
        except SourceUnavailable as error:
            pytest.skip(error.cause)

    yield get
    for run in reversed(runs.values()):
        run.close()


@pytest.fixture(params=list(TARGETS))
def kind(request: pytest.FixtureRequest) -> str:
    """A driver, or a place of SQLite's; a test for some of them names those itself."""
    return str(request.param)


@pytest.fixture(params=BRIDGES)
def bridge(request: pytest.FixtureRequest) -> str:
    """How the connection is reached."""
    return str(request.param)


@pytest.fixture
def database(
    kind: str, bridge: str, databases: Callable[[str, str], Database]
) -> Database:
    """The database of that kind."""
    return databases(kind, bridge)


# ------------------------------------------------------------------ isolations
def isolate(database: Database, *, bridge: str = "auto") -> Isolation:
    """An isolation on a database, not installed yet."""
    return Isolation(
        lambda: database,
        product=database.product,
        driver=database.url.get_driver_name(),
        url=database.url,
        bridge=bridge,
    )


@pytest.fixture(scope="module")
def kept() -> Iterator[dict[tuple[str, str], Isolation]]:
    """The isolations of a module; each keeps its connection from test to test."""
    made: dict[tuple[str, str], Isolation] = {}
    yield made
    for isolation in reversed(made.values()):
        isolation.uninstall()


@pytest.fixture
def isolation(
    kind: str,
    bridge: str,
    database: Database,
    kept: dict[tuple[str, str], Isolation],
    request: pytest.FixtureRequest,
) -> Iterator[Isolation]:
    """An isolation in which this test has begun; at its end nothing may be left."""
    if (kind, bridge) not in kept:
        kept[kind, bridge] = isolate(database, bridge=bridge)
        kept[kind, bridge].install()
    isolation = kept[kind, bridge]
    isolation.open(request.node.nodeid)
    try:
        yield isolation
    finally:
        findings = isolation.close()

    assert [] == findings


@pytest.fixture
def app(database: Database, isolation: Isolation) -> Application:
    """An application whose engine joins the test."""
    del isolation
    return Application(database.url)
