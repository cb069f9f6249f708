"""Every kind of env.py, unmodified: it is led to the test database, or refused."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import sqlite3
import sys
import textwrap
from typing import TYPE_CHECKING, Final

import pytest
from sqlalchemy import MetaData

from pytest_asyncdb.errors import (
    EnvironmentFailed,
    HistoryRefused,
    RedirectRefused,
    RevisionFailed,
)

if TYPE_CHECKING:
    from pytest_asyncdb.migrations import Runner
    from tests.migrations.conftest import Project

TABLE: Final = "CREATE TABLE one (id INTEGER PRIMARY KEY)"

SYNC: Final = """
    from alembic import context
    from sqlalchemy import create_engine

    engine = create_engine(URL.replace("asyncpg", "psycopg"))
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
PSYCOPG2: Final = SYNC.replace("psycopg", "psycopg2")
ONE_TRANSACTION: Final = """
    from alembic import context
    from sqlalchemy import create_engine

    engine = create_engine(URL.replace("asyncpg", "psycopg"))
    with engine.begin() as connection:
        context.configure(connection=connection)
        context.run_migrations()
"""
BEGUN: Final = """
    from alembic import context
    from sqlalchemy import create_engine

    engine = create_engine(URL.replace("asyncpg", "psycopg"))
    connection = engine.connect()
    transaction = connection.begin()
    context.configure(connection=connection)
    context.run_migrations()
    transaction.commit()
    connection.close()
"""
SEARCH_PATH: Final = """
    from alembic import context
    from sqlalchemy import create_engine, text

    engine = create_engine(URL.replace("asyncpg", "psycopg"))
    with engine.connect() as connection:
        connection.execute(text("SET search_path TO public"))
        context.configure(
            connection=connection,
            transaction_per_migration=True,
            version_table="versions",
            version_table_schema="public",
            include_object=lambda *_: True,
            process_revision_directives=lambda *_: None,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
"""
GIVEN: Final = """
    from alembic import context

    connection = context.config.attributes["connection"]
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
ASKED: Final = """
    from alembic import context
    from sqlalchemy import create_engine

    given = context.config.attributes.get("connection")
    assert given is None
    engine = create_engine(URL.replace("asyncpg", "psycopg"))
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
ANYIO: Final = """
    from alembic import context
    from anyio import from_thread
    from sqlalchemy.ext.asyncio import create_async_engine

    def run(connection):
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()

    async def main():
        engine = create_async_engine(URL)
        async with engine.connect() as connection:
            await connection.run_sync(run)

    from_thread.run(main)
"""
OLD_LOOP: Final = ANYIO.replace(
    "from anyio import from_thread", "import asyncio"
).replace(
    "from_thread.run(main)", "asyncio.get_event_loop().run_until_complete(main())"
)
THREAD: Final = ANYIO.replace(
    "from anyio import from_thread", "import asyncio, threading"
).replace(
    "from_thread.run(main)",
    "thread = threading.Thread(target=lambda: asyncio.run(main()))\n"
    "    thread.start()\n    thread.join()",
)
LISTENER: Final = """
    from alembic import context
    from sqlalchemy import create_engine, event

    engine = create_engine(URL.replace("asyncpg", "psycopg"))

    @event.listens_for(engine, "do_connect")
    def token(dialect, record, arguments, parameters):
        parameters["host"] = "db.invalid"

    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
KINDS: Final = {
    "sync": SYNC,
    "psycopg2": PSYCOPG2,
    "one transaction": ONE_TRANSACTION,
    "begun": BEGUN,
    "search path": SEARCH_PATH,
    "given a connection": GIVEN,
    "asks for a connection": ASKED,
    "anyio": ANYIO,
    "get_event_loop": OLD_LOOP,
    "a thread of its own": THREAD,
    "do_connect": LISTENER,
}


CONFIGURED: Final = """
    from alembic import context
    from sqlalchemy import engine_from_config, pool

    section = context.config.get_section(context.config.config_ini_section)
    engine = engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
