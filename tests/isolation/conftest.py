"""Databases, isolations, an application, and an observer who looks from outside."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pymysql
import pytest
from sqlalchemy import ForeignKey, String, select, text
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pytest_asyncdb.errors import SourceUnavailable
from pytest_asyncdb.isolation import Finding, Isolation
from pytest_asyncdb.isolation._sqlite import SqliteConnection
from pytest_asyncdb.provisioning import Database, Run
from pytest_asyncdb.settings import parse_target
from tests.isolation.kinds import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

    import psycopg
    from sqlalchemy import URL

GUARD_SECONDS: Final = 10
"""How long a test may take before it counts as one that hangs."""


class Base(DeclarativeBase):
    """Tables of the application."""


class User(Base):
    """A user, whose name nobody else may have."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)


class Post(Base):
    """A post of a user's."""

    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))


class Seed(Base):
    """What is in the template: one row."""

    __tablename__ = "seeds"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)


UNTOUCHED: Final = {"posts": 0, "seeds": 1, "users": 0}
"""Rows of each table before and after every test."""


class Schema:
    """Builds the application's tables, and what a test wants besides."""

    key = None

    def __init__(self, *extra: str) -> None:
        self.extra = extra

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Create the tables and the seed."""
        await connection.run_sync(Base.metadata.create_all)
        await connection.execute(text("INSERT INTO seeds VALUES ('seed')"))
        for statement in self.extra:
            await connection.execute(text(statement))


class Application:
    """An application as teams write it: an engine, a sessionmaker, its functions."""

    User = User
    Post = Post
    Seed = Seed

    def __init__(self, url: URL, **options: Any) -> None:
        self.url = url
        self.engine = create_async_engine(url, **options)
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    def session(self) -> AsyncSession:
        """A session of its own."""
        return self.sessions()

    async def add(self, *names: str) -> None:
        """Insert users and commit."""
        async with self.sessions() as session:
            session.add_all([User(name=name) for name in names])
            await session.commit()

    async def flushed(self, name: str) -> AsyncSession:
        """A session that has inserted a user and not yet committed."""
        session = self.sessions()
        session.add(User(name=name))
        await session.flush()
        return session

    async def names(self) -> list[str]:
        """Names of all users, as another session sees them."""
        async with self.sessions() as session:
            return sorted(await session.scalars(select(User.name)))

    def sent(self, *statements: str, commit: bool = True) -> Any:
        """Send statements in one transaction, from sync code; what the last returns."""

        async def work() -> Any:
            async with self.engine.connect() as connection:
                found = [await connection.exec_driver_sql(each) for each in statements]
                if commit:
                    await connection.commit()
                return found[-1].scalar() if found[-1].returns_rows else None

        return asyncio.run(work())


# ----------------------------------------------------------------------- guard
class Hang(SystemExit):
    """A test took too long; asyncio lets no other error out of its callbacks."""


def _strike(_: int, __: FrameType | None) -> None:
    message = f"still not done after {GUARD_SECONDS} s"
    raise Hang(message)


def _arm() -> None:
    signal.setitimer(signal.ITIMER_REAL, GUARD_SECONDS, GUARD_SECONDS)


@pytest.fixture(autouse=True)
def guard() -> Iterator[Callable[[], None]]:
    """End a test that hangs, and its finalisers if they do; gives what winds it up."""
    before = signal.signal(signal.SIGALRM, _strike)
    _arm()
    try:
        yield _arm
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# ------------------------------------------------------------------- databases
class Databases:
    """The databases of the tests: each kind has its own, and each schema a server."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._first: dict[tuple[str, ...], Run] = {}
        self._databases: dict[tuple[str, ...], Database] = {}

    def get(self, kind: str, *extra: str) -> Database:
        """The database of that kind, made when it is first asked for."""
        key = (kind, *extra)
        if key not in self._databases:
            try:
                made = self._run(kind, extra).database(Schema(*extra))
            except SourceUnavailable as error:
                pytest.skip(error.cause)
            self._databases[key] = made
        return self._databases[key]

    def _run(self, kind: str, extra: tuple[str, ...]) -> Run:
        target = parse_target(TARGETS[kind])
        first = self._first.get((target.product, *extra))
        run = Run(
            target,
            directory=None if first is None else first.directory,
            worker=f"t{len(self._runs)}",
        )
        self._first.setdefault((target.product, *extra), run)
        self._runs.append(run)
        return run

    def close(self) -> None:
        """Remove all, those who attached before those they attached to."""
        for run in reversed(self._runs):
            run.close()


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The databases of this run of tests."""
    made = Databases()
    try:
        yield made
    finally:
        made.close()


# ------------------------------------------------------------------ isolations
@dataclass
class Isolations:
    """Makes isolations, and takes them away in the reverse order."""

    databases: Databases

    def __post_init__(self) -> None:
        self.made: list[Isolation] = []
        self._kept: dict[str, Isolation] = {}

    def make(
        self,
        kind: str,
        *,
        extra: tuple[str, ...] = (),
        through: Path | None = None,
        **options: Any,
    ) -> Isolation:
        """A new isolation, installed; `through` a socket in that directory."""
        database = self.databases.get(kind, *extra)
        if through is not None:
            url = database.url.update_query_dict({"host": str(through)})
            database = replace(database, url=url)
        if kind.endswith("-thread"):
            options.setdefault("bridge", "thread")
        isolation = Isolation(
            lambda: database,
            product=database.product,
            driver=database.url.get_driver_name(),
            url=database.url,
            **options,
        )
        isolation.install()
        self.made.append(isolation)
        return isolation

    def kept(self, kind: str) -> Isolation:
        """The isolation of that kind, whose connection stays from test to test."""
        if kind not in self._kept:
            self._kept[kind] = self.make(kind)
        return self._kept[kind]

    def close(self) -> None:
        """Uninstall all."""
        for isolation in reversed(self.made):
            isolation.close()
            isolation.uninstall()


@pytest.fixture(scope="module")
def isolations(databases: Databases) -> Iterator[Isolations]:
    """The isolations of a module of tests."""
    made = Isolations(databases)
    yield made
    made.close()


@pytest.fixture
def make_isolation(databases: Databases) -> Iterator[Callable[..., Isolation]]:
    """Make isolations of a test's own; `extra` are statements of the schema."""
    made = Isolations(databases)
    yield made.make
    made.close()
    for isolation in made.made:
        assert UNTOUCHED.items() <= observe(isolation._link.database, isolation).items()


