"""Property-based tests: examples that do not see each other, under every runner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

PLUGINS = ("asyncdb", "asyncio", "hypothesispytest")
DATABASES = pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
MODELS = """
    from sqlalchemy import String
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50), unique=True)
"""
HEAD = """
    from hypothesis import HealthCheck, example, find, given, settings, strategies as st
    from pytest_asyncdb.strategies import from_model

    settings.register_profile("ours", deadline=None, max_examples=12)
    settings.load_profile("ours")
    SEEN = []

    @pytest.fixture
    async def seed(db_session):
        db_session.add(User(name="seed"))
        await db_session.flush()
"""


@pytest.fixture
def project(project: Project) -> Project:
    """A project whose names have a length, as MariaDB wants it."""
    project.write("models", MODELS)
    return project


@DATABASES
@pytest.mark.parametrize("scope", ["function", "session"])
def test_every_example_begins_with_what_the_fixtures_wrote(
    project: Project, database: str, scope: str
) -> None:
    """Whatever examples flush, commit, or write by sessions of their own."""
    project.ini(asyncio_default_test_loop_scope=scope)
    project.test(
        HEAD,
        """
        @given(user=from_model(User), commits=st.booleans())
        @example(user=User(name="given"), commits=True)
        async def test_it(seed, db_session, db_sessionmaker, db_persist, user, commits):
            assert 1 == await db_session.scalar(COUNT)
            await db_persist(user)
            if commits:
                await db_session.commit()
            async with db_sessionmaker() as other:
                other.add(User(name="other" * 9))
                await other.commit()
            SEEN.append(await db_session.scalar(COUNT))

        def test_afterwards(db_sync_session):
            assert {3} == {*SEEN}
            assert 13 == len(SEEN)
            assert 0 == db_sync_session.scalar(COUNT)
        """,
    )

    result = project.run(f"--asyncdb={database}", plugins=PLUGINS)

    result.assert_outcomes(passed=2)


def test_anyio_runs_isolated_examples(project: Project) -> None:
    """For each of its parameters anew."""
    project.test(
        HEAD,
        """
        @pytest.fixture(params=["plain", "eager"])
        def anyio_backend(request):
            return "asyncio", {"debug": request.param == "eager"}

        @pytest.mark.anyio
        @given(name=st.text(st.characters(codec="ascii"), max_size=5))
        async def test_it(db_session, name):
            assert 0 == await db_session.scalar(COUNT)
            db_session.add(User(name="always"))
            await db_session.commit()
        """,
    )

    result = project.run(plugins=("asyncdb", "anyio", "hypothesispytest"))

    result.assert_outcomes(passed=2)


@DATABASES
def test_sync_tests_are_isolated_too(project: Project, database: str) -> None:
    """`db_run` writes there what was drawn."""
    project.test(
        HEAD,
        """
        @given(user=from_model(User))
        def test_it(db_sync_session, db_run, db_persist, user):
            assert 0 == db_sync_session.scalar(COUNT)
            db_run(db_persist, user)
            db_sync_session.add(User(name="always" * 8))
            db_sync_session.commit()
        """,
    )

    result = project.run(f"--asyncdb={database}", plugins=PLUGINS)

    result.assert_outcomes(passed=1)


@DATABASES
def test_a_constraint_of_two_columns_is_looked_at_apart_from_the_test(
    project: Project, database: str
) -> None:
    """Wherever the strategy is made, and whatever the run is on."""
    project.write(
        "models",
        """
        from sqlalchemy import CheckConstraint
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

        class Base(DeclarativeBase):
            pass

        class User(Base):
            __tablename__ = "users"
            __table_args__ = (CheckConstraint("first <= last"),)
            id: Mapped[int] = mapped_column(primary_key=True)
            first: Mapped[int]
            last: Mapped[int]
        """,
    )
    project.test(
        HEAD,
        """
        @given(user=from_model(User))
        async def test_it(db_session, db_persist, db_statements, user):
            await db_persist(user)
            assert {"users"} == {x for each in db_statements.log for x in each.tables}

        @given(data=st.data())
        async def test_inside(db_session, db_persist, data):
            await db_persist(data.draw(from_model(User)))

        @given(user=from_model(User))
        def test_sync(db_sync_session, user):
            pass

        @given(user=from_model(User))
        def test_without(user):
            pass
        """,
    )

    result = project.run(f"--asyncdb={database}", plugins=PLUGINS)

    result.assert_outcomes(passed=4)


@DATABASES
def test_a_refused_row_does_not_harm_the_next_example(
    project: Project, database: str
) -> None:
    """Nor does a statement that fails while no savepoint is set."""
    project.test(
        HEAD,
        """
        from sqlalchemy.exc import IntegrityError

        @given(st.integers())
        async def test_it(db_session, number):
            await db_session.execute(insert(User).values(name="a"))
            with pytest.raises(IntegrityError):
                await db_session.execute(insert(User).values(name="a"))
        """,
    )

    result = project.run(f"--asyncdb={database}", plugins=PLUGINS)

    result.assert_outcomes(passed=1)


def test_a_failing_example_is_shrunk_and_can_be_reproduced(project: Project) -> None:
    """The example database, and the line that Hypothesis prints."""
    project.test(
        HEAD,
        """
        @settings(print_blob=True)
        @given(users=st.lists(from_model(User), max_size=4))
        async def test_it(db_session, db_persist, users):
            await db_persist(users)
            SEEN.append(len(users))
            assert 2 > await db_session.scalar(COUNT)

        def test_it_was_shrunk():
            assert 2 == SEEN[-1]
        """,
    )

    first = project.run("--hypothesis-seed=1", plugins=PLUGINS)
    again = project.run("-x", plugins=PLUGINS)

    first.assert_outcomes(failed=1, passed=1)
    first.stdout.fnmatch_lines(["*@reproduce_failure(*"])
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["*assert 2 > 2*"])


def test_the_health_check_stays_for_other_tests(project: Project) -> None:
    """A fixture that is not reset is none of ours."""
    project.test(
        HEAD,
        """
        @pytest.fixture
        def box():
            return []

        @given(st.integers())
        def test_it(box, number):
            pass
        """,
    )

    result = project.run(plugins=PLUGINS)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*uses a function-scoped fixture 'box'*"])


def test_a_fixture_that_holds_a_connection_is_refused(project: Project) -> None:
    """Before the first example, with the line that opened it."""
    project.test(
        HEAD,
        """
        @pytest.fixture
        async def mine(db_sessionmaker):
            async with db_sessionmaker() as session:
                session.add(User(name="mine"))
                await session.flush()
                yield session

        @given(st.integers())
        async def test_it(mine, number):
            pass
        """,
    )

    result = project.run(plugins=PLUGINS)

    result.stdout.fnmatch_lines(
        [
            "*ExamplesRefused: a fixture has a connection open*",
            "*taken at *test_it.py*",
        ]
    )


def test_sequences_of_factories_begin_again_in_each_example(project: Project) -> None:
    """So that an example is the same when it is tried again."""
    project.test(
        HEAD,
        """
        import factory
        from pytest_asyncdb.factories import AsyncModelFactory

        class UserFactory(AsyncModelFactory[User]):
            class Meta:
                model = User
            name = factory.Sequence(lambda n: f"user{n}")

        @given(st.integers())
        async def test_it(db_session, number):
            assert "user0" == (await UserFactory()).name
        """,
    )

    result = project.run(plugins=PLUGINS)

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("isolation", "database"),
    [
        ("commit", "sqlite"),
        ("commit", "sqlite@file"),
        ("commit", "postgresql"),
        ("commit", "mariadb"),
        ("database", "sqlite"),
        ("database", "postgresql"),
    ],
)
def test_real_commits_are_put_back_after_each_example(
    project: Project, database: str, isolation: str
) -> None:
    """Whichever sessions have committed them."""
    project.test(
        HEAD,
        """
        @settings(max_examples=3)
        @given(user=from_model(User))
        async def test_it(db_session, db_sessionmaker, db_persist, user):
            assert 0 == await db_session.scalar(COUNT)
            await db_persist(user)
            await db_session.commit()
            async with db_sessionmaker() as other:
                assert 1 == await other.scalar(COUNT)
                other.add(User(name="other" * 9))
                await other.commit()

        def test_afterwards(db_sync_session):
            assert 0 == db_sync_session.scalar(COUNT)
        """,
    )
    options = (f"--asyncdb={database}", f"--asyncdb-isolation={isolation}")

    project.run(*options, plugins=PLUGINS).assert_outcomes(passed=2)


def test_what_fixtures_have_committed_is_refused(project: Project) -> None:
    """Nothing would bring it back for the second example."""
    project.test(
        HEAD,
        """
        @given(number=st.integers())
        async def test_it(seed, db_session, number):
            pass
        """,
    )
    options = ("--asyncdb=sqlite@file", "--asyncdb-isolation=commit")
    result = project.run(*options, plugins=PLUGINS)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ExamplesRefused: fixtures of * have committed *"])


def test_what_is_recorded_starts_anew_with_each_example(project: Project) -> None:
    """A budget is one example's, and so is a load in a loop."""
    project.test(
        HEAD,
        """
        @given(number=st.integers(0, 9))
        async def test_it(seed, db_session, db_statements, number):
            assert 0 == len(db_statements.log)
            async with db_statements.expect(exactly=1):
                await db_session.scalar(COUNT)
            SEEN.append(len(db_statements.log))

        def test_afterwards():
            assert {1} == {*SEEN}
            assert len(SEEN) > 5
        """,
    )
    result = project.run("--asyncdb-n-plus-one=fail", plugins=PLUGINS)

    result.assert_outcomes(passed=2)


