"""A server that was given: databases of our own on it, and nobody else's touched."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from pytest_asyncdb.errors import (
    DatabaseRefused,
    LeftBehind,
    TemplateBuildFailed,
    TooManyWorkers,
)
from pytest_asyncdb.provisioning import Run, _template
from pytest_asyncdb.provisioning._marks import Mark
from pytest_asyncdb.provisioning._naming import OwnerTag, new_short

if TYPE_CHECKING:
    from tests.provisioning.conftest import Attach, Broken, Build, MakeRun, Rows, Server


TABLES = "SELECT relname FROM pg_class WHERE relname IN ('note', 'precious', 'half')"


@pytest.fixture
def before(server: Server) -> list[str]:
    """The server's databases when the test began."""
    found: list[str] = server.databases()
    return found


def dead_mark(short: str, *, kept: bool = False) -> str:
    """The mark of a run whose process is gone."""
    here = OwnerTag.here()
    tag = OwnerTag(here.pid, "long ago", here.boot, here.host, here.namespace)
    return Mark(short, tag, kept=kept).text()


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_the_database_is_our_own_and_goes_with_the_run(
    *,
    make_run: MakeRun,
    build: Build,
    rows: Rows,
    server: Server,
    before: list[str],
    driver: str,
) -> None:
    """The URL's own database is only connected to."""
    url = server.url().set(drivername=f"postgresql+{driver}")
    run = make_run(url.render_as_string(hide_password=False))
    database = run.database(build)
    during, seed = server.databases(), rows(database.url, "SELECT * FROM note")
    run.close()

    assert run.url == database.url
    assert database.durable
    assert [(1, "seed")] == seed
    assert len(before) + 2 == len(during)
    assert before == server.databases()
    assert [] == server.sql(TABLES)


def test_a_replaced_database_is_like_new(
    make_run: MakeRun, build: Build, rows: Rows, server: Server
) -> None:
    """What was committed is gone after `replace`."""
    database = make_run(server.target()).database(build)
    rows(database.url, "INSERT INTO note VALUES (2, 'mine')")
    database.replace()

    assert [(1, "seed")] == rows(database.url, "SELECT * FROM note")


@pytest.mark.parametrize(
    ("driver", "option"), [("psycopg", "dbname"), ("asyncpg", "database")]
)
def test_a_database_named_by_an_option_is_not_built_in(
    make_run: MakeRun, build: Build, server: Server, driver: str, option: str
) -> None:
    """Drivers prefer the option to the name in the path."""
    url = server.url().set(drivername=f"postgresql+{driver}")
    url = url.update_query_dict({option: "postgres"})
    run = make_run(url.render_as_string(hide_password=False))
    database = run.database(build)

    assert run.url.database == database.url.database
    assert [] == server.sql(TABLES)


def test_options_that_lead_elsewhere_are_left_out(
    make_run: MakeRun, build: Build, rows: Rows, server: Server
) -> None:
    """The project's engine options are for what it builds, not for where."""
    options = {
        "pool_size": 3,
        "async_creator": None,
        "connect_args": {"database": "postgres", "timeout": 5},
    }
    run = make_run(server.target())
    database = run.database(build, engine_options=options)

    assert [(1, "seed")] == rows(database.url, "SELECT * FROM note")
    assert [] == server.sql(TABLES)