CONFIGURED_ASYNC: Final = """
    import asyncio

    from alembic import context
    from sqlalchemy.ext.asyncio import create_async_engine

    def run(connection=None, **offline):
        context.configure(connection=connection, **offline)
        with context.begin_transaction():
            context.run_migrations()

    async def main():
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            await connection.run_sync(run)

    url = context.config.get_main_option("sqlalchemy.url")
    if context.is_offline_mode():
        run(url=url, literal_binds=True)
    else:
        asyncio.run(main())
"""
CONFIGURED_WRAPPED: Final = CONFIGURED_ASYNC.replace(
    "import create_async_engine",
    "import AsyncEngine\n    from sqlalchemy import create_engine",
).replace("create_async_engine(url)", "AsyncEngine(create_engine(url))")


def check(runner: Runner) -> None:
    """Up and down work; so does a walk through all."""

    async def work() -> None:
        await runner.upgrade()
        assert "a2" == await runner.current()
        await runner.downgrade("base")
        assert None is await runner.current()

    asyncio.run(work())
    runner.reset()
    report = runner.report()

    assert [] == [
        each for result in report.results.values() for each in result.findings
    ]
    assert [] == report.base
    assert None is not report.head


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_runs_on_the_test_database(pg_project: Project, kind: str) -> None:
    """Whatever it connects with, and whatever URL it names."""
    pg_project.env(KINDS[kind])
    enum = "sa.Enum('a', name='kind').{}(op.get_bind(), checkfirst=False)"
    pg_project.revision("a1", enum.format("create"), enum.format("drop"))
    pg_project.revision("a2", TABLE, "DROP TABLE one")

    check(pg_project.runner())


def test_the_usual_async_one_runs_on_every_product(project: Project) -> None:
    """As `alembic init --template async` writes it."""
    project.revision("a1", TABLE, "DROP TABLE one")
    project.revision("a2", "CREATE TABLE two (id INTEGER)", "DROP TABLE two")

    check(project.runner())


@pytest.mark.parametrize("env", [CONFIGURED, CONFIGURED_ASYNC])
@pytest.mark.parametrize("said", ["", "sqlalchemy.url =", "sqlalchemy.url = driver://"])
def test_one_whose_configuration_has_no_url_yet_gets_one(
    project: Project, env: str, said: str
) -> None:
    """What deploys it would say one, or put an engine into the attributes."""
    project.ini("script_location = migrations", said)
    project.env(env)
    project.revision("a1", TABLE, "DROP TABLE one")
    project.revision("a2", "CREATE TABLE two (id INTEGER)", "DROP TABLE two")
    runner = project.runner()
    check(runner)

    assert [] == runner.compare_offline()
    left = runner.config.get_main_option("sqlalchemy.url")
    assert said.partition("= ")[2] == (left or "")


@pytest.mark.parametrize("env", [CONFIGURED, CONFIGURED_ASYNC, CONFIGURED_WRAPPED])
def test_a_driver_that_is_sync_and_async_is_both(pg_project: Project, env: str) -> None:
    """As psycopg is, by one name; AsyncEngine wants the async one."""
    pg_project.env(env)
    pg_project.revision("a1", TABLE, "DROP TABLE one")
    pg_project.revision("a2")
    runner = pg_project.runner()
    runner.url = runner.url.set(drivername="postgresql+psycopg")

    check(runner)


def test_a_url_may_have_places_that_env_py_fills(pg_project: Project) -> None:
    """As configparser interpolates them; nobody else reads it before."""
    url = "sqlalchemy.url = postgresql+psycopg://%(WHO)s@db.invalid/production"
    pg_project.ini("script_location = migrations", url)
    fill = (
        '    context.config.set_section_option("alembic", "WHO", "app")\n    section ='
    )
    pg_project.env(CONFIGURED.replace("    section =", fill))
    pg_project.revision("a1", TABLE, "DROP TABLE one")
    pg_project.revision("a2")

    check(pg_project.runner())


def test_a_sync_engine_on_an_async_driver_is_not_mended(pg_project: Project) -> None:
    """Where the configuration says the URL, it would fail in production too."""
    pg_project.ini("script_location = migrations", f"sqlalchemy.url = {pg_project.url}")
    pg_project.env(CONFIGURED)
    pg_project.revision("a1", TABLE, "DROP TABLE one")

    with pytest.raises(EnvironmentFailed, match="MissingGreenlet"):
        asyncio.run(pg_project.runner().upgrade())


