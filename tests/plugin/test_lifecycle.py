"""When isolation begins and ends, and what is said of what a test left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

APPLICATION: Final = """
    from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

    engine = create_async_engine("sqlite+aiosqlite:///must-not-be-made.db")
    sessions = async_sessionmaker(engine, expire_on_commit=False)
"""


def test_a_fixture_that_is_set_up_first_is_torn_down_inside_of_the_isolation(
    project: Project,
) -> None:
    """A client made before db_session writes at its end, and that row vanishes too."""
    project.write("app", APPLICATION)
    project.test(
        """
        from app import sessions

        @pytest.fixture
        async def client():
            async with sessions.begin() as session:
                session.add(User(name="start"))
            yield
            async with sessions.begin() as session:
                assert 2 == await session.scalar(COUNT)
                session.add(User(name="end"))

        @pytest.mark.parametrize("turn", range(2))
        async def test_it(client, db_session, turn):
            assert 1 == await db_session.scalar(COUNT)
            db_session.add(User(name="test"))
            await db_session.commit()
        """
    )

    result = project.run()

    result.assert_outcomes(passed=2)
    assert not (project.path / "must-not-be-made.db").exists()


def test_a_wider_fixture_reads_what_the_seed_put_there(project: Project) -> None:
    """Set-up and tear-down of a session's fixture see the database outside tests."""
    project.ini(asyncio_default_fixture_loop_scope="session")
    project.write("app", APPLICATION)
    project.test(
        """
        from app import sessions

        @pytest.fixture(scope="session")
        async def lifespan():
            async with sessions() as session:
                assert 0 == await session.scalar(COUNT)
            yield
            async with sessions() as session:
                assert 0 == await session.scalar(COUNT)

        @pytest.mark.parametrize("turn", range(2))
        async def test_it(lifespan, db_session, turn):
            assert 0 == await db_session.scalar(COUNT)
            db_session.add(User(name="test"))
            await db_session.commit()
        """
    )

    result = project.run()

    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("scope", ["class", "module", "session"])
@pytest.mark.parametrize("moment", ["set-up", "tear-down"])
def test_a_wider_fixture_that_writes_is_refused(
    project: Project, scope: str, moment: str
) -> None:
    """The error names the fixture and asyncdb_seed, at set-up and at tear-down."""
    project.ini(asyncio_default_fixture_loop_scope=scope)
    project.write("app", APPLICATION)
    project.test(
        f"""
        from app import sessions

        async def write():
            async with sessions.begin() as session:
                session.add(User(name="wide"))

        @pytest.fixture(scope="{scope}")
        async def wide():
            if {moment == "set-up"}:
                await write()
            yield
            if {moment == "tear-down"}:
                await write()

        class TestIt:
            async def test_it(self, wide, db_session):
                pass
        """
    )

    result = project.run()

    outcomes = {"errors": 1} if moment == "set-up" else {"passed": 1, "errors": 1}
    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines_random(["*WriteOutsideTest*", "*asyncdb_seed*"])
    result.stdout.fnmatch_lines(f"*the {scope}-scoped fixture wide*")
    result.stdout.fnmatch_lines("*test_it.py:*")


@pytest.mark.parametrize(
    ("leaks", "outcomes"),
    [
        ("warn", {"passed": 2, "warnings": 1}),
        ("fail", {"passed": 2, "errors": 1}),
        ("ignore", {"passed": 2, "warnings": 0}),
    ],
)
def test_a_session_that_was_left_open_is_a_finding_of_its_test(
    project: Project, leaks: str, outcomes: dict[str, int]
) -> None:
    """asyncdb_leaks says whether it warns, fails or says nothing; it has a place."""
    project.ini(asyncdb_leaks=leaks)
    project.test(
        """
        kept = []

        async def test_leaves(db_sessionmaker):
            session = db_sessionmaker()
            await session.execute(select(User))
            kept.append(session)

        async def test_next(db_session):
            await db_session.execute(select(User))
        """
    )

    result = project.run()

    result.assert_outcomes(**outcomes)
    if leaks != "ignore":
        result.stdout.fnmatch_lines_random(["*test_leaves*", "*test_it.py*"])


def test_a_test_that_failed_shows_its_own_failure_and_the_finding(
    project: Project,
) -> None:
    """A finding neither hides a failure nor an error of a finaliser."""
    project.ini(asyncdb_leaks="fail")
    project.test(
        """
        kept = []

        @pytest.fixture
        def breaks():
            yield
            raise RuntimeError("of the finaliser")

        async def test_it(db_sessionmaker, breaks):
            session = db_sessionmaker()
            await session.execute(select(User))
            kept.append(session)
            raise ValueError("of the test")
        """
    )

    result = project.run()

    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines_random(
        [
            "*ValueError: of the test*",
            "*RuntimeError: of the finaliser*",
            "*left behind*",
        ]
    )


