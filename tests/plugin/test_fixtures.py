"""What the fixtures give, to async and to sync tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

BOTH = pytest.mark.parametrize("database", ["sqlite", "postgresql"])


@BOTH
def test_each_test_finds_the_schema_and_no_row_of_another(
    project: Project, database: str
) -> None:
    """A committed row is there for the test that wrote it only."""
    project.test(
        """
        @pytest.mark.parametrize("turn", range(3))
        async def test_write(db_session, turn):
            db_session.add(User(name="ann"))
            await db_session.commit()
            assert ["ann"] == list(await db_session.scalars(select(User.name)))
        """
    )

    result = project.run(f"--asyncdb={database}")

    result.assert_outcomes(passed=3)


@BOTH
def test_all_fixtures_share_the_transaction_of_the_test(
    project: Project, database: str
) -> None:
    """Session, sessionmaker, engine, sync session and db_run see the same rows."""
    project.test(
        """
        def test_sync(db_session, db_sessionmaker, db_engine, db_sync_session, db_run):
            db_sync_session.add(User(name="sync"))
            db_sync_session.commit()

            async def work(name):
                async with db_sessionmaker() as session, session.begin():
                    session.add(User(name=name))
                async with db_engine.begin() as connection:
                    await connection.execute(insert(User).values(name="core"))
                return await db_session.scalar(COUNT)

            assert 3 == db_run(work, "made")
            assert 3 == db_sync_session.scalar(COUNT)

        async def test_nothing_is_left(db_session):
            assert 0 == await db_session.scalar(COUNT)
        """
    )

    result = project.run(f"--asyncdb={database}")

    result.assert_outcomes(passed=2)


def test_db_run_that_is_given_a_coroutine_says_what_it_takes(project: Project) -> None:
    """The call that one writes first; nothing is said of a coroutine never awaited."""
    project.test(
        """
        async def count(session):
            return await session.scalar(COUNT)

        @pytest.mark.filterwarnings("error")
        def test_it(db_session, db_run):
            db_run(count(db_session))
        """
    )

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*db_run was given the coroutine that count() made*",
            "*give it the function and its arguments: db_run(count, ...)*",
        ]
    )
    result.stdout.no_fnmatch_line("*never awaited*")


@pytest.mark.parametrize("workers", [(), ("-pxdist", "-n1")])
def test_a_coroutine_that_a_test_does_not_await_is_told(
    project: Project, workers: tuple[str, ...]
) -> None:
    """Such a test passes, and nothing of what it says has happened."""
    project.test(
        """
        def test_sync(db_session):
            db_session.add(User(name="ann"))
            db_session.commit()
            db_session.commit()

        async def test_async(db_session):
            await db_session.commit()

        async def test_other(db_session):
            async def rest(): pass
            rest()
        """
    )

    result = project.run(*workers)

    result.assert_outcomes(passed=3, warnings=3)
    lines = [line for line in result.outlines if "did not await" in line]
    assert 1 == len(lines)
    assert "test_it.py::test_sync did not await AsyncSession.commit, " in lines[0]
    assert lines[0].endswith("in a sync test ask for db_sync_session, or db_run")


def test_objects_of_db_session_can_be_read_after_commit(project: Project) -> None:
    """db_session and db_sync_session do not expire what they committed."""
    project.test(
        """
        async def test_async(db_session):
            user = User(name="ann")
            db_session.add(user)
            await db_session.commit()
            assert "ann" == user.name

        def test_sync(db_sync_session):
            user = User(name="ann")
            db_sync_session.add(user)
            db_sync_session.commit()
            assert "name" in user.__dict__
        """
    )

    result = project.run()

    result.assert_outcomes(passed=2)


def test_asyncdb_tells_what_the_run_is_on(project: Project) -> None:
    """The fixture asyncdb names product, version, source, URL and capabilities."""
    project.test(
        """
        import sqlite3
        from pytest_asyncdb import Capability, RunDatabase

        @pytest.fixture(scope="session")
        def wide(asyncdb):
            return asyncdb.product

        def test_it(asyncdb: RunDatabase, wide):
            assert "sqlite" == wide == asyncdb.product
            assert "memory" == asyncdb.source
            assert sqlite3.sqlite_version_info == asyncdb.version
            assert "sqlite+aiosqlite" == asyncdb.url.drivername
            assert "sandbox" == asyncdb.isolation
            assert Capability.SAVEPOINT in asyncdb.capabilities
            assert "<asyncdb: sqlite, source memory>" == repr(asyncdb)
        """
    )

    result = project.run()

    result.assert_outcomes(passed=1)


def test_a_fixture_of_ours_may_be_asked_for_late(project: Project) -> None:
    """request.getfixturevalue("db_session") isolates the test as well."""
    project.test(
        """
        def test_late(request):
            session = request.getfixturevalue("db_sync_session")
            session.add(User(name="ann"))
            session.commit()

        def test_nothing_is_left(db_sync_session):
            assert [] == list(db_sync_session.scalars(select(User)))
        """
    )

    result = project.run()

    result.assert_outcomes(passed=2)


def test_unittest_and_class_based_tests_are_isolated(project: Project) -> None:
    """A fixture used by mark, or autouse in a class, is enough."""
    project.test(
        """
        import unittest

        class TestUnit(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def session(self, db_sync_session):
                self.session = db_sync_session

            def test_a(self):
                self.session.add(User(name="ann"))
                self.session.commit()

            def test_b(self):
                self.assertEqual([], list(self.session.scalars(select(User))))
        """
    )

    result = project.run()

    result.assert_outcomes(passed=2)


def test_a_project_may_wrap_our_session(project: Project) -> None:
    """A db_session that asks for ours gets it, and the test is isolated."""
    project.test(
        """
        @pytest.fixture
        async def client(db_engine):
            return db_engine

        @pytest.fixture
        async def db_session(db_session):
            db_session.add(User(name="first"))
            await db_session.commit()
            return db_session

        @pytest.mark.parametrize("turn", range(2))
        async def test_it(client, db_session, turn):
            assert ["first"] == list(await db_session.scalars(select(User.name)))
        """
    )

    result = project.run()

    result.assert_outcomes(passed=2)


def test_a_project_may_replace_our_session(project: Project) -> None:
    """A db_session that does not ask for ours is the project's own affair."""
    project.write(
        "conftest",
        """
        import pytest

        @pytest.fixture
        def db_session():
            return "theirs"

        @pytest.fixture
        def db_engine(db_session):
            return db_session
        """,
    )
    project.test(
        """
        import sys

        def test_it(db_session, db_engine):
            assert "theirs" == db_session == db_engine
            assert "pytest_asyncdb.isolation" not in sys.modules

        async def test_ours_does_not_receive_theirs(db_session, db_sessionmaker):
            async with db_sessionmaker() as session:
                assert 1 == await session.scalar(text("SELECT 1"))
        """
    )

    result = project.run()

    result.assert_outcomes(passed=2)
