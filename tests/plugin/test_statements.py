"""Statements of a test: `db_statements`, and `--asyncdb-n-plus-one`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

DATABASES: Final = pytest.mark.parametrize(
    "database", ["sqlite", "postgresql", "mariadb"]
)
MODELS: Final = """
    from sqlalchemy import ForeignKey, String
    from sqlalchemy.ext.asyncio import AsyncAttrs
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

    class Base(AsyncAttrs, DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50), unique=True)
        posts: Mapped[list["Post"]] = relationship()

    class Post(Base):
        __tablename__ = "posts"
        id: Mapped[int] = mapped_column(primary_key=True)
        author_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
"""
APP: Final = """
    from sqlalchemy import select
    from sqlalchemy.ext.asyncio import create_async_engine
    from models import User

    async def users(session):
        return (await session.scalars(select(User))).all()

    async def posts(session):
        found = []
        for user in await users(session):
            found += await user.awaitable_attrs.posts
        return found
"""
ROWS: Final = """
    import app
    from models import Post

    @pytest.fixture
    async def rows(db_sessionmaker):
        async with db_sessionmaker() as session:
            session.add_all([User(name=name, posts=[Post()]) for name in "abc"])
            await session.commit()
"""


@pytest.fixture
def project(project: Project) -> Project:
    """A project whose application loads posts one user after the other."""
    project.write("models", MODELS)
    project.write("app", APP)
    return project


@pytest.mark.parametrize("isolation", ["sandbox", "commit"])
@DATABASES
def test_statements_of_the_test_are_counted(
    project: Project, database: str, isolation: str
) -> None:
    """Not those of the isolation, nor what was sent before the fixture."""
    project.test(
        ROWS,
        """
        async def test_it(rows, db_session, db_sessionmaker, db_statements):
            async with db_statements.expect(exactly=4, reads=4) as block:
                assert 3 == len(await app.posts(db_session))
            async with db_statements.expect(exactly=1, writes=1):
                async with db_sessionmaker() as other, other.begin():
                    other.add(User(name="d"))
            kinds = [each.kind for each in block.statements]
            assert ["application", *3 * ["lazy load"]] == kinds
            assert "app.py:12 in posts" == str(block.statements[1].line)
            assert 5 == len(db_statements.log)
    """,
    )
    options = (f"--asyncdb={database}", f"--asyncdb-isolation={isolation}")

    project.run(*options).assert_outcomes(passed=1)


def test_an_engine_of_the_application_is_recorded(project: Project) -> None:
    """What its first connection asks the server is not."""
    project.test(
        """
        from sqlalchemy.ext.asyncio import create_async_engine

        async def test_it(asyncdb, db_statements):
            engine = create_async_engine(asyncdb.url)
            async with db_statements.expect(exactly=1):
                async with engine.connect() as connection:
                    await connection.execute(select(1))
        """
    )

    project.run("--asyncdb=postgresql").assert_outcomes(passed=1)


def test_a_sync_test(project: Project) -> None:
    """`with` does for it."""
    project.test(
        """
        def test_it(db_statements, db_sync_session):
            with db_statements.expect(at_most=1):
                assert 0 == db_sync_session.scalar(COUNT)
        """
    )

    project.run().assert_outcomes(passed=1)


def test_a_budget_that_is_exceeded(project: Project) -> None:
    """Shows the user's line, and none of ours."""
    project.test(
        ROWS,
        """
        async def test_it(rows, db_session, db_statements):
            async with db_statements.expect(at_most=2, no_n_plus_one=True):
                await app.posts(db_session)
    """,
    )
    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*async with db_statements.expect(*",
            "*BudgetExceeded: 4 statements were sent, at most 2 expected",
            "*N+1: a lazy load of User.posts at app.py:12 in posts for each of 3*",
            "*add .options(selectinload(User.posts)) to the query at app.py:7 in users",
            "*1 x SELECT * FROM users",
            "*sent at app.py:7 in users",
            "*3 x SELECT * FROM posts WHERE *",
            "*lazy load of User.posts at app.py:12 in posts",
        ]
    )
    result.stdout.no_fnmatch_line("*_budget.py*")


def test_an_engine_that_is_not_captured(project: Project) -> None:
    """Is not recorded; a block that would have seen nothing else says so."""
    project.test(
        """
        from sqlalchemy.ext.asyncio import create_async_engine

        @pytest.fixture(scope="session")
        def asyncdb_capture():
            return lambda engine: False if "away" in str(engine.url) else None

        async def test_it(tmp_path, db_statements):
            engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/away.db")
            async with db_statements.expect(at_most=5):
                async with engine.connect() as connection:
                    await connection.execute(select(1))
            await engine.dispose()
        """
    )
    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*expect() saw nothing: 1 statement(s) went to*"])