def test_what_threatens_the_next_test_fails_whatever_the_setting(
    project: Project,
) -> None:
    """A transaction ended behind our back fails the test, even if it is swallowed."""
    project.ini(asyncdb_leaks="ignore")
    project.write(
        "conftest",
        """
        import pytest
        from sqlalchemy import text

        @pytest.fixture(scope="session")
        def asyncdb_schema():
            async def build(connection):
                await connection.execute(
                    text("CREATE TABLE t (x int UNIQUE ON CONFLICT ROLLBACK)")
                )
            return build
        """,
    )
    project.test(
        """
        async def test_breaks(db_session):
            await db_session.execute(text("INSERT INTO t VALUES (1)"))
            try:
                await db_session.execute(text("INSERT INTO t VALUES (1)"))
            except Exception:
                pass

        async def test_next(db_session):
            assert [] == list(await db_session.execute(text("SELECT * FROM t")))
        """
    )

    result = project.run()

    assert 1 == result.parseoutcomes().get("errors", 0) + result.parseoutcomes().get(
        "failed", 0
    )
    result.stdout.fnmatch_lines("*test_breaks*")


def test_ctrl_c_ends_the_run_and_nothing_hides_it(project: Project) -> None:
    """An interrupt in the middle of a test stays one, whatever was left open."""
    project.ini(asyncdb_leaks="fail")
    project.test(
        """
        kept = []

        async def test_it(db_sessionmaker):
            session = db_sessionmaker()
            await session.execute(select(User))
            kept.append(session)
            raise KeyboardInterrupt
        """
    )

    result = project.run("--asyncdb=postgresql")

    assert pytest.ExitCode.INTERRUPTED == result.ret
    result.stdout.fnmatch_lines("*KeyboardInterrupt*")
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_a_skipped_test_starts_no_database(project: Project) -> None:
    """Neither do marks of pytest's own that skip a test."""
    project.test(
        """
        @pytest.mark.skip
        async def test_skip(db_session):
            pass

        @pytest.mark.asyncdb(backends=["postgresql"])
        async def test_mark(db_session):
            pass
        """
    )

    result = project.run()

    result.assert_outcomes(skipped=2)
    result.stdout.no_fnmatch_line("asyncdb: *ready in*")


def test_a_failed_set_up_leaves_the_next_test_alone(project: Project) -> None:
    """An error of a fixture is rolled back like everything else."""
    project.test(
        """
        @pytest.fixture
        async def row(db_session):
            db_session.add(User(name="ann"))
            await db_session.commit()
            raise RuntimeError("set-up")

        async def test_error(row):
            pass

        async def test_next(db_session):
            assert [] == list(await db_session.scalars(select(User)))
        """
    )

    result = project.run()

    result.assert_outcomes(passed=1, errors=1)


UNREQUESTED: Final = """
    from sqlalchemy import create_engine

    def connect():
        engine = create_engine("sqlite:///theirs.db")
        with engine.connect():
            pass
        engine.dispose()

    def test_one():
        connect()

    def test_two():
        connect()

    def test_late(request):
        connect()

    def test_ours(db_sync_session):
        pass
"""


@pytest.mark.parametrize(
    ("setting", "outcomes"),
    [
        ("warn", {"passed": 4, "warnings": 1}),
        ("refuse", {"passed": 1, "failed": 3}),
        ("allow", {"passed": 4, "warnings": 0}),
    ],
)
def test_a_connection_of_a_test_that_asks_for_nothing_is_reported_once(
    project: Project, setting: str, outcomes: dict[str, int]
) -> None:
    """asyncdb_unrequested says whether it warns, refuses or allows."""
    project.ini(asyncdb_unrequested=setting)
    project.test(UNREQUESTED)

    result = project.run()

    result.assert_outcomes(**outcomes)
    if setting != "allow":
        result.stdout.fnmatch_lines_random(["*test_one*", "*ask for db_session*"])


def test_each_failed_test_that_asks_for_nothing_is_told_that_it_was_not_isolated(
    project: Project,
) -> None:
    """The run's one warning may have gone to another; a test that passes says none."""
    project.write(
        "app",
        """
        import os
        from sqlalchemy.ext.asyncio import create_async_engine
        engine = create_async_engine(os.environ["DATABASE_URL"])
        """,
    )
    project.ini(asyncdb_env="DATABASE_URL", asyncdb="sqlite@file")
    project.test(
        """
        from app import engine

        async def add():
            async with engine.begin() as connection:
                await connection.execute(insert(User).values(name="ann"))
            await engine.dispose()

        async def test_0(db_session): pass
        async def test_1(): await add()
        async def test_2(): await add()
        async def test_3(): assert 0
        """
    )

    result = project.run()

    result.assert_outcomes(passed=2, failed=2, warnings=1)
    report = result.stdout.str()
    assert 1 == report.count("test_2 opened a database connection")
    assert 0 == report.count("test_3 opened a database connection")
    result.stdout.fnmatch_lines(["*- asyncdb -*", "*test_2 opened*", "*ask for db_*"])


def test_a_project_that_configures_nothing_may_connect_as_it_likes(
    project: Project,
) -> None:
    """Nothing configured: a test that asks for nothing is none of our business."""
    project.write("conftest", "")
    project.test(UNREQUESTED)

    result = project.run("-Werror")

    result.assert_outcomes(passed=4)
