"""Options, ini values and the variable ASYNCDB; which one counts, which is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from sqlalchemy import create_engine, inspect, make_url

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

TELL: Final = """
    def test_it(asyncdb):
        print("runs on", asyncdb.product, asyncdb.source)
"""


def test_the_command_line_wins_over_the_variable_and_the_variable_over_the_ini_file(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--asyncdb, then ASYNCDB, then the ini value."""
    project.ini(asyncdb="postgresql")
    project.test(TELL)
    monkeypatch.setenv("ASYNCDB", "sqlite@file")

    by_variable = project.run("-s")
    by_option = project.run("-s", "--asyncdb=sqlite@memory")

    by_variable.stdout.fnmatch_lines("*runs on sqlite file*")
    by_option.stdout.fnmatch_lines("*runs on sqlite memory*")


def test_an_ini_value_may_be_a_list_in_toml(project: Project) -> None:
    """[tool.pytest.ini_options] with TOML's own types is understood."""
    (project.path / "pytest.ini").unlink()
    (project.path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nasyncdb = ["sqlite@file"]\n'
        'asyncdb_env = ["DATABASE_URL"]\nasyncdb_sqlite_direct = true\n',
        encoding="utf-8",
    )
    project.test(TELL)

    result = project.run("-s")

    result.stdout.fnmatch_lines("*runs on sqlite file*")


def test_several_databases_run_each_database_test_on_each(project: Project) -> None:
    """Tests of ours get ids then, and others run once."""
    project.test(
        """
        def test_plain():
            pass

        async def test_one(db_session, asyncdb):
            db_session.add(User(name="ann"))
            await db_session.commit()
            assert 1 == await db_session.scalar(select(func.count()).select_from(User))

        @pytest.mark.parametrize("name", ["a", "b"])
        async def test_two(asyncdb_target, db_run, name):
            pass
        """
    )

    result = project.run("--asyncdb=postgresql", "--asyncdb=sqlite", "-v")

    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines_random(
        [
            "*::test_plain PASSED*",
            "*::test_one?postgresql? PASSED*",
            "*::test_one?sqlite? PASSED*",
            "*::test_two?*sqlite*a* PASSED*",
            "*::test_two?*postgresql*b* PASSED*",
        ]
    )


def test_several_databases_are_taken_in_turn_by_tests_in_any_order(
    project: Project,
) -> None:
    """A run that goes back and forth between two databases leaks on neither."""
    project.test(
        """
        @pytest.fixture(scope="session")
        def wide(asyncdb):
            yield asyncdb.product

        @pytest.mark.parametrize("turn", range(3))
        async def test_one(wide, db_session, turn):
            db_session.add(User(name=f"ann"))
            await db_session.commit()
            assert 1 == await db_session.scalar(select(func.count()).select_from(User))
        """
    )
    project.write(
        "order",
        """
        import pytest

        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(items):
            items.sort(key=lambda item: item.callspec.params["turn"])
        """,
    )

    result = project.run("--asyncdb=postgresql", "--asyncdb=sqlite", "-porder")

    result.assert_outcomes(passed=6)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--asyncdb=oracle", "*there is no database product 'oracle'*"),
        ("--asyncdb=sqlite@container", "*sqlite has no source 'container'*"),
        (
            "-oasyncdb_container_image=oracle = x",
            "*asyncdb_container_image is 'oracle'*",
        ),
        ("-oasyncdb_container_image=a b", "*a line that names no image: 'a b'*"),
        ("-oasyncdb_server_options=loud", "*'loud' does not read 'option = value'*"),
        ("--asyncdb=postgresql:new", "*'new' is no version of postgresql*"),
        ("--asyncdb=postgresql@moon", "*postgresql has no source 'moon'*"),
        (
            "--asyncdb=postgresql://u:secret@h/d",
            "*://u:[*][*][*]@h/d names no async driver*",
        ),
        ("--asyncdb-isolation=none", "--asyncdb-isolation is 'none'"),
        ("-oasyncdb_isolation=none", "asyncdb_isolation is 'none'"),
        ("--asyncdb-require=postgresql", "*requires postgresql, and is on sqlite*"),
        ("--asyncdb-require=oracle", "--asyncdb-require is 'oracle'"),
        ("--asyncdb-random-seed=x", "--asyncdb-random-seed is 'x', which is no *"),
        ("-oasyncdb_leaks=loud", "*asyncdb_leaks is 'loud'*"),
        ("-oasyncdb_unrequested=loud", "*asyncdb_unrequested is 'loud'*"),
        ("-oasyncdb_bridge=loud", "*asyncdb_bridge is 'loud'*"),
        ("-oasyncdb_engine_options=loud", "*'loud' does not read 'option = value'*"),
    ],
)
def test_a_value_that_is_not_known_ends_the_run_at_once(
    project: Project, option: str, says: str
) -> None:
    """The run is refused with what helps, without a traceback or a password."""
    project.test("def test_it(): pass")

    result = project.run(option)

    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines([f"ERROR: {says}", "*what helps:"])
    result.stderr.no_fnmatch_line("*Traceback*")
    assert "secret" not in result.stderr.str() + result.stdout.str()


