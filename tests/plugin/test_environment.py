"""The run's URL in the application's environment variables."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

# An application whose settings are read at import, and read for good.
SETTINGS: Final = """
    import os
    from sqlalchemy.ext.asyncio import create_async_engine
    URL = os.environ["DATABASE_URL"]
    engine = create_async_engine(URL)
"""
CONFTEST: Final = """
    import pytest
    from app import URL
    from models import Base

    @pytest.fixture(scope="session")
    def asyncdb_metadata():
        return Base.metadata
"""
TESTS: Final = """
    from app import URL, engine

    @pytest.mark.parametrize("turn", range(4))
    async def test_it(asyncdb, db_session, turn):
        print("URL", URL)
        assert asyncdb.url.render_as_string(hide_password=False) == URL
        async with engine.begin() as connection:
            await connection.execute(insert(User).values(name="ann"))
        assert ["ann"] == list(await db_session.scalars(select(User.name)))
"""


@pytest.fixture
def application(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose application reads DATABASE_URL."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    project.write("app", SETTINGS)
    project.write("conftest", CONFTEST)
    project.test(TESTS)
    project.ini(asyncdb_env="DATABASE_URL")
    return project


@pytest.mark.parametrize("database", ["sqlite", "sqlite@file", "postgresql"])
def test_the_variable_holds_the_url_before_the_first_conftest_is_imported(
    application: Project, database: str
) -> None:
    """What the application reads at import is the run's database."""
    result = application.run(f"--asyncdb={database}")

    result.assert_outcomes(passed=4)


def test_the_driver_is_the_one_that_the_application_names(
    application: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL of the same product keeps its driver, and the run takes it too."""
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://app:secret@prod/app")

    result = application.run("--asyncdb=postgresql", "-s")

    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines("*URL postgresql+psycopg://*")
    assert "secret" not in result.stdout.str()


def test_a_url_without_driver_stays_without(
    application: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application that puts the driver in itself finds what it expects."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@prod/app")
    application.write(
        "app",
        SETTINGS.replace(
            'os.environ["DATABASE_URL"]',
            'os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")',
        ),
    )

    result = application.run("--asyncdb=postgresql")

    result.assert_outcomes(passed=4)


def test_a_url_of_another_product_gives_way_to_the_run_s(
    application: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application then runs on the run's product."""
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://app@prod/app")

    result = application.run("-s")

    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines("*URL sqlite+aiosqlite://*")


@pytest.mark.parametrize(
    ("first", "second"),
    [("sqlite", "postgresql"), ("postgresql+asyncpg", "postgresql+psycopg")],
)
def test_an_application_that_is_made_once_is_for_the_first_of_several_databases(
    application: Project, first: str, second: str
) -> None:
    """On the others its engine is refused, with the only thing that helps."""
    application.test(
        """
        from app import engine

        @pytest.mark.parametrize("turn", range(2))
        async def test_it(db_session, turn):
            async with engine.begin() as connection:
                await connection.execute(insert(User).values(name="ann"))
            assert ["ann"] == list(await db_session.scalars(select(User.name)))
        """
    )

    result = application.run(f"--asyncdb={first}", f"--asyncdb={second}")

    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "E *EngineRefused: *made for the run's first database*",
            f"E *run once on each: --asyncdb={second}*",
        ]
    )
    result.stdout.no_fnmatch_line("*ini asyncdb_env*")


def test_an_application_that_is_made_for_each_test_is_on_each_of_several_databases(
    application: Project,
) -> None:
    """The variable holds the URL of the test's own database."""
    application.write("conftest", CONFTEST.replace("from app import URL", ""))
    application.test(
        """
        import os
        from sqlalchemy.ext.asyncio import create_async_engine

        async def test_it(asyncdb, db_session):
            async with create_async_engine(os.environ["DATABASE_URL"]).connect() as it:
                assert asyncdb.product == it.dialect.name
        """
    )

    result = application.run("--asyncdb=sqlite", "--asyncdb=postgresql")

    result.assert_outcomes(passed=2)


def test_an_engine_of_another_product_is_refused_with_the_variables_that_are_set(
    application: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is misspelt in the ini file stands before the reader's eyes."""
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://db.invalid/shop")
    application.ini(asyncdb_env="DATABSE_URL")
    application.test(
        """
        from app import engine

        async def test_it(db_session):
            await engine.connect()
        """
    )

    result = application.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E *take its URL from the run: ini asyncdb_env, which sets DATABSE_URL"]
    )


@pytest.mark.parametrize("database", ["sqlite@file", "postgresql"])
def test_each_worker_s_application_has_the_worker_s_database(
    application: Project, database: str
) -> None:
    """Under xdist no two workers share a database, nor is a server started twice."""
    application.test(
        TESTS,
        """
        @pytest.fixture(autouse=True)
        def seen(request, turn):
            (request.path.parent / f"seen-{turn}").write_text(URL)
        """,
    )

    result = application.run(
        f"--asyncdb={database}", "-n2", plugins=("asyncdb", "asyncio", "xdist")
    )

    result.assert_outcomes(passed=4)
    seen = {each.read_text() for each in application.path.glob("seen-*")}
    assert 2 == len(seen)


def test_the_variable_is_put_back_when_the_run_ends(
    application: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that runs pytest finds its environment as it was."""
    monkeypatch.setenv("DATABASE_URL", "before")
    application.write(
        "run",
        """
        import os, pytest
        assert 0 == pytest.main(["-pasyncdb", "-pasyncio", "-q"])
        assert "before" == os.environ["DATABASE_URL"]
        assert "ASYNCDB_RUN_DIRECTORIES" not in os.environ
        """,
    )

    result = application._pytester.runpython(application.path / "run.py")

    assert 0 == result.ret


def test_a_run_inside_of_a_worker_s_test_is_no_worker(project: Project) -> None:
    """It inherits the environment, and has databases of its own all the same."""
    given = {"controller": os.getpid(), "directories": ["/nonexistent"]}
    project.test(
        f"""
        import os, subprocess, sys

        INNER = '''
        def test_inner(asyncdb):
            print("inner", asyncdb.url)
        '''

        def test_outer(tmp_path, asyncdb, pytestconfig):
            (tmp_path / "test_inner.py").write_text(INNER.replace("\\n        ", "\\n"))
            args = "-m pytest -pasyncdb --asyncdb=sqlite@file -s".split()
            done = subprocess.run(
                [sys.executable, *args],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                env={{**os.environ, "ASYNCDB_RUN_DIRECTORIES": {json.dumps(given)!r}}},
            )
            assert 0 == done.returncode, done.stdout
            assert str(asyncdb.url.database) not in done.stdout
        """
    )

    result = project.run(
        "--asyncdb=sqlite@file", "-n1", plugins=("asyncdb", "asyncio", "xdist")
    )

    result.assert_outcomes(passed=1)