def test_an_engine_that_has_connected_before_connects_anew(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application's own, with connections in its pool."""
    if project.database.product != "sqlite":
        pytest.skip("a file stands for the other database")
    file = project.path / "production.db"
    project.write(
        "app.py",
        f"""
        from sqlalchemy import create_engine

        engine = create_engine("sqlite:///{file}")
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE there (id)")
        """,
    )
    project.ini(
        "script_location = migrations",
        "path_separator = os",
        f"prepend_sys_path = {project.path}",
    )
    project.env(
        SYNC.replace("from sqlalchemy import create_engine", "").replace(
            'engine = create_engine(URL.replace("asyncpg", "psycopg"))',
            "from app import engine",
        )
    )
    project.revision("a1", TABLE, "DROP TABLE one")
    project.revision("a2")
    monkeypatch.syspath_prepend(str(project.path))
    importlib.import_module("app")
    check(project.runner())

    sys.modules.pop("app").engine.dispose()
    with contextlib.closing(sqlite3.connect(file)) as production:
        names = production.execute("SELECT name FROM sqlite_master").fetchall()

    assert [("there",)] == names


def test_pyproject_may_configure_it(pg_project: Project) -> None:
    """As Alembic 1.16 and newer read it."""
    text = '[tool.alembic]\nscript_location = "%(here)s/migrations"\n'
    pg_project.write("pyproject.toml", text)
    pg_project.revision("a1", TABLE, "DROP TABLE one")
    pg_project.revision("a2")

    check(pg_project.runner("pyproject.toml"))


def test_scripts_may_be_in_a_package_and_in_several_places(
    pg_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`package:folder`, and version_locations."""
    monkeypatch.syspath_prepend(str(pg_project.path))
    pg_project.write("parcel/__init__.py", "")
    pg_project.write("parcel/scripts/__init__.py", "")
    env = (pg_project.path / "migrations" / "env.py").read_text()
    pg_project.write("parcel/scripts/env.py", env)
    pg_project.ini(
        "script_location = parcel:scripts",
        "path_separator = os",
        f"version_locations = {pg_project.path}/one:{pg_project.path}/two",
    )
    pg_project.revision("a1", TABLE, "DROP TABLE one", folder="one")
    pg_project.revision("a2", folder="two")

    check(pg_project.runner())


def test_another_section_may_be_chosen(pg_project: Project) -> None:
    """As by `alembic --name tenants`."""
    pg_project.ini("x = y", "[tenants]", "script_location = migrations")
    pg_project.revision("a1", TABLE, "DROP TABLE one")
    pg_project.revision("a2")

    check(pg_project.runner("alembic.ini:tenants"))


def test_the_suite_s_loggers_stay_as_they_are(pg_project: Project) -> None:
    """`fileConfig` would disable every one that there is."""
    logger = logging.getLogger("of.the.suite")
    env = "from logging.config import fileConfig\nfileConfig('missing.ini')\n"
    pg_project.env(env + textwrap.dedent(SYNC))
    pg_project.revision("a1", TABLE, "DROP TABLE one")
    pg_project.revision("a2")
    check(pg_project.runner())

    assert not logger.disabled


async def test_it_runs_inside_of_a_running_loop(pg_project: Project) -> None:
    """env.py calls asyncio.run in a thread of its own."""
    pg_project.revision("a1", TABLE, "DROP TABLE one")
    runner = pg_project.runner()
    await runner.upgrade()
    head = await runner.snapshot()

    assert ["public.one"] == list(head.names("table"))


# -------------------------------------------------------------------------- refusals
def refused(project: Project, env: str, error: type[Exception]) -> str:
    """What is said to an env.py."""
    project.env(env)
    project.revision("a1", TABLE, "DROP TABLE one")
    with pytest.raises(error) as caught:
        asyncio.run(project.runner().upgrade())
    return str(caught.value)


def test_a_creator_is_refused_before_it_connects(pg_project: Project) -> None:
    """It could lead anywhere."""
    creator = "create_engine('postgresql+psycopg://', creator=lambda: 1 / 0)"
    env = SYNC.replace('create_engine(URL.replace("asyncpg", "psycopg"))', creator)
    said = refused(pg_project, env, RedirectRefused)

    assert "makes its connections itself (creator=" in said


def test_another_product_is_refused(pg_project: Project) -> None:
    """A migration for PostgreSQL says nothing about MySQL."""
    env = SYNC.replace('URL.replace("asyncpg", "psycopg")', "'mysql+pymysql://x@y/z'")
    said = refused(pg_project, env, RedirectRefused)

    assert "env.py connects to mysql, but the test database is postgresql" in said
    assert "--asyncdb=mysql" in said


FAILURES: Final = {
    "raise ValueError('no settings')": "env.py raised ValueError: no settings",
    "import sys; sys.exit(3)": "env.py called sys.exit(3)",
    "pass": "has ended without running migrations",
    "input('sure?')": "asks for input, and nobody is there to answer",
    "import missing_module": "No module named 'missing_module'",
}


@pytest.mark.parametrize("env", FAILURES)
def test_an_env_py_that_does_not_run_is_told(pg_project: Project, env: str) -> None:
    """In one line, with its path."""
    said = refused(pg_project, env, EnvironmentFailed)

    assert FAILURES[env] in said
    assert "env.py" in said


def test_it_is_told_the_same_from_a_process_of_its_own(project: Project) -> None:
    """There it is asked which tables it knows; the frames are nobody's."""
    project.env("raise ValueError('no models')")
    with pytest.raises(EnvironmentFailed) as caught:
        project.runner().unknown_tables(MetaData())

    assert str(caught.value).endswith("env.py raised ValueError: no models")
    assert "\n" not in str(caught.value)


def test_an_engine_that_is_left_open_keeps_nothing(pg_project: Project) -> None:
    """The database can be dropped afterwards."""
    env = SYNC.replace(
        "with engine.connect() as connection",
        "connection = engine.connect()\n    if True",
    )
    pg_project.env(env)
    pg_project.revision("a1", TABLE, "DROP TABLE one")
    asyncio.run(pg_project.runner().upgrade())
    pg_project.database.replace()


def test_a_failing_migration_is_told_with_its_statement(project: Project) -> None:
    """And with the revision."""
    project.revision("a1", "DROP TABLE missing")
    with pytest.raises(RevisionFailed) as caught:
        asyncio.run(project.runner().upgrade())

    assert "upgrade() of a1 raised" in str(caught.value)
    assert "the statement was: DROP TABLE missing" in str(caught.value)


def test_an_extension_that_is_missing_is_named(pg_project: Project) -> None:
    """The embedded server has no contrib extensions."""
    pg_project.revision("a1", "CREATE EXTENSION pg_nothing")
    with pytest.raises(RevisionFailed) as caught:
        asyncio.run(pg_project.runner().upgrade())

    assert "a1 needs the extension pg_nothing" in str(caught.value)
    assert "--asyncdb=postgresql@local" in str(caught.value)


SECOND: Final = """
from sqlalchemy import create_engine, text
engine = create_engine("{}")
op.execute("ALTER TABLE one ADD n INTEGER")
with engine.connect() as other:
    other.execute(text("DROP TABLE one"))
"""


def test_a_migration_that_waits_for_itself_is_found(pg_project: Project) -> None:
    """Within seconds, with both statements."""
    pg_project.revision("a1", TABLE, "DROP TABLE one")
    url = "postgresql+psycopg://app@db.invalid/production"
    pg_project.revision("a2", SECOND.format(url))
    asyncio.run(pg_project.runner().upgrade("a1"))
    with pytest.raises(RevisionFailed) as caught:
        asyncio.run(pg_project.runner().upgrade())

    assert "a2 has waited for a lock that it holds itself" in str(caught.value)
    assert "waits: DROP TABLE one" in str(caught.value)
    assert "holds: ALTER TABLE one ADD n INTEGER" in str(caught.value)


def test_a_revision_file_with_a_syntax_error_is_named(project: Project) -> None:
    """With the line."""
    project.write("migrations/versions/a1.py", "revision = 'a1'\ndown_revision = (\n")
    with pytest.raises(HistoryRefused) as caught:
        asyncio.run(project.runner().upgrade())

    assert "a1.py, line 2: '(' was never closed" in str(caught.value)
