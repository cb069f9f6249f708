"""A MariaDB server that was given, as test_external.py has it for PostgreSQL."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

from pytest_asyncdb.errors import DatabaseRefused, ServerUnreachable, TooManyWorkers
from pytest_asyncdb.provisioning import Run, _search
from pytest_asyncdb.provisioning._marks import Mark
from pytest_asyncdb.provisioning._naming import OwnerTag, new_short
from pytest_asyncdb.settings import ServerOptions, Target, parse_target
from tests.provisioning.conftest import Build, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

    from tests.provisioning.conftest import Attach, MakeRun

DRIVERS = ("asyncmy", "aiomysql")


@dataclass
class MariaServer:
    """A server that a test was given by somebody else."""

    base: URL

    def url(self, driver: str = "asyncmy", **changes: Any) -> URL:
        """The URL of a database on it."""
        plain = self.base.set(drivername=f"mariadb+{driver}", database="mysql")
        return plain.set(**changes)

    def word(self, driver: str = "asyncmy", **changes: Any) -> str:
        """What a user would give for it."""
        return self.url(driver, **changes).render_as_string(hide_password=False)

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run SQL as superuser; what the last statement returns."""
        return [rows(self.url(), each) for each in statements][-1]

    def databases(self) -> list[str]:
        """Names of all databases of any run on it."""
        found = self.sql("SHOW DATABASES LIKE 'asyncdb\\_%'")
        return sorted(name for (name,) in found if name != self.base.database)


@pytest.fixture(scope="module")
def server() -> Iterator[MariaServer]:
    """A server with a life of its own; the tests' runs did not start it."""
    if not _search.available("mariadb"):
        pytest.skip("no mariadb server is installed")
    run = Run(Target("mariadb", None, "local"))
    try:
        yield MariaServer(run.database(Build("CREATE TABLE own (id INT)")).url)
    finally:
        run.close()


@pytest.fixture
def before(server: MariaServer) -> list[str]:
    """The server's databases when the test began."""
    return [name for name in server.databases() if "_template" not in name]


def ours(server: MariaServer) -> list[str]:
    """The databases but for the template of the server itself."""
    return [name for name in server.databases() if "_template" not in name]


@pytest.fixture
def role(server: MariaServer) -> Iterator[str]:
    """A role that may not create databases, and may do all in one that is empty."""
    server.sql(
        "CREATE DATABASE lent",
        "CREATE USER limited@localhost IDENTIFIED BY 's3cr3t/@pw'",
        "GRANT ALL ON lent.* TO limited@localhost",
    )
    yield "limited"
    server.sql("DROP DATABASE lent", "DROP USER limited@localhost")


def dead_mark(short: str, *, kept: bool = False) -> Mark:
    """The mark of a run whose process is gone."""
    here = OwnerTag.here()
    tag = OwnerTag(here.pid, "long ago", here.boot, here.host, here.namespace)
    return Mark(short, tag, kept=kept)


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_database_is_our_own_and_goes_with_the_run(
    make_run: MakeRun,
    build: Build,
    server: MariaServer,
    before: list[str],
    driver: str,
) -> None:
    """The URL's own database is only connected to."""
    run = make_run(server.word(driver))
    database = run.database(build)
    seed = rows(database.url, "SELECT * FROM note")
    during = ours(server)
    run.close()

    assert database.durable
    assert [(1, "seed")] == seed
    assert str(database.url.database) in during
    assert before == ours(server)


def test_more_workers_than_connections_are_refused_before_the_server_does(
    build: Build, server: MariaServer, before: list[str]
) -> None:
    """By the server's own count."""
    target = parse_target(server.word(DRIVERS[0]))
    with (
        contextlib.closing(Run(target, workers=150)) as run,
        pytest.raises(TooManyWorkers, match="150 workers need 300"),
    ):
        run.database(build)

    assert before == ours(server)


def test_two_workers_at_once(
    make_run: MakeRun, build: Build, server: MariaServer, before: list[str]
) -> None:
    """One template, a database for each, and none stays."""
    controller = make_run(server.word())
    first = controller.database(build)
    worker = make_run(server.word(), directory=controller.directory, worker="gw1")
    second = worker.database(build)
    rows(first.url, "INSERT INTO note VALUES (2, 'mine')")

    assert [(1, "seed")] == rows(second.url, "SELECT * FROM note")
    worker.close()
    controller.close()
    assert before == ours(server)


def test_a_killed_run_is_swept_by_the_next_one(
    make_run: MakeRun,
    attach: Attach,
    build: Build,
    server: MariaServer,
    before: list[str],
) -> None:
    """Its databases carry its mark, and its lock is free."""
    dead = attach(server.word(), "-", "main", "die")
    dead.wait()
    during = ours(server)
    run = make_run(server.word())
    run.database(build)
    run.close()

    assert len(before) < len(during)
    assert before == ours(server)


