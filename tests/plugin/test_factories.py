"""Factories in tests: their session, their fixtures, and values that come again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.plugin.conftest import CONFTEST as DECIDED

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

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
        admin: Mapped[bool] = mapped_column(default=False)
"""
CONFTEST = """
    import factory
    import pytest
    from models import Base, User
    from pytest_asyncdb.factories import AsyncModelFactory, register

    @pytest.fixture(scope="session")
    def asyncdb_metadata():
        return Base.metadata

    @register
    class UserFactory(AsyncModelFactory[User]):
        class Meta:
            model = User

        class Params:
            boss = factory.Trait(name="Boss", admin=True)

        name = factory.Sequence(lambda n: f"user{n}")

    register(UserFactory, "chief", boss=True)
"""
HEAD = """
    import asyncio
    from conftest import UserFactory
"""


@pytest.fixture
def project(project: Project) -> Project:
    """A project with a factory that is registered twice."""
    project.write("models", MODELS)
    project.write("conftest", CONFTEST)
    return project


@DATABASES
def test_a_factory_uses_the_session_of_the_test(
    project: Project, database: str
) -> None:
    """Of an async test and of a sync one, where it gives the object itself."""
    project.test(
        HEAD,
        """
        async def test_async(db_session):
            user = await UserFactory()
            users = await UserFactory.create_batch(2)
            assert {user, *users} == set(db_session)
            assert 3 == await db_session.scalar(COUNT)

        def test_sync(db_session, db_sync_session):
            user, batch = UserFactory(), UserFactory.create_batch(2)
            assert ["user0", "user1", "user2"] == [u.name for u in (user, *batch)]
            assert 3 == db_sync_session.scalar(COUNT)

        async def test_nothing_is_left(db_session):
            assert 0 == await db_session.scalar(COUNT)
        """,
    )

    result = project.run(f"--asyncdb={database}")

    result.assert_outcomes(passed=3)


@DATABASES
def test_fifty_tasks_at_once(project: Project, database: str) -> None:
    """Through one session, and each through its own."""
    project.test(
        HEAD,
        """
        async def test_one(db_session):
            users = await asyncio.gather(*(UserFactory() for _ in range(50)))
            assert 50 == len({user.id for user in users})
            assert 50 == await db_session.scalar(COUNT)

        async def test_fifty(db_session, db_sessionmaker):
            async def work():
                async with db_sessionmaker() as session:
                    return await UserFactory.using(session)()

            users = await asyncio.gather(*(work() for _ in range(50)))
            assert 50 == len({user.id for user in users})
            assert 50 == await db_session.scalar(COUNT)
        """,
    )

    result = project.run(f"--asyncdb={database}")

    result.assert_outcomes(passed=2)


def test_the_session_is_made_when_it_is_needed(project: Project) -> None:
    """Any fixture of ours will do, and a session of the project's own is respected."""
    project.test(
        HEAD,
        """
        async def test_engine(db_engine):
            assert (await UserFactory()).id

        async def test_factory(user_factory):
            assert UserFactory is user_factory
            assert (await user_factory()).id

        class TestOwn:
            @pytest.fixture
            def db_session(self, db_sessionmaker):
                self.own = db_sessionmaker()
                return self.own

            async def test_session(self, db_engine, db_session):
                assert await UserFactory() in db_session
                await db_session.close()
        """,
    )

    result = project.run()

    result.assert_outcomes(passed=3)


def test_fixtures_give_objects(project: Project) -> None:
    """To async and to sync tests, also when they are asked for late."""
    project.test(
        """
        async def test_async(user, chief, db_session):
            assert [user.name, chief.name] == ["user0", "Boss"]
            assert [1, 2] == sorted([user.id, chief.id])
            assert user in db_session

        def test_sync(user):
            assert user.id

        async def test_late(db_session, request):
            assert request.getfixturevalue("user") in db_session
        """,
    )

    result = project.run()

    result.assert_outcomes(passed=3)


def test_attributes_of_fixtures_can_be_replaced(project: Project) -> None:
    """By a fixture, by a parameter, and by a mark, which knows traits."""
    project.test(
        """
        @pytest.mark.parametrize("user__name", ["x", "y"])
        def test_parameter(user):
            assert user.name in ("x", "y")

        @pytest.mark.parametrize(("user__name", "user__admin"), [("x", True)])
        def test_parameters(user, user__name):
            assert (user.name, user.admin) == (user__name, True)

        class TestFixture:
            @pytest.fixture
            def user__name(self, chief):
                return f"not {chief.name}"

            async def test_fixture(self, user):
                assert "not Boss" == user.name

        @pytest.mark.asyncdb_factory("user", "boss", name="Eve")
        @pytest.mark.asyncdb_factory("chief", admin=False)
        def test_mark(user, chief):
            assert ("Eve", True) == (user.name, user.admin)
            assert ("Boss", False) == (chief.name, chief.admin)

        def test_none(user):
            assert "user0" == user.name
        """,
    )

    result = project.run("--strict-markers")

    result.assert_outcomes(passed=6)