@pytest.fixture(params=list(TARGETS))
def kind(request: pytest.FixtureRequest) -> str:
    """A driver; a test that is for some only names them itself."""
    return str(request.param)


@pytest.fixture
def database(kind: str, databases: Databases) -> Database:
    """The database of that driver."""
    return databases.get(kind)


class Ending:
    """What the end of a test is to find: nothing, unless the test says so."""

    def __init__(self) -> None:
        self._expected: list[tuple[bool, str]] = []

    def fatal(self, pattern: str) -> None:
        """One finding that fails the test."""
        self._expected.append((True, pattern))

    def leak(self, pattern: str) -> None:
        """One finding that does not."""
        self._expected.append((False, pattern))

    def check(self, findings: list[Finding]) -> None:
        """Compare, and expect nothing of the next end."""
        expected, self._expected = self._expected, []

        assert sorted(fatal for fatal, _ in expected) == sorted(
            finding.fatal for finding in findings
        ), findings
        for fatal, pattern in expected:
            assert any(
                fatal == finding.fatal and re.search(pattern, finding.text)
                for finding in findings
            ), findings


@pytest.fixture
def ending() -> Ending:
    """What the end of this test is to find."""
    return Ending()


@pytest.fixture
def isolation(
    kind: str,
    isolations: Isolations,
    database: Database,
    ending: Ending,
    request: pytest.FixtureRequest,
) -> Iterator[Isolation]:
    """An isolation in which this test has begun; at its end nothing may be left."""
    isolation = isolations.kept(kind)
    isolation.open(request.node.nodeid)
    try:
        yield isolation
    finally:
        findings = isolation.close()
        rows = observe(database, isolation)
        if rows != UNTOUCHED:  # one test fails, not all that follow
            isolation._link.replace_database()

    ending.check(findings)
    assert UNTOUCHED == rows


