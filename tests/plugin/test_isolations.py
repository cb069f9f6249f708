"""How a test is isolated: by its mark, by the run, and what others are told of it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_asyncdb import SettingRefused, isolation_strategy

if TYPE_CHECKING:
    from tests.plugin.conftest import Project


@pytest.mark.parametrize("isolation", ["sandbox", "commit", "database"])
def test_the_isolation_of_a_run_and_of_a_mark(project: Project, isolation: str) -> None:
    """A mark speaks for its test, the option for all others."""
    project.test(
        """
        async def test_it(db_session):
            assert 0 == await db_session.scalar(COUNT)
            db_session.add(User(name="ann"))
            await db_session.commit()

        @pytest.mark.asyncdb(isolation="sandbox")
        async def test_sandbox(db_session):
            await test_it(db_session)

        @pytest.mark.asyncdb(isolation="commit")
        async def test_commit(db_session):
            await test_it(db_session)

        @pytest.mark.asyncdb(isolation="database")
        async def test_database(db_session):
            await test_it(db_session)

        def test_sync(db_sync_session):
            db_sync_session.add(User(name="ann"))
            db_sync_session.commit()
            assert 1 == db_sync_session.scalar(COUNT)
        """
    )

    result = project.run(f"--asyncdb-isolation={isolation}")

    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines([f"asyncdb: sqlite *isolation {isolation}"])


def test_hooks_are_told_of_each_test(project: Project) -> None:
    """Before its fixtures and after its end, once each, with what it left behind."""
    project.write(
        "conftest",
        """
        import pytest
        from models import Base

        @pytest.fixture(scope="session")
        def asyncdb_metadata():
            return Base.metadata

        def pytest_asyncdb_isolation_begin(item, isolation):
            print("begin", item.name, isolation)

        def pytest_asyncdb_isolation_end(item, isolation, findings):
            print("end", item.name, isolation, len(findings))
        """,
    )
    project.test(
        """
        async def test_clean(db_session):
            print("runs")

        @pytest.mark.asyncdb(isolation="commit")
        async def test_leak(db_engine, request):
            request.config.kept = await db_engine.connect()

        def test_other():
            pass
        """
    )

    result = project.run("-s", "-p", "no:warnings")

    result.stdout.fnmatch_lines(
        [
            "*begin test_clean sandbox",
            "runs",
            "*end test_clean sandbox 0",
            "*begin test_leak commit",
            "*end test_leak commit 1",
        ]
    )
    result.stdout.no_fnmatch_line("*test_other sandbox*")


def test_the_database_of_a_failed_test_stays_where_it_is_asked_for(
    project: Project,
) -> None:
    """And no other one."""
    project.test(
        """
        @pytest.mark.asyncdb(isolation="database")
        @pytest.mark.parametrize("fails", [False, True, False])
        async def test_it(db_session, fails):
            db_session.add(User(name="ann"))
            await db_session.commit()
            assert not fails
        """
    )

    result = project.run("--asyncdb-keep")
    kept = [line for line in result.outlines if line.startswith("asyncdb: kept")]

    result.assert_outcomes(passed=2, failed=1)
    assert 1 == len(kept)
    shutil.rmtree(Path(kept[0].partition("///")[2]).parent)


def test_a_failed_test_shows_what_it_had_changed(project: Project) -> None:
    """As rows, in a section of its report."""
    project.test(
        """
        async def test_it(db_session):
            db_session.add(User(name="ann"))
            await db_session.commit()
            assert False
        """
    )

    result = project.run("--asyncdb-show-changes")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*changes of the database*", "users", "  + {'id': 1, 'name': 'ann'}"]
    )


def test_changes_are_asserted_on(project: Project) -> None:
    """From fixtures too, and relative to the seed."""
    project.test(
        """
        @pytest.fixture(autouse=True)
        async def ann(db_session):
            db_session.add(User(name="ann"))
            await db_session.commit()

        async def test_it(db_session, db_changes):
            assert {"users": 1} == (await db_changes()).added
        """
    )

    result = project.run()

    result.assert_outcomes(passed=1)


def test_a_strategy_of_the_projects_own(project: Project) -> None:
    """Its tests commit on a database of theirs; what it cannot undo fails the test."""
    project.write(
        "conftest",
        """
        import pytest
        from models import Base
        from pytest_asyncdb import isolation_strategy
        from sqlalchemy import text

        @pytest.fixture(scope="session")
        def asyncdb_metadata():
            return Base.metadata

        @isolation_strategy("tidy")
        class Tidy:
            def begin(self, connection):
                connection.execute(text("INSERT INTO users (name) VALUES ('admin')"))

            def end(self, connection):
                connection.execute(text("DELETE FROM users WHERE name <> 'cid'"))
                if connection.scalar(text("SELECT count(*) FROM users")):
                    raise ValueError("cid stays")
        """,
    )
    project.test(
        """
        @pytest.mark.asyncdb(isolation="tidy")
        @pytest.mark.parametrize("name", ["ann", "cid", "bob"])
        async def test_it(db_session, db_sessionmaker, name):
            db_session.add(User(name=name))
            await db_session.commit()
            async with db_sessionmaker() as other:
                assert 2 == await other.scalar(COUNT)

        async def test_sandbox(db_session):
            assert 0 == await db_session.scalar(COUNT)
        """
    )

    result = project.run()

    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(
        ["*could not be undone by the isolation 'tidy': ValueError: cid stays"]
    )


def test_a_strategy_that_is_none() -> None:
    """Refused where it is written."""
    with pytest.raises(SettingRefused, match="a name that nobody else has"):
        isolation_strategy("commit")(_Tidy)
    with pytest.raises(SettingRefused, match=re.escape("a class with end(connection)")):
        isolation_strategy("untidy")(str)  # type: ignore[type-var]


class _Tidy:
    def end(self, connection: object) -> None: ...
