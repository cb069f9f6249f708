"""The fixture `db_concurrency`: transactions side by side in a project's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_LANES = """
    async def test_it(db_session, db_concurrency):
        db_session.add(User(id=1, name="ann"))
        await db_session.commit()
        async with db_concurrency.lanes(2) as (t1, t2):
            await t1.execute("UPDATE users SET name = 'bob'")
            step = t2.start("UPDATE users SET name = 'cid'")
            assert step.blocked_by == {t1}
            await t1.commit()
            await step
            await t2.commit()
        assert "cid" == await db_session.scalar(select(User.name))

    async def test_nothing_stays(db_session):
        assert 0 == await db_session.scalar(COUNT)
"""


@pytest.mark.parametrize("word", ["sqlite", "sqlite@file", "postgresql@embedded"])
def test_lanes_commit_and_the_test_is_undone(project: Project, word: str) -> None:
    """Nothing has to be said of the isolation, and the next test finds nothing."""
    project.test(_LANES)

    result = project.run(f"--asyncdb={word}", "-p", "no:randomly")

    result.assert_outcomes(passed=2)


def test_lanes_work_in_a_database_of_their_own(project: Project) -> None:
    """Each test on its clone commits for real as well."""
    project.test(_LANES)

    result = project.run("--asyncdb-isolation=database")

    result.assert_outcomes(passed=2)


def test_a_sandbox_with_lanes_is_refused_at_collection(project: Project) -> None:
    """One transaction cannot stand beside itself."""
    project.test(
        """
        @pytest.mark.asyncdb(isolation="sandbox")
        async def test_it(db_concurrency):
            pass
        """
    )

    result = project.run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ['*isolation="sandbox" puts all sessions into one transaction*', "*leave*out*"]
    )


def test_a_fixture_that_comes_too_late_is_refused(project: Project) -> None:
    """The sandbox is open by then."""
    project.test(
        """
        def test_it(db_session, request):
            request.getfixturevalue("db_concurrency")
        """
    )

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*among the arguments of the test*"])


def test_an_audit_leaves_tests_of_concurrency_alone(project: Project) -> None:
    """They commit for real in any case, so there is nothing to compare."""
    project.test(_LANES)

    result = project.run("--asyncdb-audit")

    result.assert_outcomes(passed=3)


_COPIED = """
    async def take(db_sessionmaker):
        async with db_sessionmaker() as session:
            user = await session.get(User, 1)
            user.name += "!"
            await session.commit()

    async def test_it(db_session, db_sessionmaker, db_concurrency):
        db_session.add(User(id=1, name="ann"))
        await db_session.commit()
        await db_concurrency.explore(
            a=lambda: take(db_sessionmaker), b=lambda: take(db_sessionmaker)
        )
"""


def test_a_failing_schedule_is_drawn_where_the_user_wants_it(project: Project) -> None:
    """As a file by the test's name, which is told with the failure."""
    project.test(_COPIED)

    result = project.run("--asyncdb-diagrams=pictures", "--asyncdb=postgresql@embedded")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*lost update*", "*diagram: *pictures*test_it.svg"])
    (drawn,) = (project.path / "pictures").iterdir()
    assert "test_it.py_test_it.svg" == drawn.name
    assert "lost update" in drawn.read_text(encoding="utf-8")


def test_lanes_that_fail_are_drawn_too(project: Project) -> None:
    """The folder may be named in the ini file, and is made."""
    project.ini(asyncdb_diagrams="a/b")
    project.test(
        """
        async def test_it(db_concurrency):
            async with db_concurrency.lanes(1) as (t1,):
                await t1.execute("SELECT 7")
                assert False
        """
    )

    project.run().assert_outcomes(failed=1)
    drawn = project.path / "a" / "b" / "test_it.py_test_it.svg"
    assert "SELECT 7" in drawn.read_text(encoding="utf-8")


def test_nothing_is_drawn_unless_somebody_asks(project: Project) -> None:
    """The failure alone shows it, as text."""
    project.test(_COPIED)
    project.run("--asyncdb=postgresql@embedded").assert_outcomes(failed=1)

    assert [] == list(project.path.rglob("*.svg"))
