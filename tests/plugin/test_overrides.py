"""Decisions of a project: its own fixtures, and their ini twins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

# The short summary of pytest 8 shows no texts that are not exceptions.
SUMMARY: Final = " - TemplateBuildFailed: *" if pytest.version_tuple >= (9,) else ""
ASKS: Final = """
    async def test_it(db_session):
        pass
"""
BUILDERS: Final = """
    from sqlalchemy import text
    from models import Base, User

    async def schema(connection):
        await connection.run_sync(Base.metadata.create_all)
        await connection.execute(text("CREATE TABLE extra (x int)"))

    async def seed(session):
        session.add(User(name="root"))

    async def bad_seed(session):
        session.add_all([User(name="root"), User(name="root")])

    async def bad_schema(connection):
        await connection.execute(text("CREATE TABEL users (x int)"))

    def plain(connection):
        pass
"""
FINDS: Final = """
    @pytest.mark.parametrize("turn", range(2))
    async def test_it(db_session, turn):
        assert ["root"] == list(await db_session.scalars(select(User.name)))
        await db_session.execute(text("INSERT INTO extra VALUES (1)"))
        await db_session.commit()
        assert 1 == await db_session.scalar(text("SELECT count(*) FROM extra"))
"""


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_schema_and_seed_are_coroutine_functions(
    project: Project, database: str
) -> None:
    """What they build is there for every test."""
    project.write("builders", BUILDERS)
    project.write(
        "conftest",
        """
        import pytest, builders

        @pytest.fixture(scope="session")
        def asyncdb_schema(asyncdb_target):
            assert asyncdb_target.driver in ("aiosqlite", "asyncpg")
            return builders.schema

        @pytest.fixture(scope="session")
        def asyncdb_seed():
            return builders.seed
        """,
    )
    project.test(FINDS)

    result = project.run(f"--asyncdb={database}")

    result.assert_outcomes(passed=2)


def test_ini_values_name_objects_by_their_path(project: Project) -> None:
    """The twins of the fixtures lead to the same database."""
    project.write("builders", BUILDERS)
    project.write("conftest", "")
    project.ini(
        pythonpath=".",
        asyncdb_metadata="models:Base.metadata",
        asyncdb_schema="builders:schema",
        asyncdb_seed="builders:seed",
        asyncdb_template_key="1",
    )
    project.test(FINDS)

    result = project.run()

    result.assert_outcomes(passed=2)


def test_a_seed_may_commit_and_schema_may_extend_the_default(project: Project) -> None:
    """A fixture that asks for ours of the same name gets what it would do."""
    project.write(
        "conftest",
        """
        import pytest
        from sqlalchemy import text
        from models import Base, User

        @pytest.fixture(scope="session")
        def asyncdb_metadata():
            return Base.metadata

        @pytest.fixture(scope="session")
        def asyncdb_schema(asyncdb_schema):
            async def build(connection):
                await asyncdb_schema(connection)
                await connection.execute(text("CREATE TABLE extra (x int)"))
            return build

        @pytest.fixture(scope="session")
        def asyncdb_seed():
            async def seed(session):
                session.add(User(name="root"))
                await session.commit()
            return seed
        """,
    )
    project.test(FINDS)

    result = project.run()

    result.assert_outcomes(passed=2)


def test_what_fails_to_be_built_is_not_built_again(project: Project) -> None:
    """Each test is told of the same failure, after one attempt."""
    project.write(
        "builders",
        """
        async def schema(connection):
            with open("attempts.txt", "a") as file:
                file.write("once")
            raise LookupError
        """,
    )
    project.ini(asyncdb_schema="builders:schema")
    project.test(ASKS, ASKS.replace("test_it", "test_again"))

    result = project.run()

    result.assert_outcomes(errors=2)
    assert "once" == (project.path / "attempts.txt").read_text()
    assert 2 <= result.stdout.str().count("LookupError")


def test_a_path_in_a_fixture_is_told_where_it_belongs(project: Project) -> None:
    """The ini file takes the text; the fixture is for the object."""
    project.write(
        "conftest",
        """
        import pytest

        @pytest.fixture(scope="session")
        def asyncdb_metadata():
            return "models:Base.metadata"
        """,
    )
    project.test(FINDS)

    result = project.run()

    result.stdout.fnmatch_lines(["*for the ini file (asyncdb_metadata = models:Base*"])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("def asyncdb_metadata(): return Base", "*write Base.metadata*"),
        (
            "async def asyncdb_metadata(): return Base.metadata",
            "*let asyncdb_metadata be an ordinary function: def, not async def*",
        ),
        ("def asyncdb_metadata(): Base.metadata", "*asyncdb_metadata returned None*"),
    ],
)
@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_what_a_fixture_should_have_returned_is_said(
    project: Project, mode: str, body: str, says: str
) -> None:
    """Mistakes that one makes in the three lines which every project writes."""
    project.ini(asyncio_mode=mode)
    project.write(
        "conftest",
        f"""
        import pytest

        from models import Base

        @pytest.fixture(scope="session")
        {body}
        """,
    )
    project.test("def test_it(db_sync_session): db_sync_session.execute(select(User))")

    result = project.run()

    result.stdout.fnmatch_lines([says])
    assert 0 != result.ret


def test_several_bases_are_to_be_one(project: Project) -> None:
    """What Alembic takes as a list is refused, with the way to make one of it."""
    project.write(
        "conftest",
        """
        import pytest

        from models import Base

        @pytest.fixture(scope="session")
        def asyncdb_metadata():
            return [Base.metadata]
        """,
    )
    project.test(FINDS)

    result = project.run()

    result.stdout.fnmatch_lines(["*into one: table.to_metadata(one)*"])


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"metadata": "nowhere:x"}, "*asyncdb_metadata = nowhere:x: No module named*"),
        ({"metadata": "models:nothing"}, "*has no attribute 'nothing'*"),
        ({"metadata": "models"}, "*that is not module:attribute*"),
        ({"metadata": "models:Base"}, "*of type *a sqlalchemy.MetaData was expected*"),
        ({"metadata": "models:User"}, "*of type *a sqlalchemy.MetaData was expected*"),
        ({"metadata": "sqlalchemy:MetaData()"}, "*has no attribute 'MetaData()'*"),
        (
            {"metadata": "builders:empty"},
            "*MetaData of asyncdb_metadata has no tables*",
        ),
        ({"schema": "builders:plain"}, "*a coroutine function of an AsyncConnection*"),
        ({"seed": "models:User"}, "*a coroutine function of an AsyncSession*"),
        ({"capture": "builders:empty"}, "*a function(engine) -> bool was expected*"),
        (
            {"metadata": "models:Base.metadata", "seed": "builders:bad_seed"},
            "*TemplateBuildFailed*IntegrityError*",
        ),
        ({"schema": "builders:bad_schema"}, "*TemplateBuildFailed*OperationalError*"),
    ],
)
def test_what_a_setting_cannot_mean_fails_the_test_with_the_setting_s_name(
    project: Project, setting: dict[str, str], says: str
) -> None:
    """The report is the error's text, without frames of the plugin or of SQLAlchemy."""
    builders = (
        BUILDERS + "\n    from sqlalchemy import MetaData\n    empty = MetaData()"
    )
    project.write("builders", builders)
    project.write("conftest", "")
    project.ini(
        pythonpath=".", **{f"asyncdb_{name}": setting[name] for name in setting}
    )
    project.test(ASKS)

    result = project.run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([says, "*what helps:*"])
    assert 30 > len(result.outlines)