@pytest.fixture
def next_test(isolation: Isolation, ending: Ending) -> Callable[..., None]:
    """End the running test as `ending` says, and begin another one."""

    def begin(name: str = "the next test") -> None:
        ending.check(isolation.close())
        isolation.open(name)

    return begin


@pytest.fixture
def app(database: Database, isolation: Isolation) -> Application:
    """An application whose engine joins the test."""
    del isolation
    return Application(database.url)


@pytest.fixture
def make_app(database: Database) -> Callable[..., Application]:
    """Make applications with options of the engine, or with another URL."""

    def make(url: URL = database.url, **options: Any) -> Application:
        return Application(url, **options)

    return make


@pytest.fixture(scope="session")
def tables() -> Callable[[], Schema]:
    """What builds the application's tables, for a database of a test's own."""
    return Schema


@pytest.fixture(scope="session")
def app_of() -> Callable[[Database], Application]:
    """Make an application on a database."""
    return lambda database: Application(database.url)


# ------------------------------------------------------------------- observing
def observe(database: Database, isolation: Isolation) -> dict[str, int]:
    """Rows of each table, on a connection that is neither SQLAlchemy's nor the test's.

    Fails where a transaction is still open on the database.
    """
    if database.product == "postgresql":
        return _observe_postgresql(database.url)
    if database.product == "mariadb":
        return _observe_mariadb(database.url)
    if database.source == "file":
        with closing(sqlite3.connect(str(database.url.database), timeout=0.5)) as raw:
            raw.execute("BEGIN IMMEDIATE")
            return _counted(raw)
    kept: Any = isolation._link._real
    if not isinstance(kept, SqliteConnection) or kept.closed:
        return UNTOUCHED
    assert not kept.raw.in_transaction
    return _counted(kept.raw)


def _counted(raw: sqlite3.Connection) -> dict[str, int]:
    tables = raw.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table'"
    ).fetchall()
    return {
        name: raw.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
        for (name,) in sorted(tables)
    }


_TRANSACTIONS: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND state LIKE 'idle in transaction%'
    UNION ALL SELECT count(*) FROM pg_prepared_xacts
"""


def _observe_postgresql(url: URL) -> dict[str, int]:
    import psycopg

    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as raw:
        assert [(0,), (0,)] == raw.execute(_TRANSACTIONS).fetchall()
        tables = raw.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname NOT LIKE 'pg\\_%' "
            "AND schemaname <> 'information_schema' ORDER BY 1"
        ).fetchall()
        return {name: _count(raw, name) for (name,) in tables}


def _count(raw: psycopg.Connection, table: str) -> int:
    from psycopg import sql

    row = raw.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
    ((number,),) = row.fetchall()
    return int(number)


def _observe_mariadb(url: URL) -> dict[str, int]:
    with closing(
        pymysql.connect(
            user=url.username,
            unix_socket=str(url.query["unix_socket"]),
            database=url.database,
        )
    ) as raw:
        _wait_for_no_transaction(raw)
        tables = _asked(raw, "SHOW FULL TABLES WHERE table_type = 'BASE TABLE'")
        return {
            name: _asked(raw, f"SELECT count(*) FROM `{name}`")[0][0]
            for name, _ in sorted(tables)
        }


def _wait_for_no_transaction(raw: pymysql.Connection) -> None:
    """The server's list of transactions is up to 0.1 s old."""
    deadline = time.monotonic() + 10
    while found := _asked(raw, "SELECT * FROM information_schema.innodb_trx"):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def _asked(raw: pymysql.Connection, query: str) -> list[tuple[Any, ...]]:
    with raw.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


@pytest.fixture
def rows(database: Database, isolation: Isolation) -> Callable[[], dict[str, int]]:
    """Look at the database from outside, in the middle of a test."""
    return partial(observe, database, isolation)
