"""The mark asyncdb: what it asks for, and what it refuses at collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        ("backend=['sqlite']", "*got an unexpected keyword argument 'backend'*"),
        ("'sandbox'", "*too many positional arguments*"),
        ("isolation='none'", "*asyncdb(isolation=…) is 'none'*"),
        ("isolation='comit'", "*asyncdb(isolation=…) is 'comit'*"),
        ("backends=['oracle']", "*asyncdb(backends='oracle') is not known*"),
        ("backends=3", "*backends is 3, which is no list*"),
        ("requires=['magic']", "*asyncdb(requires='magic') is not known*"),
        ("capture='app'", "*a function(engine) -> bool, or a bool was expected*"),
    ],
)
def test_a_mark_that_cannot_be_meant_is_an_error_of_collection(
    project: Project, mark: str, says: str
) -> None:
    """The error names the test and what may be written."""
    project.test(
        f"""
        @pytest.mark.asyncdb({mark})
        def test_it():
            pass
        """
    )
    project.write("test_other", "def test_other(): pass")

    result = project.run("--continue-on-collection-errors")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR collecting test_it.py*", says, "*what helps:*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_test_that_the_database_cannot_serve_is_skipped_with_the_reason(
    project: Project,
) -> None:
    """backends= and requires= skip, on function, class and module, at the test."""
    project.test(
        """
        pytestmark = pytest.mark.asyncdb(requires=["savepoint"])

        @pytest.mark.asyncdb(backends=["postgresql"])
        async def test_product(db_session):
            raise AssertionError

        @pytest.mark.asyncdb(requires=["notify", "savepoint"])
        class TestCapabilities:
            async def test_it(self, db_session):
                raise AssertionError

            @pytest.mark.asyncdb(requires=[])
            async def test_nearest(self, db_session):
                pass

        @pytest.mark.asyncdb(backends="sqlite", isolation="sandbox")
        async def test_runs(db_session):
            pass
        """
    )

    result = project.run("-rs")

    result.assert_outcomes(passed=2, skipped=2)
    result.stdout.fnmatch_lines_random(
        [
            "SKIPPED [[]1] test_it.py:*for postgresql; this run is on sqlite*",
            "SKIPPED [[]1] test_it.py:*sqlite has no notify*",
        ]
    )


@pytest.mark.parametrize("where", ["module", "class", "function"])
def test_a_mark_alone_isolates_the_application_s_engines(
    project: Project, where: str
) -> None:
    """A test through the application needs no fixture of ours, only the mark."""
    mark = "@pytest.mark.asyncdb"
    project.test(
        f"""
        from sqlalchemy.ext.asyncio import create_async_engine

        {"pytestmark = pytest.mark.asyncdb" if where == "module" else ""}
        engine = create_async_engine("sqlite+aiosqlite:///must-not-be-made.db")

        {mark if where == "class" else ""}
        class TestIt:
            {mark if where == "function" else ""}
            @pytest.mark.parametrize("turn", range(2))
            async def test_it(self, turn):
                async with engine.begin() as connection:
                    await connection.execute(insert(User).values(name="ann"))
        """
    )

    result = project.run()

    result.assert_outcomes(passed=2)
    assert not (project.path / "must-not-be-made.db").exists()


@pytest.mark.parametrize("where", ["class", "method"])
def test_a_mark_isolates_a_test_of_unittest(project: Project, where: str) -> None:
    """On the class and on a method, of unittest.TestCase as of any other."""
    mark = "@pytest.mark.asyncdb(requires=['savepoint'])"
    project.test(
        f"""
        import unittest
        from sqlalchemy import create_engine

        engine = create_engine("sqlite:///must-not-be-made.db")

        {mark if where == "class" else ""}
        class TestIt(unittest.TestCase):
            {mark if where == "method" else ""}
            def test_it(self):
                with engine.begin() as connection:
                    connection.execute(insert(User).values(name="ann"))
        """
    )

    result = project.run()

    result.assert_outcomes(passed=1)
    assert not (project.path / "must-not-be-made.db").exists()


def test_the_mark_is_registered(project: Project) -> None:
    """--strict-markers knows it, and --markers describes it."""
    result = project.run("--markers")

    result.stdout.fnmatch_lines("@pytest.mark.asyncdb(isolation=, backends=*")
