"""Header, summary, and errors as a reader sees them."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project


def test_header_and_summary_have_a_line_for_each_database(project: Project) -> None:
    """Planned at the start; what it came to be, and the time it took, at the end."""
    project.test(
        """
        def test_it(db_sync_session):
            db_sync_session.scalars(select(User)).all()
        """
    )

    result = project.run("--asyncdb=sqlite", "--asyncdb=postgresql:16@embedded")

    version = sqlite3.sqlite_version
    result.stdout.fnmatch_lines(
        [
            f"asyncdb: sqlite {version}, source memory, isolation sandbox",
            "asyncdb: postgresql 16, source embedded, isolation sandbox",
            f"asyncdb: sqlite {version}, source memory, ready in *.* s",
            "asyncdb: postgresql 16.*, source embedded, ready in *.* s",
        ]
    )


@pytest.mark.parametrize(
    ("url", "source"),
    [
        (
            "sqlite+aiosqlite:////x/a.db?timeout=9",
            "file of the run's own, in place of sqlite+aiosqlite:////x/a.db?timeout=9",
        ),
        ("sqlite+aiosqlite://", "memory"),
    ],
)
def test_the_header_names_no_file_that_is_not_opened(
    project: Project, url: str, source: str
) -> None:
    """SQLite's URL gives options; the file that it names stays what it is."""
    project.test("def test_it(db_sync_session, asyncdb): print(asyncdb.url)")

    result = project.run(f"--asyncdb={url}", "-s")

    result.assert_outcomes(passed=1)
    header = next(line for line in result.outlines if line.startswith("asyncdb: "))
    assert f", source {source}, isolation sandbox" in header


def test_workers_tell_the_controller_how_long_they_took(project: Project) -> None:
    """One line for a database, with a time for each worker."""
    project.test(
        """
        @pytest.mark.parametrize("turn", range(4))
        def test_it(db_sync_session, turn):
            db_sync_session.scalars(select(User)).all()
        """
    )

    result = project.run("-n2", plugins=("asyncdb", "asyncio", "xdist"))

    result.stdout.fnmatch_lines("asyncdb: sqlite *, ready in *gw* s, gw* s")


@pytest.mark.parametrize("options", [(), ("-q",), ("-n1",)])
def test_what_takes_long_is_said_while_it_does(
    project: Project, options: tuple[str, ...]
) -> None:
    """Past all capturing, and so in no test's output."""
    project.write(
        "slow",
        """
        import asyncio

        async def schema(connection):
            await asyncio.sleep(1.5)
        """,
    )
    project.ini(asyncdb_schema="slow:schema", pythonpath=".")
    project.test(
        """
        def test_it(db_sync_session):
            db_sync_session.execute(text("SELECT 1"))
            assert False
        """
    )

    result = project.run(
        "--asyncdb=postgresql", *options, plugins=("asyncdb", "asyncio", "xdist")
    )

    result.assert_outcomes(failed=1)
    progress, _, failures = result.stdout.str().partition("= FAILURES =")
    said = f"{result.stderr.str()}\n{progress}".splitlines()
    assert 1 == said.count("asyncdb: building the template database ...")
    assert "building the template" not in failures


def test_a_quiet_run_says_nothing(project: Project) -> None:
    """-q leaves header and summary out."""
    project.test("def test_it(db_sync_session): pass")

    result = project.run("-q")

    result.stdout.no_fnmatch_line("asyncdb: *")


@pytest.mark.parametrize("option", ["", "-v", "--showlocals", "-vv", "--full-trace"])
def test_no_output_shows_a_password(project: Project, option: str) -> None:
    """Neither header nor error, whatever is shown with it."""
    project.test("def test_it(db_sync_session, asyncdb): pass")
    url = "postgresql+asyncpg://app:s3cret@127.0.0.1:1/app?passfile=x&password=s3cret"

    result = project.run(f"--asyncdb={url}", *option.split())

    result.assert_outcomes(errors=1)
    output = result.stdout.str() + result.stderr.str()
    assert "app:***@127.0.0.1:1" in output
    assert "s3cret" not in output.replace(f"--asyncdb={url}", "")


def test_an_error_of_ours_in_a_test_shows_the_test_s_line_and_not_our_frames(
    project: Project,
) -> None:
    """Frames of the package and of SQLAlchemy are left out; --full-trace shows them."""
    project.test(
        """
        async def test_it(db_session):
            await db_session.execute(text("COMMIT"))
        """
    )

    result = project.run()
    full = project.run("--full-trace")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines('*await db_session.execute(text("COMMIT"))*')
    result.stdout.fnmatch_lines("*TransactionControlRefused*")
    result.stdout.no_fnmatch_line("*pytest_asyncdb/isolation*")
    result.stdout.no_fnmatch_line("*sqlalchemy/*")
    full.stdout.fnmatch_lines("*pytest_asyncdb/isolation*")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_an_error_of_the_database_shows_no_frames_of_ours(
    project: Project, database: str
) -> None:
    """Where it was sent, and what the driver said; `--full-trace` shows the rest."""
    project.test(
        """
        async def test_it(db_session):
            await db_session.execute(text("SELECT nothing FROM users"))
        """
    )

    shown = project.run(f"--asyncdb={database}").stdout.str()
    whole = project.run(f"--asyncdb={database}", "--full-trace").stdout.str()

    frame = "/pytest_asyncdb/isolation/"
    assert 'await db_session.execute(text("SELECT nothing FROM users"))' in shown
    assert "[SQL: SELECT nothing FROM users]" in shown
    assert frame not in shown
    assert frame in whole


def test_a_database_that_cannot_be_had_is_told_in_three_parts(project: Project) -> None:
    """Each test that needs it fails with the same text, and nothing longer."""
    project.test(
        """
        @pytest.mark.parametrize("turn", range(2))
        def test_it(db_sync_session, turn):
            pass
        """
    )

    result = project.run(
        "--asyncdb=postgresql+asyncpg://app@127.0.0.1:1/app", "--tb=short"
    )

    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*cannot be reached*", "*tried:*", "*what helps:*"])
    assert 45 > len(result.outlines)