def test_a_load_in_a_loop_of_one_example(project: Project) -> None:
    """Fails the test, whichever example it was."""
    project.test(
        HEAD,
        """
        @given(loops=st.booleans())
        @example(loops=True)
        @example(loops=False)
        async def test_it(seed, db_session, loops):
            db_session.add_all([User(name=each) for each in "ab"])
            await db_session.flush()
            users = (await db_session.scalars(
                select(User).execution_options(populate_existing=True))).all()
            for user in users if loops else ():
                await db_session.scalar(select(User.name).where(User.id == user.id))
        """,
    )
    result = project.run("--asyncdb-n-plus-one=fail", plugins=PLUGINS)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*NPlusOneFound*one after the other*"])


CLOCK = """
    import time

    import pytest
    from models import Base

    LATER = [0.0]
    now = time.perf_counter
    time.perf_counter = lambda: now() + LATER[0]

    @pytest.fixture(scope="session")
    def asyncdb_schema():
        async def build(connection):
            LATER[0] += 3600
            await connection.run_sync(Base.metadata.create_all)

        return build
"""


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_deadline_does_not_count_the_start_of_the_database(
    project: Project, database: str
) -> None:
    """What takes an hour before the first example is none of an example's time."""
    project.write("conftest", CLOCK)
    project.test(
        HEAD,
        """
        @settings(deadline=60_000)
        @given(number=st.integers())
        async def test_it(seed, db_session, number):
            assert 1 == await db_session.scalar(COUNT)
        """,
    )
    result = project.run(f"--asyncdb={database}", plugins=PLUGINS)

    result.assert_outcomes(passed=1)


def test_a_deadline_is_exceeded_by_an_example_as_without_us(project: Project) -> None:
    """The example that takes too long is found, shrunk, and named."""
    project.write("conftest", CLOCK)
    project.test(
        HEAD,
        """
        from conftest import LATER

        @settings(deadline=6_000, derandomize=True)
        @given(number=st.integers(0, 100))
        async def test_it(db_session, number):
            await db_session.scalar(COUNT)
            LATER[0] += 8 if number > 5 else 0
        """,
    )
    result = project.run(plugins=PLUGINS)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*DeadlineExceeded: Test took 8*", "*number=6,*"])