def test_a_living_run_is_not_swept(
    make_run: MakeRun, build: Build, server: MariaServer
) -> None:
    """Its lock says that it lives, also where its process cannot be seen."""
    living = make_run(server.word())
    database = living.database(build)
    short = living._place.short
    mark = dead_mark(short).text().replace("'", "''")
    for name in (database.url.database, f"asyncdb_{short}_template"):
        server.sql(f"ALTER TABLE asyncdb_{short}_marks.{name} COMMENT = '{mark}'")
    make_run(server.word()).database(build)

    assert [(1, "seed")] == rows(database.url, "SELECT * FROM note")


@pytest.mark.parametrize("marked", [False, True], ids=["unmarked", "kept"])
def test_what_is_not_marked_or_kept_is_not_swept(
    make_run: MakeRun, build: Build, server: MariaServer, *, marked: bool
) -> None:
    """A name like ours alone says nothing."""
    short = new_short()
    server.sql(f"CREATE DATABASE asyncdb_{short}_main")
    if marked:
        mark = dead_mark(short, kept=True).text()
        server.sql(
            f"CREATE DATABASE asyncdb_{short}_marks",
            f"CREATE TABLE asyncdb_{short}_marks.asyncdb_{short}_main (mark INT)"
            f" COMMENT = '{mark}'",
        )
    make_run(server.word()).database(build)
    found = server.databases()
    server.sql(
        f"DROP DATABASE asyncdb_{short}_main",
        f"DROP DATABASE IF EXISTS asyncdb_{short}_marks",
    )

    assert f"asyncdb_{short}_main" in found


def test_a_wrong_password_is_said_without_it(
    make_run: MakeRun, build: Build, server: MariaServer, role: str
) -> None:
    """And what the role was."""
    run = make_run(server.word(username=role, password="wr0ng", database="lent"))
    with pytest.raises(ServerUnreachable, match="password") as caught:
        run.database(build)

    assert "wr0ng" not in str(caught.value)


class TestARoleThatMayNotCreateDatabases:
    """It is lent the named database, if that is empty or ours."""

    def lent(self, server: MariaServer, role: str) -> str:
        """What its user would give."""
        return server.word(username=role, password="s3cr3t/@pw", database="lent")

    def test_the_named_database_is_used_and_emptied(
        self, role: str, make_run: MakeRun, builder: type[Build], server: MariaServer
    ) -> None:
        """Twice, with the same run's `replace` in between; nothing of it stays."""
        build = builder(
            "CREATE TABLE note (id INT PRIMARY KEY, next INT REFERENCES note (id))",
            "CREATE VIEW seen AS SELECT * FROM note",
            "CREATE PROCEDURE one() SELECT 1",
            "INSERT INTO note VALUES (1, NULL)",
        )
        for _ in range(2):
            run = make_run(self.lent(server, role))
            database = run.database(build)
            database.replace()
            assert [(1, None)] == rows(database.url, "SELECT * FROM seen")
            run.close()

        assert [] == rows(server.url(database="lent"), "SHOW TABLES")

    def test_a_database_that_is_not_empty_is_refused(
        self, role: str, make_run: MakeRun, build: Build, server: MariaServer
    ) -> None:
        """Nothing in it is touched."""
        server.sql("CREATE TABLE lent.precious (id INT)")
        run = make_run(self.lent(server, role))
        with pytest.raises(DatabaseRefused, match="precious"):
            run.database(build)

        assert [("precious",)] == rows(server.url(database="lent"), "SHOW TABLES")


def test_the_role_of_these_tests_is_limited(server: MariaServer, role: str) -> None:
    """Or they would prove nothing."""
    url = server.url(username=role, password="s3cr3t/@pw", database="lent")
    with pytest.raises(OperationalError, match="Access denied"):
        rows(url, "CREATE DATABASE another")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"read-only": "1"}, "takes no writes"),
        ({"default-storage-engine": "Aria"}, "no savepoints"),
    ],
)
def test_a_server_that_cannot_isolate_tests_is_refused(
    make_run: MakeRun, options: dict[str, str], reason: str
) -> None:
    """Before a database is made there."""
    with contextlib.closing(
        Run(Target("mariadb", None, "local"), server=ServerOptions(options=options))
    ) as run:
        given = MariaServer(run.database(Build()).url)
        before = given.databases()
        with pytest.raises(DatabaseRefused, match=reason):
            make_run(given.word()).database(Build("CREATE TABLE note (id INT)"))

        assert before == given.databases()