def test_a_connection_that_comes_out_elsewhere_is_refused(
    make_run: MakeRun, build: Build, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever led it there, nothing is built."""
    monkeypatch.setattr(_template, "_DESTINATION", frozenset())
    run = make_run(server.target())
    options = {"connect_args": {"database": "postgres"}}

    with pytest.raises(DatabaseRefused, match="came out on 'postgres'"):
        run.database(build, engine_options=options)
    assert [] == server.sql(TABLES)


def test_a_schema_that_raises_leaves_no_database(
    make_run: MakeRun, broken: Broken, server: Server, before: list[str]
) -> None:
    """Neither the template nor a clone."""
    run = make_run(server.target())
    with pytest.raises(TemplateBuildFailed):
        run.database(broken)

    assert before == server.databases()


def test_the_controller_drops_what_a_killed_worker_left(
    make_run: MakeRun, attach: Attach, server: Server, before: list[str]
) -> None:
    """It never connected itself."""
    word = server.url().render_as_string(hide_password=False)
    controller = make_run(word)
    worker = attach(word, str(controller.directory), "gw0", "die")
    worker.wait()
    during = server.databases()
    controller.close()

    assert len(before) + 2 == len(during)
    assert before == server.databases()


def test_a_killed_run_is_swept_by_the_next_one(
    make_run: MakeRun, attach: Attach, build: Build, server: Server, before: list[str]
) -> None:
    """Its databases carry its mark, and its lock is free."""
    word = server.url().render_as_string(hide_password=False)
    dead = attach(word, "-", "main", "die")
    dead.wait()
    during = server.databases()
    run = make_run(word)
    run.database(build)
    run.close()

    assert len(before) + 2 == len(during)
    assert before == server.databases()


@pytest.mark.parametrize("boot", ["another boot", None])
def test_a_living_run_is_not_swept(
    make_run: MakeRun, build: Build, rows: Rows, server: Server, boot: str | None
) -> None:
    """Its lock says that it lives, also where its process cannot be seen."""
    living = make_run(server.target())
    database = living.database(build)
    here = OwnerTag.here()
    tag = OwnerTag(here.pid, here.started, boot or here.boot, "elsewhere", "")
    for name in (database.url.database, f"asyncdb_{living._place.short}_template"):
        mark = Mark(living._place.short, tag).text()
        server.sql(f"COMMENT ON DATABASE {name} IS '{mark}'")
    make_run(server.target()).database(build)

    assert [(1, "seed")] == rows(database.url, "SELECT * FROM note")


@pytest.mark.parametrize(
    "mark",
    [None, "a comment of somebody", dead_mark("abcdefgh", kept=True)],
    ids=["none", "somebody's", "kept"],
)
def test_what_is_not_marked_or_kept_is_not_swept(
    make_run: MakeRun, build: Build, server: Server, mark: str | None
) -> None:
    """A name like ours alone says nothing."""
    server.sql("CREATE DATABASE asyncdb_abcdefgh_main")
    if mark:
        server.sql(f"COMMENT ON DATABASE asyncdb_abcdefgh_main IS '{mark}'")
    make_run(server.target()).database(build)
    found = server.databases()
    server.sql("DROP DATABASE asyncdb_abcdefgh_main")

    assert "asyncdb_abcdefgh_main" in found


def test_a_clone_that_was_not_marked_in_time_is_swept_with_its_template(
    make_run: MakeRun, build: Build, server: Server, before: list[str]
) -> None:
    """The template's mark vouches for all databases of its run."""
    short = new_short()
    for worker in ("template", "gw0"):
        server.sql(f"CREATE DATABASE asyncdb_{short}_{worker}")
    mark = dead_mark(short)
    server.sql(f"COMMENT ON DATABASE asyncdb_{short}_template IS '{mark}'")
    run = make_run(server.target())
    run.database(build)
    run.close()

    assert before == server.databases()


def test_a_kept_database_stays_and_later_runs_leave_it(
    make_run: MakeRun, build: Build, rows: Rows, server: Server
) -> None:
    """With `keep`, its URL is named."""
    run = make_run(server.target(), keep=True)
    url = run.database(build).url
    run.close()
    make_run(server.target()).database(build)

    assert (url.render_as_string(),) == run.kept
    assert [(1, "seed")] == rows(url, "SELECT * FROM note")
    server.sql(f"DROP DATABASE {url.database}")
    server.sql(f"DROP DATABASE asyncdb_{run._place.short}_template")
    run._place.remove()


def test_a_server_that_is_gone_at_the_end_is_said(
    make_run: MakeRun, build: Build
) -> None:
    """`close` removes what it can, and names the rest."""
    other = make_run("postgresql")
    url = other.database(build).url
    run = make_run(url.render_as_string(hide_password=False))
    run.database(build)
    pid = other._place.read("server.json")["pid"]
    os.kill(pid, signal.SIGQUIT)

    with pytest.raises(LeftBehind):
        run.close()
    assert not run.directory.exists()


def test_more_workers_than_connections_are_refused_before_the_server_does(
    build: Build, server: Server, before: list[str]
) -> None:
    """With how many there may be."""
    with (
        contextlib.closing(Run(server.target(), workers=150)) as refused,
        pytest.raises(TooManyWorkers, match="150 workers need 300") as caught,
    ):
        refused.database(build)
    (most,) = re.findall(r"-n (\d+)", caught.value.remedies[0])
    with contextlib.closing(Run(server.target(), workers=int(most))) as run:
        run.database(build)

    assert before == server.databases()


class TestLimitedRole:
    """A role that may not create databases."""

    @pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
    def test_it_uses_its_empty_database_and_empties_it(
        self,
        *,
        role: str,
        make_run: MakeRun,
        build: Build,
        rows: Rows,
        server: Server,
        driver: str,
    ) -> None:
        """The named database has the schema during the run, and nothing after it."""
        url = server.url(role, role).set(drivername=f"postgresql+{driver}")
        run = make_run(url.render_as_string(hide_password=False))
        database = run.database(build)
        during = rows(database.url, "SELECT * FROM note")
        run.close()

        assert url == database.url
        assert [(1, "seed")] == during
        assert [] == server.sql(TABLES, role)
        assert [(None,)] == server.sql(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
            f" WHERE datname = '{role}'"
        )

    def test_what_is_not_empty_is_refused_and_not_touched(
        self, role: str, make_run: MakeRun, build: Build, server: Server
    ) -> None:
        """The error names what is in it, and how to get a database of one's own."""
        server.sql("CREATE TABLE precious (id integer)", role)
        run = make_run(server.target(role, role))
        pattern = r"(?s)not empty.*sequence|table public\.precious.*CREATEDB"

        with pytest.raises(DatabaseRefused, match=pattern):
            run.database(build)
        assert [("precious",)] == server.sql(TABLES, role)

    @pytest.mark.parametrize(
        "dirt",
        [
            "CREATE TYPE mood AS ENUM ('sad')",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE SCHEMA other",
            "CREATE VIEW v AS SELECT 1 AS one",
            "CREATE SEQUENCE s",
        ],
    )
    def test_anything_counts_as_not_empty(
        self, role: str, make_run: MakeRun, build: Build, server: Server, dirt: str
    ) -> None:
        """Not only tables are somebody's work."""
        server.sql(dirt, role)

        with pytest.raises(DatabaseRefused, match="not empty"):
            make_run(server.target(role, role)).database(build)

    def test_what_a_killed_run_left_is_used_again(
        self, role: str, make_run: MakeRun, attach: Attach, build: Build, server: Server
    ) -> None:
        """It carries our mark, and its run is dead."""
        word = server.url(role, role).render_as_string(hide_password=False)
        dead = attach(word, "-", "main", "die")
        dead.wait()
        run = make_run(word)
        run.database(build)

        assert [("note",)] == server.sql(TABLES, role)

    def test_all_kinds_of_objects_are_removed(
        self, role: str, make_run: MakeRun, builder: type[Build], server: Server
    ) -> None:
        """The next run finds an empty database."""
        everything = builder(
            "CREATE TYPE mood AS ENUM ('sad')",
            "CREATE DOMAIN short AS text CHECK (length(VALUE) < 9)",
            "CREATE TYPE pair AS (a integer, b integer)",
            "CREATE TYPE span AS RANGE (SUBTYPE = integer)",
            "CREATE SCHEMA other",
            "CREATE TABLE other.t (id serial PRIMARY KEY, mood mood, pair pair)",
            "CREATE TABLE t (id serial PRIMARY KEY, s short) PARTITION BY RANGE (id)",
            "CREATE TABLE t1 PARTITION OF t DEFAULT",
            "CREATE MATERIALIZED VIEW m AS SELECT * FROM t",
            "CREATE FUNCTION f(mood) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE TABLE i (id int GENERATED ALWAYS AS IDENTITY, span span)",
            "CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int)",
        )
        for _ in range(2):
            run = make_run(server.target(role, role))
            run.database(everything).replace()
            run.close()
        run = make_run(server.target(role, role))

        assert "url" == run.database(everything).source

    def test_a_schema_that_raises_leaves_it_empty(
        self, role: str, make_run: MakeRun, broken: Broken, server: Server
    ) -> None:
        """The mark is gone too."""
        with pytest.raises(TemplateBuildFailed):
            make_run(server.target(role, role)).database(broken)

        assert [] == server.sql(TABLES, role)

    def test_a_session_of_a_stronger_role_is_let_be(
        self, role: str, make_run: MakeRun, build: Build, server: Server
    ) -> None:
        """Only such a role may end it, as none but a superuser ends an autovacuum."""
        import psycopg

        run = make_run(server.target(role, role))
        query = server.url(role).query
        with psycopg.connect(
            dbname=role,
            user="asyncdb",
            host=str(query["host"]),
            port=str(query["port"]),
        ) as stronger:
            run.database(build)
            run.close()

            assert (1,) == stronger.execute("SELECT 1").fetchone()
        assert [] == server.sql(TABLES, role)

    def test_a_second_worker_is_refused(
        self, role: str, make_run: MakeRun, build: Build, server: Server
    ) -> None:
        """There is one database only."""
        controller = make_run(server.target(role, role))
        target, directory = server.target(role, role), controller.directory
        make_run(target, directory=directory, worker="gw0").database(build)
        second = make_run(target, directory=directory, worker="gw1")

        with pytest.raises(DatabaseRefused, match="in use by worker gw0"):
            second.database(build)

    def test_a_second_run_is_refused(
        self, role: str, make_run: MakeRun, build: Build, server: Server
    ) -> None:
        """The first one lives, and keeps its rows."""
        make_run(server.target(role, role)).database(build)

        with pytest.raises(DatabaseRefused, match="in use by another run"):
            make_run(server.target(role, role)).database(build)
        assert [("note",)] == server.sql(TABLES, role)

    def test_a_database_that_it_may_only_use_is_marked_by_a_schema(
        self, role: str, make_run: MakeRun, build: Build, rows: Rows, server: Server
    ) -> None:
        """Only an owner may comment on a database."""
        server.sql(f"ALTER DATABASE {role} OWNER TO asyncdb")
        server.sql(f"GRANT ALL ON DATABASE {role} TO {role}")
        server.sql(f"GRANT ALL ON SCHEMA public TO {role}", role)
        run = make_run(server.target(role, role))
        seed = rows(run.database(build).url, "SELECT * FROM note")
        run.close()
        schemas = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'asyncdb%'"

        assert [(1, "seed")] == seed
        assert [] == server.sql(schemas, role)
        assert [] == server.sql(TABLES, role)

    def test_a_database_that_cannot_be_marked_is_refused(
        self, role: str, make_run: MakeRun, build: Build, server: Server
    ) -> None:
        """A later run could not tell whose it is."""
        server.sql(f"ALTER DATABASE {role} OWNER TO asyncdb")

        with pytest.raises(DatabaseRefused, match="does not own"):
            make_run(server.target(role, role)).database(build)
