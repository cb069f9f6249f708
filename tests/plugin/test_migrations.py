"""Migrations in a run of pytest: the fixture, the checks as items, the template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.plugin.conftest import PLUGINS

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

ENV: Final = """
    import asyncio
    import os
    from alembic import context
    from models import Base
    from sqlalchemy.ext.asyncio import create_async_engine

    def run(connection):
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            context.run_migrations()

    async def main():
        engine = create_async_engine("sqlite+aiosqlite:////nowhere/production.db")
        async with engine.connect() as connection:
            await connection.run_sync(run)

    if context.is_offline_mode():
        context.configure(dialect_name="sqlite", literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
    else:
        asyncio.run(main())
"""
USERS: Final = '''
    """Users"""
    import sqlalchemy as sa
    from alembic import op

    revision, down_revision = "a1", None

    def upgrade():
        op.create_table(
            "users",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("name", sa.String, nullable=False, unique=True),
        )

    def downgrade():
        op.drop_table("users")
'''
VIEW: Final = '''
    """Names"""
    from alembic import op

    revision, down_revision = "a2", "a1"

    def upgrade():
        op.execute("CREATE VIEW names AS SELECT name FROM users")

    def downgrade():
        op.execute("DROP VIEW names")
'''
BROKEN: Final = VIEW.replace('op.execute("DROP VIEW names")', "pass")
OPTION: Final = "--asyncdb-migrations"
CHECKS: Final = 11
"""Of a project with two revisions: seven, and one for each of them."""


@pytest.fixture
def migrated(project: Project) -> Project:
    """A project with two revisions, and models like them."""
    ini = "[alembic]\nscript_location = %(here)s/migrations\npath_separator = os\n"
    (project.path / "alembic.ini").write_text(ini + "prepend_sys_path = %(here)s\n")
    project.write("migrations/env", ENV)
    project.write("migrations/versions/a1", USERS)
    project.write("migrations/versions/a2", VIEW)
    project.ini(asyncdb_alembic_config="alembic.ini", pythonpath=".")
    return project


def test_the_checks_are_items_of_the_run(migrated: Project) -> None:
    """One for each revision, and a table of them in the summary."""
    result = migrated.run("-v", OPTION)

    result.assert_outcomes(passed=CHECKS)
    result.stdout.fnmatch_lines(
        [
            "*::test_revision_goes_up_down_and_up[[]a1-users] PASSED*",
            "*::test_revision_goes_up_down_and_up[[]a2-names] PASSED*",
            "asyncdb: 2 revisions on sqlite",
            "*revision*message*up ms*down ms*findings*",
            "*a2*Names*",
        ]
    )


def test_an_ini_value_asks_for_them_too(migrated: Project) -> None:
    """Then each run has them."""
    migrated.ini(asyncdb_migrations="true", pythonpath=".")

    migrated.run().assert_outcomes(passed=CHECKS)


def test_without_being_asked_for_there_are_none(migrated: Project) -> None:
    """Even where migrations are configured."""
    migrated.test("def test_it(): pass")

    migrated.run().assert_outcomes(passed=1)


def test_a_revision_may_be_chosen(migrated: Project) -> None:
    """By its identifier, or by its message."""
    pytest.importorskip("alembic")
    result = migrated.run(OPTION, "-k", "a2-names")

    result.assert_outcomes(passed=2, deselected=CHECKS - 2)


def test_a_finding_is_told_once_and_without_our_frames(migrated: Project) -> None:
    """At the revision that it is of; the last failed run again alone."""
    migrated.write("migrations/versions/a2", BROKEN)
    result = migrated.run(OPTION)

    result.assert_outcomes(passed=CHECKS - 2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "ChecksFailed: up, down and up again is not what it should be",
            "downgrade() of a2 (Names) does nothing, so what upgrade() does stays;*",
            "  + *view names*",
            "*downgrade() of a2 lacks: DROP VIEW names",
        ]
    )
    result.stdout.no_fnmatch_line("*checks.py:*")
    migrated.run(OPTION, "--lf", "-pcacheprovider").assert_outcomes(
        failed=2, deselected=CHECKS - 2
    )


def test_workers_share_the_checks(migrated: Project) -> None:
    """Each walks for itself, or one for all with --dist loadgroup."""
    for options in (["-n2"], ["-n2", "--dist=loadgroup"]):
        result = migrated.run(OPTION, *options, plugins=(*PLUGINS, "xdist"))

        result.assert_outcomes(passed=CHECKS)
        result.stdout.fnmatch_lines(["asyncdb: 2 revisions on sqlite"])


def test_no_plugin_for_async_tests_is_needed(migrated: Project) -> None:
    """The checks are ordinary tests."""
    migrated.run(OPTION, plugins=("asyncdb",)).assert_outcomes(passed=CHECKS)


def test_a_module_may_import_the_checks(migrated: Project) -> None:
    """And has the same ones."""
    migrated.test("from pytest_asyncdb.migrations.checks import *")

    migrated.run().assert_outcomes(passed=CHECKS, skipped=2)


def test_the_models_are_compared(migrated: Project) -> None:
    """With the operations that Alembic would write."""
    (migrated.path / "migrations" / "versions" / "a2.py").unlink()
    source = (migrated.path / "models.py").read_text()
    (migrated.path / "models.py").write_text(f"{source}    age: Mapped[int]\n")
    result = migrated.run(OPTION, "-k", "models_equal")

    result.assert_outcomes(failed=1, deselected=CHECKS - 3)
    result.stdout.fnmatch_lines(
        [
            "ChecksFailed: the models are not what the migrations make",
            "+ ALTER TABLE users ADD COLUMN age integer NOT NULL",
            "alembic revision --autogenerate would write:",
            "*op.add_column('users', sa.Column('age', sa.Integer(), nullable=False))",
        ]
    )


def test_a_test_steps_through_migrations(migrated: Project) -> None:
    """On a database of its own, beside the one of its session."""
    migrated.test(
        """
        async def test_rows_of_before(db_migrations, db_session):
            await db_migrations.upgrade("a1")
            async with db_migrations.engine.begin() as connection:
                await connection.execute(text("INSERT INTO users VALUES (1, 'ann')"))
            await db_migrations.upgrade("+1")
            async with db_migrations.engine.connect() as connection:
                assert "ann" == await connection.scalar(text("SELECT * FROM names"))
            assert "a2" == await db_migrations.current()
            assert 0 == await db_session.scalar(COUNT)

        async def test_it_is_empty_again(db_migrations):
            assert None is await db_migrations.current()
            assert [] == list((await db_migrations.snapshot()).names("table"))
        """
    )

    migrated.run().assert_outcomes(passed=2)


def test_a_sync_test_uses_db_run(migrated: Project) -> None:
    """As for every coroutine function."""
    migrated.test(
        """
        def test_it(db_migrations, db_run):
            db_run(db_migrations.upgrade, "head")
            assert "a2" == db_run(db_migrations.current)
        """
    )

    migrated.run().assert_outcomes(passed=1)


def test_the_template_is_built_by_the_migrations(migrated: Project) -> None:
    """With all that models do not have, such as a view."""
    migrated.test(
        """
        async def test_it(db_session):
            db_session.add(User(name="ann"))
            await db_session.commit()
            assert "ann" == await db_session.scalar(text("SELECT name FROM names"))
        """
    )

    migrated.run().assert_outcomes(passed=1)


def test_another_file_is_another_template(migrated: Project) -> None:
    """Its key is the hash of the migrations' files."""
    migrated.test(
        """
        def test_it(asyncdb_schema, pytestconfig):
            before = asyncdb_schema.material("postgresql+asyncpg")
            file = pytestconfig.rootpath / "migrations" / "versions" / "a2.py"
            file.write_text(file.read_text() + "# more")
            assert before != asyncdb_schema.material("postgresql+asyncpg")
        """
    )

    migrated.run().assert_outcomes(passed=1)


def test_a_fixture_may_give_the_configuration(migrated: Project) -> None:
    """Then one item is for all revisions: it is not known while they are collected."""
    migrated.ini(pythonpath=".")
    (migrated.path / "alembic.ini").rename(migrated.path / "other.ini")
    migrated.write(
        "conftest",
        """
        import pytest
        from alembic.config import Config

        @pytest.fixture(scope="session")
        def asyncdb_alembic_config(pytestconfig):
            return Config(pytestconfig.rootpath / "other.ini")
        """,
    )

    migrated.run(OPTION).assert_outcomes(passed=CHECKS - 4, skipped=2)


def test_a_revision_without_a_way_back_is_a_skip(migrated: Project) -> None:
    """With the reason that it gives."""
    migrated.write(
        "migrations/versions/a2", BROKEN + "\n    asyncdb_irreversible = 'x'"
    )
    result = migrated.run(OPTION, "-rs")

    result.assert_outcomes(passed=CHECKS - 2, skipped=2)
    result.stdout.fnmatch_lines(["*irreversible: x", "*no way back from a2"])


MISTAKES: Final = {
    "alembik.ini": ["*there is no file alembik.ini*", "*did you mean alembic.ini?*"],
    "alembic.ini:main": ["*has no section [[]main]*", "*there is [[]alembic]*"],
}


@pytest.mark.parametrize("path", MISTAKES)
def test_a_wrong_path_is_told(migrated: Project, path: str) -> None:
    """With those that there are."""
    migrated.ini(asyncdb_alembic_config=path, pythonpath=".")
    result = migrated.run(OPTION, "-k", "well_formed")

    result.assert_outcomes(errors=1, deselected=CHECKS - 3)
    result.stdout.fnmatch_lines(MISTAKES[path])


def test_a_migration_that_fails_is_told_by_the_check(migrated: Project) -> None:
    """Though the database of the run cannot be made then."""
    view = "VIEW names AS SELECT name FROM users"
    broken = VIEW.replace(view, "INDEX i ON missing (name)")
    migrated.write("migrations/versions/a2", broken)
    result = migrated.run(OPTION, "-k", "users or names or empty")

    result.assert_outcomes(failed=2, passed=2, skipped=1, deselected=CHECKS - 5)
    result.stdout.fnmatch_lines(["upgrade() of a2 raised *no such table: main.missing"])


def test_nothing_said_is_told_too(project: Project) -> None:
    """There is no alembic.ini either."""
    project.test("def test_it(db_migrations): pass")
    result = project.run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*nothing says where the migrations are*"])


def test_a_file_with_a_syntax_error_fails_the_checks(migrated: Project) -> None:
    """It is named, and the rest of the run goes on."""
    (migrated.path / "migrations" / "versions" / "a2.py").write_text("def (\n")
    migrated.test("def test_it(): pass")
    result = migrated.run(OPTION, "-k", "well_formed or test_it")

    result.assert_outcomes(failed=1, passed=1, deselected=CHECKS - 3)
    result.stdout.fnmatch_lines(["*a2.py, line 1: invalid syntax*"])


def test_locks_are_a_warning_or_a_failure_where_they_are_asked_for(
    migrated: Project,
) -> None:
    """One item for each revision; on SQLite nothing is observed."""
    for mode in ("warn", "fail"):
        result = migrated.run(OPTION, f"-oasyncdb_migration_locks={mode}")

        result.assert_outcomes(passed=CHECKS, skipped=2)
    migrated.run(OPTION, "-oasyncdb_migration_locks=loud").stderr.fnmatch_lines(
        ["*asyncdb_migration_locks is 'loud'*"]
    )


def test_migrations_build_the_databases_of_a_comparison(migrated: Project) -> None:
    """While a test runs, on a product that is not the run's, where env.py finds it."""
    url = '"sqlite+aiosqlite:////nowhere/production.db"'
    migrated.write("migrations/env", ENV.replace(url, 'os.environ["OUR_URL"]'))
    ini = {"asyncdb_alembic_config": "alembic.ini", "asyncdb_env": "OUR_URL"}
    migrated.ini(**ini, pythonpath=".")
    migrated.test(
        """
        import os
        from pytest_asyncdb.strategies import compare_backends

        async def names(session):
            session.add(User(name="ann"))
            await session.commit()
            return [*await session.scalars(text("SELECT name FROM names"))]

        async def test_it(db_session):
            on = ("sqlite", "postgresql")
            assert ["ann"] == await compare_backends(names, on=on)
            assert os.environ["OUR_URL"].startswith("sqlite")
        """
    )
    result = migrated.run()

    result.assert_outcomes(passed=1)
