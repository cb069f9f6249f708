"""The same function on several products, in projects that compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

PLUGINS = ("asyncdb", "asyncio", "hypothesispytest")
MODELS: Final = """
    from sqlalchemy import ForeignKey, String
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None] = mapped_column(String(5), unique=True)

    class Note(Base):
        __tablename__ = "notes"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str] = mapped_column(String(20))
        user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
"""
CONFTEST: Final = """
    import pytest
    from models import Base, User

    @pytest.fixture(scope="session")
    def asyncdb_metadata():
        return Base.metadata

    @pytest.fixture(scope="session")
    def asyncdb_seed():
        async def seed(session):
            session.add_all([User(name="ann"), User(name=None), User(name="Bob")])
        return seed
"""
HEAD: Final = """
    import asyncio
    from sqlalchemy.exc import IntegrityError
    from models import Note
    from pytest_asyncdb.strategies import compare_backends, from_model

    ON = ("sqlite", "postgresql@embedded")

    async def names(session, *order):
        return [*await session.scalars(select(User.name).order_by(*order or [User.id]))]

    async def sorted_names(session):
        return await names(session, User.name)
"""
FINDS: Final = {
    "NULL is first or last": (
        """
        async def test_it(db_session):
            await compare_backends(sorted_names, on=ON)
        """,
        "*BackendsDiffer: sorted_names does not give the same on sqlite, postgresql@*",
        "* - sqlite: [[]None, 'Bob', 'ann']",
        "* - postgresql@embedded: [[]'Bob', 'ann', None]",
        "*first difference: [[]0] is None on sqlite and 'Bob' on postgresql@embedded",
        "* - only the order differs: *x.is_(None) in front of *",
    ),
    "LIKE minds case": (
        """
        async def starting_with_b(session):
            return await session.scalar(select(User).where(User.name.like("b%")))

        async def test_it(db_session):
            await compare_backends(starting_with_b, on=ON)
        """,
        "* - sqlite: User(id=3, name='Bob')",
        "* - postgresql@embedded: None",
    ),
    "a text is too long": (
        """
        async def test_it(db_session):
            await compare_backends(names, on=ON, rows=User(name="annabella"))
        """,
        "* - sqlite: [[]'ann', None, 'Bob', 'annabella']",
        "* - postgresql@embedded: raises DBAPIError: *value too long*",
    ),
    "a function is unknown": (
        """
        async def test_it(db_run):
            db_run(lambda: compare_backends(
                lambda session: session.scalar(text("SELECT concat('a', NULL, 7/2)")),
                on=[*reversed(ON), "mariadb@local"],
            ))
        """,
        "*BackendsDiffer: <lambda> does not give the same on *",
        "* - postgresql@embedded: 'a3'",
        "* - sqlite: *",
        "* - mariadb@local: *",
    ),
}
REFUSED: Final = {
    "names, on=('sqlite',)": "StrategyRefused: compare_backends needs two different*",
    "names, on='sqlite'": "StrategyRefused: compare_backends needs two different*",
    "names, on=('sqlite', 'sqlite')": "StrategyRefused: compare_backends needs two*",
    "names, on=('sqlite', 7)": "StrategyRefused: compare_backends needs two*",
    "names, on=('sqlite', 'postgre')": "UnknownBackend: there is no * 'postgre'",
    "names, on=('sqlite', 'postgresql:7@embedded')": "SourceUnavailable: *",
    "names(db_session), on=ON": "StrategyRefused: <coroutine* is no coroutine func*",
    "len, on=ON": "TypeError: object of type 'AsyncSession' has no len()",
    "repr, on=ON": "StrategyRefused: <built-in * is no coroutine function *",
    "names, on=ON, rows=['ann']": "StrategyRefused: 'ann' is no object of a mapped*",
    "names, on=ON, rows=written": "StrategyRefused: <* belongs to a session or has *",
    "lambda _: names(db_session), on=ON": "StrategyRefused: the function that is com*",
    "cursor, on=ON": "StrategyRefused: <*Result* cannot be compared: *",
}


@pytest.fixture
def project(project: Project) -> Project:
    """A project with a seed."""
    project.write("models", MODELS)
    project.write("conftest", CONFTEST)
    return project


@pytest.mark.parametrize("what", FINDS)
def test_a_difference_is_found(project: Project, what: str) -> None:
    """With what came of it on each product."""
    source, *lines = FINDS[what]
    project.test(HEAD, source)
    result = project.run()
    if "no mariadb" in result.stdout.str():
        pytest.skip("there is no MariaDB")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(lines)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_is_the_same_on_each(project: Project, database: str) -> None:
    """The seed and no other row is there, in every isolation, and is so again."""
    project.test(
        HEAD,
        """
        async def ordered(session):
            return await names(session, User.name.desc().nulls_last())

        async def add(session):
            session.add(User(name="new"))
            await session.commit()
            return await session.scalar(select(User).where(User.name == "new"))

        async def again(session):
            await session.execute(insert(User).values(id=1, name="ann"))

        async def test_result(db_session, db_statements):
            db_session.add(User(name="mine"))
            await db_session.commit()
            async with db_statements.expect(exactly=0):
                assert ["ann", "Bob", None] == await compare_backends(ordered, on=ON)
            assert 4 == await db_session.scalar(COUNT)

        def in_mode(name):
            return pytest.param(marks=pytest.mark.asyncdb(isolation=name), id=name)

        @pytest.mark.parametrize((), map(in_mode, ["sandbox", "commit", "database"]))
        def test_modes(db_run):
            for _ in range(2):
                new = db_run(lambda: compare_backends(add, on=ON))
                assert (4, "new") == (new.id, new.name)

        @pytest.mark.asyncdb(isolation="commit")
        async def test_at_once(db_session):
            both = [compare_backends(add, on=ON) for _ in range(2)]
            assert [4, 4] == [new.id for new in await asyncio.gather(*both)]

        async def test_error(db_session):
            with pytest.raises(IntegrityError):
                await compare_backends(again, on=ON)
        """,
    )
    result = project.run(f"--asyncdb={database}")

    result.assert_outcomes(passed=6)


def test_rows_of_a_strategy(project: Project) -> None:
    """Each example has its own, and the graph is as it was drawn."""
    project.test(
        HEAD,
        """
        from hypothesis import given, settings, strategies as st

        MARIADB = ("sqlite", "mariadb@local")

        async def texts(session):
            query = select(Note.text, User.id).join(User).order_by(Note.id)
            return (await session.execute(query)).all()

        @settings(deadline=None, max_examples=30)
        @given(notes=st.lists(from_model(Note), max_size=3))
        async def test_it(db_session, notes):
            found = await compare_backends(texts, on=ON, rows=notes)
            assert [each.text for each in notes] == [text for text, _ in found]

        @settings(deadline=None, max_examples=30)
        @given(rows=st.lists(from_model(User, name=st.text("aB", max_size=2))))
        async def test_order(db_session, rows):
            await compare_backends(sorted_names, on=MARIADB, rows=rows)
        """,
    )
    result = project.run("--hypothesis-seed=1", plugins=PLUGINS)
    if "no mariadb" in result.stdout.str():
        pytest.skip("there is no MariaDB")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*BackendsDiffer: sorted_names does not give*"])


def test_what_cannot_be_compared(project: Project) -> None:
    """Each mistake has an error of its own."""
    calls = "\n".join(
        f"""
        async def test_{number}(db_session, db_persist):
            written = await db_persist(User(name="x"))
            await compare_backends({call})
        """
        for number, call in enumerate(REFUSED)
    )
    nobodys = """
        async def cursor(session):
            return await session.execute(select(User))

        async def test_nobodys():
            await compare_backends(names, on=ON)
    """
    project.test(HEAD, calls, nobodys)
    result = project.run("--tb=line")

    result.assert_outcomes(failed=len(REFUSED) + 1)
    for line in (*REFUSED.values(), "StrategyRefused: compare_backends has no schema*"):
        result.stdout.fnmatch_lines([f"*{line}"])


def test_how_to_connect_holds_for_the_product_of_the_run(project: Project) -> None:
    """Other engine options hold for all."""
    project.write(
        "conftest",
        CONFTEST
        + """
    @pytest.fixture(scope="session")
    def asyncdb_engine_options():
        return {
            "connect_args": {"server_settings": {"application_name": "ours"}},
            "json_serializer": lambda value: '"always"',
            "pool_size": 3,
        }

    @pytest.fixture(scope="session")
    def asyncdb_session_options():
        return {"expire_on_commit": True, "info": {"name": "ours"}}
    """,
    )
    project.test(
        HEAD,
        """
        from sqlalchemy import JSON, literal

        async def stored(session):
            user = User(name="new")
            session.add(user)
            await session.commit()
            said = await session.scalar(select(literal([], JSON)))
            return user, said, session.info

        async def test_it(db_session):
            user, *said = await compare_backends(stored, on=ON)
            assert ("new", ["always", {"name": "ours"}]) == (user.name, said)
        """,
    )
    result = project.run("--asyncdb=postgresql+asyncpg@embedded")

    result.assert_outcomes(passed=1)
