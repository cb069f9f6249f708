"""`db_concurrency.explore` and the mark `asyncdb_race` in a project's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_EXPLORED: Final = """
    from pytest_asyncdb import AnomalyFound
    from sqlalchemy import update

    @pytest.fixture
    async def ann(db_session):
        db_session.add(User(id=1, name="ann"))
        await db_session.flush()

    async def longer(sessions, more, in_sql):
        async with sessions() as session:
            user = await session.get_one(User, 1)
            user.name = (User if in_sql else user).name + more
            await session.commit()

    async def test_wrong(ann, db_concurrency, db_sessionmaker):
        with pytest.raises(AnomalyFound, match="lost update") as caught:
            await db_concurrency.explore(
                a=lambda: longer(db_sessionmaker, "1", False),
                b=lambda: longer(db_sessionmaker, "2", False),
            )
        assert caught.value.result.schedules <= 5

    async def test_right(ann, db_concurrency, db_sessionmaker, db_session):
        result = await db_concurrency.explore(
            a=lambda: longer(db_sessionmaker, "1", True),
            b=lambda: longer(db_sessionmaker, "2", True),
        )
        assert result.complete
        assert ["ann"] == list(await db_session.scalars(select(User.name)))

    async def test_nothing_stays(db_session):
        assert 0 == await db_session.scalar(COUNT)
"""


@pytest.mark.parametrize("word", ["sqlite", "postgresql@embedded"])
def test_functions_are_explored_and_the_test_is_undone(
    project: Project, word: str
) -> None:
    """What fixtures have written is the start, and there again afterwards."""
    project.test(_EXPLORED)

    result = project.run(f"--asyncdb={word}")

    result.assert_outcomes(passed=3)


def test_what_a_search_repeats_is_no_load_in_a_loop(project: Project) -> None:
    """And it is not in the log of the test, which goes on afterwards."""
    project.test(
        """
        async def test_it(db_concurrency, db_sessionmaker, db_session, db_statements):
            async def names():
                async with db_sessionmaker() as session:
                    return list(await session.scalars(select(User.name)))

            await db_concurrency.explore(a=names, b=names, c=names)
            assert [] == list(db_statements.log)
            await db_session.scalar(COUNT)
            assert 1 == len(db_statements.log)
        """
    )

    result = project.run("--asyncdb-n-plus-one=fail")

    result.assert_outcomes(passed=1)


def test_a_failure_shows_the_schedule(project: Project) -> None:
    """With a lane for each actor, and a line that replays it."""
    project.test(
        """
        async def test_it(db_concurrency, db_sessionmaker):
            async def register():
                async with db_sessionmaker() as session:
                    if await session.scalar(COUNT) == 0:
                        session.add(User(name=f"user {id(session)}"))
                    await session.commit()

            await db_concurrency.explore(a=register, b=register, volatile=["name"])
        """
    )

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *AnomalyFound: double insert: a and b succeeded*",
            "E * a * b*",
            'E *replay: await db_concurrency.replay("*", a=a, b=b)',
        ]
    )


_RACED: Final = """
    from sqlalchemy import update

    @pytest.fixture
    async def ann(db_session):
        db_session.add(User(id=1, name="ann"))
        await db_session.commit()

    @pytest.mark.asyncdb_race(actors=2)
    async def test_right(ann, db_sessionmaker):
        async with db_sessionmaker() as session:
            await session.execute(update(User).values(name=User.name + "!"))
            await session.commit()

    class TestClass:
        @pytest.mark.asyncdb_race(actors=2, preemption_bound=1)
        async def test_wrong(self, ann, db_sessionmaker):
            async with db_sessionmaker() as session:
                user = await session.get_one(User, 1)
                user.name += "!"
                await session.commit()

    @pytest.mark.asyncdb_race
    async def test_shared(ann, db_session):
        await db_session.execute(update(User).values(name=User.name + "!"))
        await db_session.commit()

    async def test_nothing_stays(db_session):
        assert 0 == await db_session.scalar(COUNT)
"""


def test_copies_of_a_test_race_against_each_other(project: Project) -> None:
    """By the mark alone; the test's own fixtures are set up once."""
    project.test(_RACED)

    result = project.run()

    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*lost update: a and b succeeded*"])
    result.stdout.fnmatch_lines(["*the actors a and b share one session*"])


@pytest.mark.parametrize(
    "call",
    ["explore(a=look)", 'replay("A", a=look)', "explore_pairs([look])"],
)
def test_a_search_that_nobody_awaits_fails_its_test(
    call: str, project: Project
) -> None:
    """Python only warns of it, and nothing was tried."""
    project.test(
        f"""
        async def test_it(db_concurrency, db_sessionmaker):
            async def look():
                async with db_sessionmaker() as session:
                    await session.scalar(COUNT)

            await db_concurrency.explore(a=look)
            db_concurrency.{call}
        """
    )

    result = project.run("-W", "error")

    result.assert_outcomes(passed=1, errors=1)
    name = call.partition("(")[0]
    result.stdout.fnmatch_lines(
        [
            f"*{name} was called and never awaited",
            f"*write `await db_concurrency.{name}(...)`",
        ]
    )


def test_a_race_of_requests_that_reach_nothing_is_refused(project: Project) -> None:
    """A path with a typing error is no green test."""
    project.test(
        """
        import fastapi
        import httpx

        @pytest.mark.asyncdb_race(actors=2)
        async def test_it(db_sessionmaker):
            transport = httpx.ASGITransport(fastapi.FastAPI())
            async with httpx.AsyncClient(
                transport=transport, base_url="http://test"
            ) as client:
                await client.post("/misspelled")
        """
    )

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no actor sent a statement*", "*- a ended: None*"])


@pytest.mark.parametrize(
    ("mark", "kind", "said"),
    [
        ("asyncdb_race(actors=1)", "async def", "it takes actors=2 or more*"),
        ("asyncdb_race(3)", "async def", "it takes actors=2 or more*"),
        (
            "asyncdb_race(actor=2)",
            "async def",
            "there is no option 'actor', did you mean 'actors'?",
        ),
        (
            "asyncdb_race(max_schedule=2)",
            "async def",
            "there is no option 'max_schedule', did you mean 'max_schedules'?",
        ),
        ("asyncdb_race(a=2)", "async def", "there is no option 'a'*"),
        ("asyncdb_race", "def", "the test is not async"),
    ],
)
def test_a_race_that_cannot_be_is_refused_at_collection(
    project: Project, mark: str, kind: str, said: str
) -> None:
    """With what the mark takes."""
    project.test(
        f"""
        @pytest.mark.{mark}
        {kind} test_it():
            pass
        """
    )

    result = project.run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*@pytest.mark.asyncdb_race: {said}"])