def test_a_mark_that_means_nothing_is_refused(project: Project) -> None:
    """With the names that there are."""
    project.test(
        """
        @pytest.mark.asyncdb_factory("usr")
        def test_fixture(user):
            pass

        @pytest.mark.asyncdb_factory("user", "bos")
        def test_trait(user):
            pass
        """,
    )

    result = project.run()

    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*asyncdb_factory('usr') names no such fixture"])
    result.stdout.fnmatch_lines(["*there are: user*"])
    result.stdout.fnmatch_lines(["*UserFactory knows no attribute 'bos'*"])


ELSEWHERE = """
    import factory
    from models import User
    from pytest_asyncdb.factories import AsyncModelFactory, register

    @register
    class MemberFactory(AsyncModelFactory[User]):
        class Meta:
            model = User

        name = factory.Sequence(lambda n: f"member{n}")

    register(MemberFactory, "guest")
"""


def test_a_fixture_that_was_registered_in_another_module_is_told_from_where_it_comes(
    project: Project,
) -> None:
    """Pytest looks for fixtures in conftest.py, and says only what it has found."""
    project.write("tests/__init__", "")
    project.write("tests/factories", ELSEWHERE)
    project.ini(pythonpath=".")
    project.test(
        """
        from tests.factories import MemberFactory

        def test_object(guest): pass
        def test_factory(db_session, member_factory): pass
        def test_other(nobody): pass
        """
    )

    result = project.run()

    result.assert_outcomes(errors=3)
    for name in ("guest", "member_factory"):
        result.stdout.fnmatch_lines(
            [
                "*- asyncdb factories -*",
                f"register() has made the fixture {name!r} in tests.factories, where *",
                "from tests.factories import *",
            ]
        )
    assert 2 == result.stdout.str().count("register() has made")


def test_a_fixture_that_was_registered_in_another_module_is_had_by_importing_all(
    project: Project,
) -> None:
    """What the hint says."""
    project.write("tests/__init__", "")
    project.write("tests/factories", ELSEWHERE)
    project.ini(pythonpath=".")
    project.write(
        "conftest", CONFTEST + "\n    from tests.factories import *  # noqa: F403\n"
    )
    project.test(
        """
        def test_it(guest, member_factory):
            assert ["member0", "member1"] == [guest.name, member_factory().name]
        """
    )

    result = project.run()

    result.assert_outcomes(passed=1)


def test_register_says_what_it_cannot_do(project: Project) -> None:
    """A function has no fixtures, and not every text is a name."""
    project.test(
        HEAD,
        """
        from pytest_asyncdb import FactoryRefused, register

        def test_function():
            with pytest.raises(FactoryRefused, match="inside of a function"):
                register(UserFactory)

        with pytest.raises(FactoryRefused, match="cannot have that name"):
            register(UserFactory, "two words")
        with pytest.raises(FactoryRefused, match="no attribute 'nme'"):
            register(UserFactory, nme=1)
        register(UserFactory, "guest", name="Guest")

        def test_it(guest):
            assert "Guest" == guest.name
        """,
    )

    result = project.run()

    result.assert_outcomes(passed=2)


def test_a_test_without_a_session_is_told(project: Project) -> None:
    """And a thread that is not the test's."""
    project.test(
        HEAD,
        """
        async def test_none():
            await UserFactory()

        async def test_thread(db_session):
            await asyncio.to_thread(UserFactory)

        async def test_loop_of_a_thread(db_session):
            def work():
                async def create():
                    await UserFactory()
                asyncio.run(create())

            await asyncio.to_thread(work)
        """,
    )

    result = project.run()

    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["*ask for db_session in the test*"])
    assert 2 == result.stdout.str().count("was called in a thread that is not")


RANDOM = """
    import random, factory
    from factory.fuzzy import FuzzyInteger
    from conftest import UserFactory

    class RandomFactory(UserFactory):
        name = factory.Faker("lexify", text="????????????")

    @pytest.mark.parametrize("turn", [1, 2])
    async def test_it(db_session, turn):
        with open("values.txt", "a") as file:
            print((await RandomFactory()).name, UserFactory.build().name, file=file)
"""


def test_values_are_the_same_with_the_same_seed(project: Project) -> None:
    """For each test, in whatever order tests run; another seed gives others."""
    project.test(RANDOM)
    runs = []
    for args in (["--asyncdb-random-seed=7"], ["-n2", "--asyncdb-random-seed=7"], []):
        plugins = ("asyncdb", "asyncio", "xdist") if "-n2" in args else None
        result = project.run(*args, **({"plugins": plugins} if plugins else {}))
        result.assert_outcomes(passed=2)
        runs.append(sorted((project.path / "values.txt").read_text().splitlines()))
        (project.path / "values.txt").unlink()

    assert runs[0] == runs[1] != runs[2]
    assert 2 == len({*runs[0]})
    assert {"user1"} == {line.split()[1] for line in runs[0]}