def test_a_required_product_that_the_run_is_on_is_no_obstacle(project: Project) -> None:
    """--asyncdb-require holds a run to a product, nothing more."""
    project.test("def test_it(): pass")

    result = project.run("--asyncdb=postgresql", "--asyncdb-require=postgresql")

    result.assert_outcomes(passed=1)


def test_a_kept_database_is_there_after_the_run_and_the_run_says_where(
    project: Project,
) -> None:
    """--asyncdb-keep prints the URL of what stays."""
    project.test(
        """
        def test_it(db_sync_session):
            db_sync_session.scalars(select(User)).all()
        """
    )

    result = project.run("--asyncdb=sqlite@file", "--asyncdb-keep", "-q")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines("asyncdb: look at it: sqlite3 *")
    (line,) = [each for each in result.outlines if each.startswith("asyncdb: kept")]
    url = make_url(line.removeprefix("asyncdb: kept ").split()[0])
    assert url.database is not None
    engine = create_engine(url.set(drivername="sqlite"))
    try:
        assert ["users"] == inspect(engine).get_table_names()
    finally:
        engine.dispose()
        shutil.rmtree(Path(url.database).parent)


def test_options_of_engine_and_session_are_read_from_the_ini_file(
    project: Project,
) -> None:
    """Lines option = value; values are Python's where they can be."""
    project.ini(
        asyncdb_engine_options="\n  hide_parameters = true",
        asyncdb_session_options="\n  autoflush = false",
    )
    project.test(
        """
        async def test_it(db_engine, db_session, db_sync_session):
            assert True is db_engine.sync_engine.hide_parameters
            assert False is db_session.sync_session.autoflush
            assert False is db_sync_session.autoflush
        """
    )

    result = project.run()

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("bridge", ["guest", "thread"])
@pytest.mark.parametrize("direct", ["true", "false"])
def test_each_bridge_and_each_way_to_sqlite_gives_the_same(
    project: Project, bridge: str, direct: str
) -> None:
    """asyncdb_bridge and asyncdb_sqlite_direct change the way, not the result."""
    project.ini(asyncdb_bridge=bridge, asyncdb_sqlite_direct=direct)
    project.test(
        """
        async def test_it(db_session):
            db_session.add(User(name="ann"))
            await db_session.commit()
            assert "ann" == await db_session.scalar(select(User.name))
        """
    )

    result = project.run()

    result.assert_outcomes(passed=1)


RETRY: Final = (
    "import pytest_asyncdb; db_run(pytest_asyncdb.retry_transaction, 1, work)"
)
STRATEGY: Final = (
    "import sys; sys.modules['hypothesis'] = None;"
    "from pytest_asyncdb.strategies import from_model"
)
REGISTER: Final = "from pytest_asyncdb.factories import register; register(int)"
MISSING: Final = [
    ("factory", "factories", "pass", "--asyncdb-factories"),
    ("factory", "factories", REGISTER, "-v"),
    ("testcontainers", "containers", "pass", "--asyncdb=postgresql@container"),
    ("alembic", "migrations", "pass", "-oasyncdb_alembic_config=alembic.ini"),
    ("tenacity", "retry", RETRY, "-v"),
    ("(in the test)", "hypothesis", STRATEGY, "-v"),
]


@pytest.mark.parametrize(("package", "extra", "line", "option"), MISSING)
def test_what_is_not_installed_is_named_with_its_extra(
    project: Project, package: str, extra: str, line: str, option: str
) -> None:
    """With a line that every shell understands, and once."""
    hidden = f"import sys\nsys.modules[{package!r}] = None\n"
    project.write("conftest", hidden + (project.path / "conftest.py").read_text())
    project.test(
        f"async def work(session): pass\ndef test_it(db_session, db_run):\n    {line}\n"
    )
    result = project.run(option)
    text = f"{result.stdout}{result.stderr}"

    assert 1 == text.count(f'- pip install "pytest-asyncdb[{extra}]"')
    assert "INTERNALERROR" not in text
    assert "ExceptionGroup" not in text