def test_databases_that_are_made_meanwhile(project: Project) -> None:
    """What the plugin sends for them is none of the test's, nor of another engine's."""
    project.test(
        """
        import asyncio

        @pytest.mark.asyncdb(isolation="database")
        @pytest.mark.parametrize("number", range(3))
        async def test_it(number, db_session, db_statements):
            with db_statements.expect(exactly=0):
                await asyncio.sleep(0.2)
        """
    )
    result = project.run("--asyncdb=postgresql")

    result.assert_outcomes(passed=3)


def test_statements_of_factories_are_counted_apart(project: Project) -> None:
    """A budget is one of the application's."""
    project.test(
        """
        from pytest_asyncdb.factories import AsyncModelFactory

        class UserFactory(AsyncModelFactory[User]):
            class Meta:
                model = User
            name = "ann"

        async def test_it(db_session, db_statements):
            async with db_statements.expect(exactly=1):
                await UserFactory.create()
                await db_session.scalar(COUNT)
            async with db_statements.expect(exactly=1):
                await UserFactory.create(name="bob")
        """
    )
    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*0 statements were sent, exactly 1*", "*more of factories are not counted*"]
    )


@DATABASES
def test_loads_in_a_loop_fail_a_test(project: Project, database: str) -> None:
    """Where the run says so; one that allows them passes."""
    project.test(
        ROWS,
        """
        async def test_loop(rows, db_session):
            await app.posts(db_session)

        async def test_allowed(rows, db_session, db_statements):
            with db_statements.allow_n_plus_one():
                await app.posts(db_session)

        async def test_none(rows, db_session):
            await app.users(db_session)

        def test_no_database():
            pass
    """,
    )
    result = project.run(f"--asyncdb={database}", "--asyncdb-n-plus-one=fail")

    result.assert_outcomes(failed=1, passed=3)
    result.stdout.fnmatch_lines(
        [
            "*NPlusOneFound: test_it.py::test_loop: objects are loaded one after*",
            "*a lazy load of User.posts at app.py:12 in posts for each of 3 objects *",
            "*add .options(selectinload(User.posts)) to the query at app.py:7 in users",
        ]
    )


@DATABASES
def test_plans_in_a_sandbox(project: Project, database: str) -> None:
    """On the test's own rows, and with the server's settings as they were."""
    project.test(
        ROWS,
        """
        from sqlalchemy import text

        async def test_async(rows, db_session, db_statements, asyncdb):
            await db_session.scalars(select(User.id).where(User.name == "a"))
            (await db_statements.explain()).no_full_scan("users")
            await db_session.scalars(select(Post.id).where(Post.id > 0))
            assert 2 == len(db_statements.log)
            if asyncdb.product == "postgresql":
                setting = await db_session.scalar(text("SHOW enable_seqscan"))
                assert "on" == setting

        def test_sync(rows, db_sync_session, db_statements, db_run):
            db_sync_session.scalars(select(User.id).where(User.name == "a"))
            db_run(db_statements.explain).no_full_scan("users")
    """,
    )

    project.run(f"--asyncdb={database}").assert_outcomes(passed=2)


@DATABASES
def test_a_lazy_load_that_nothing_awaits(project: Project, database: str) -> None:
    """Below the traceback stands which attribute it was, and what helps."""
    project.test(
        ROWS,
        """
        async def test_lazy(rows, db_sessionmaker, db_statements):
            async with db_sessionmaker() as session:
                for user in await app.users(session):
                    assert user.posts

        async def test_near(rows, db_session):
            raise ValueError("greenlet_spawn has not been called; can't call await_()")
    """,
    )
    result = project.run(f"--asyncdb={database}")

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*- asyncdb: what happened -*",
            "User.posts was loaded lazily at test_it.py:* in test_lazy, in code that*",
            "*add .options(selectinload(User.posts)) to the query of User at app.py:7*",
        ]
    )
    assert 1 == str(result.stdout).count("asyncdb: what happened")


def test_loads_in_a_loop_are_warned_of(project: Project) -> None:
    """By the ini file, too; without it nobody looks."""
    project.test(
        ROWS,
        """
        async def test_loop(rows, db_session):
            await app.posts(db_session)
    """,
    )
    project.run().assert_outcomes(passed=1, warnings=0)
    project.ini(asyncdb_n_plus_one="warn")
    result = project.run()

    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*NPlusOneWarning: test_it.py::test_loop: objects*"])


def test_a_word_that_is_not_known(project: Project) -> None:
    """The valid ones are listed."""
    project.test("def test_it(): pass")
    result = project.run("--asyncdb-n-plus-one=loud")

    result.stderr.fnmatch_lines(["*--asyncdb-n-plus-one is 'loud'*"])
    result.stderr.fnmatch_lines(["*ignore*warn*fail*"])