def test_the_seed_is_shown(project: Project) -> None:
    """In the header, and where a test fails that used a factory."""
    project.test(
        HEAD,
        """
        async def test_it(db_session):
            await UserFactory()
            assert False
        """,
    )

    result = project.run()
    again = re.search(r"--asyncdb-random-seed=(\d+)", result.stdout.str())

    assert again is not None
    result.stdout.fnmatch_lines([f"asyncdb: factories, random seed {again[1]}"])


def test_a_seed_that_is_no_number_is_refused(project: Project) -> None:
    """Before any test runs."""
    result = project.run("--asyncdb-random-seed=many")

    result.stderr.fnmatch_lines(
        ["*--asyncdb-random-seed is 'many', which is no whole*"]
    )


def test_factories_are_checked_where_that_is_asked(project: Project) -> None:
    """One check for each, with its traits; nothing of it is left."""
    project.write("conftest", CONFTEST.replace('name="Boss", ', ""))
    project.test(
        HEAD,
        """
        import factory
        from pytest_asyncdb.factories import AsyncModelFactory

        class BrokenFactory(UserFactory):
            class Params:
                broken = factory.Trait(name="the same")

        async def test_it(db_session):
            assert 0 == await db_session.scalar(COUNT)
        """,
    )

    plain, checked = project.run(), project.run("--asyncdb-factories", "-v")

    plain.assert_outcomes(passed=1)
    checked.assert_outcomes(passed=2, failed=1)
    checked.stdout.fnmatch_lines(["*factory?UserFactory? PASSED*"])
    checked.stdout.fnmatch_lines(["*BrokenFactory makes no rows that the schema*"])
    checked.stdout.fnmatch_lines(["*BrokenFactory with broken: IntegrityError:*"])


def test_checks_of_factories_elsewhere_see_the_conftest_of_the_tests(
    project: Project,
) -> None:
    """Of a module of the application, which lies in no folder of tests."""
    project.write(
        "shop/factories",
        """
        import factory
        from models import User
        from pytest_asyncdb.factories import AsyncModelFactory

        class UserFactory(AsyncModelFactory[User]):
            class Meta:
                model = User

            name = factory.Sequence(str)
        """,
    )
    (project.path / "conftest.py").unlink()
    project.write("tests/conftest", f"{DECIDED}    import shop.factories")
    project.write("tests/test_it", "def test_it(): pass")
    project.ini(pythonpath=".")
    name = "tests/conftest.py::factory[UserFactory]"
    result = project.run("--asyncdb-factories", "-v")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"{name.replace('[', '[[]')} PASSED*"])
    project.run(name).assert_outcomes(passed=1)


def test_the_id_of_a_check_names_the_file_of_its_factory(project: Project) -> None:
    """Which is imported for it, where nobody else does."""
    broken = """
        from models import User
        from pytest_asyncdb.factories import AsyncModelFactory

        class BrokenFactory(AsyncModelFactory[User]):
            class Meta:
                model = User

            name = None
        """
    project.write("conftest", DECIDED)
    project.write("tests/factories", broken)
    project.write("tests/test_it", "import factories\ndef test_it(): assert False")
    name = "tests/factories.py::factory[BrokenFactory]"
    result = project.run("--asyncdb-factories")

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines([f"FAILED {name.replace('[', '[[]')}*"])
    project.run(name).assert_outcomes(failed=1)
    file, options = (
        "tests/factories.py",
        ["--asyncdb-factories", "--asyncdb-lint-schema"],
    )
    project.run(*options, file).assert_outcomes(passed=5, failed=1)
    again = project.run("--asyncdb-factories", "--lf", "-pcacheprovider")
    again.assert_outcomes(failed=2)


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_what_factories_cost_is_reported(
    project: Project, workers: tuple[str, ...]
) -> None:
    """The most expensive first, also of several workers."""
    project.test(
        HEAD,
        """
        async def test_many(db_session):
            await UserFactory.create_batch(50)

        async def test_one(db_session):
            await UserFactory()
            await UserFactory()
        """,
    )
    plugins = ("asyncdb", "asyncio", "xdist")

    result = project.run("--asyncdb-factory-report", *workers, plugins=plugins)

    result.assert_outcomes(passed=2)
    result.stdout.re_match_lines(
        [
            "asyncdb: factories, the most expensive first",
            r" +seconds +statements +flushes +rows +calls +factory, test",
        ]
    )
    result.stdout.re_match_lines([r" +0\.\d+ +\d+ +1 +50 +1 +UserFactory, .*test_many"])
    result.stdout.re_match_lines([r" +0\.\d+ +\d+ +2 +2 +2 +UserFactory, .*test_one"])