def test_an_error_in_the_seed_shows_the_line_of_the_seed(project: Project) -> None:
    """What the project's own code raised comes with its own line, and nothing else."""
    project.write(
        "conftest",
        """
        import pytest

        @pytest.fixture(scope="session")
        def asyncdb_seed():
            async def seed(session):
                raise KeyError("this very line")
            return seed
        """,
    )
    project.test(ASKS)

    result = project.run()

    result.stdout.fnmatch_lines(
        [
            "TemplateBuildFailed: *",
            "*conftest.py*in seed*",
            "*this very line*",
            f"ERROR test_it.py::test_it{SUMMARY}",
        ]
    )


def test_a_module_that_fails_to_import_says_so_itself(project: Project) -> None:
    """An ImportError inside of the project's module is not taken for a wrong path."""
    project.write("broken", "import nonexistent_dependency")
    project.ini(pythonpath=".", asyncdb_metadata="broken:Base.metadata")
    project.write("conftest", "")
    project.test(ASKS)

    result = project.run()

    result.stdout.fnmatch_lines("*No module named 'nonexistent_dependency'*")


@pytest.mark.parametrize("name", ["asyncdb_metadata", "asyncdb_seed"])
def test_an_override_of_function_scope_is_refused_with_a_hint(
    project: Project, name: str
) -> None:
    """Pytest's ScopeMismatch comes with what to write instead."""
    project.write(
        "conftest",
        f"""
        import pytest

        @pytest.fixture
        def {name}():
            return None
        """,
    )
    project.test(ASKS)

    result = project.run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ScopeMismatch*", "*scope='session'*"])


def test_a_second_folder_with_another_metadata_is_refused(project: Project) -> None:
    """One run has one schema; a folder that says otherwise is told, not ignored."""
    for folder in ("a", "b"):
        project.write(
            f"{folder}/conftest",
            """
            import pytest
            from sqlalchemy import Column, Integer, MetaData, Table

            @pytest.fixture(scope="session")
            def asyncdb_metadata():
                metadata = MetaData()
                Table("t", metadata, Column("id", Integer))
                return metadata
            """,
        )
        project.write(f"{folder}/test_{folder}", "async def test_it(db_session): pass")

    result = project.run()

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines("*sees another asyncdb_metadata*")


def test_capture_lets_an_engine_of_another_product_through(project: Project) -> None:
    """asyncdb_capture decides which engines share the test's transaction."""
    project.write(
        "conftest",
        """
        import pytest

        @pytest.fixture(scope="session")
        def asyncdb_capture():
            return lambda engine: False if "other" in str(engine.url) else None
        """,
    )
    project.test(
        """
        from sqlalchemy import create_engine

        def test_other(db_sync_session, tmp_path):
            engine = create_engine(f"sqlite:///{tmp_path}/other.db")
            with engine.begin() as connection:
                connection.execute(text("CREATE TABLE t (x int)"))
            engine.dispose()
            assert (tmp_path / "other.db").stat().st_size

        @pytest.mark.asyncdb(capture=False)
        def test_mark(tmp_path):
            engine = create_engine(f"sqlite:///{tmp_path}/db")
            with engine.begin() as connection:
                connection.execute(text("CREATE TABLE t (x int)"))
            engine.dispose()
            assert (tmp_path / "db").stat().st_size
        """
    )

    result = project.run()

    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_missing_table_without_metadata_says_what_to_set(
    project: Project, database: str
) -> None:
    """The database's own error comes with the setting that would make the table."""
    project.write("conftest", "")
    project.test(
        """
        async def test_it(db_session):
            await db_session.execute(select(User))
        """
    )

    result = project.run(f"--asyncdb={database}")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines("*neither asyncdb_metadata nor asyncdb_schema is set*")


def test_without_metadata_the_database_is_empty(project: Project) -> None:
    """Nothing configured: SQLite in memory, where a test makes its own tables."""
    project.write("conftest", "")
    project.test(
        """
        @pytest.mark.parametrize("turn", range(2))
        async def test_it(db_session, turn):
            await db_session.execute(text("CREATE TABLE t (x int)"))
        """
    )

    result = project.run()

    result.assert_outcomes(passed=2)
