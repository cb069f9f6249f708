"""What cannot be explored is refused with a reason, and leaves nothing running."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from pytest_asyncdb.concurrency import Explorer, explore, replay
from pytest_asyncdb.errors import (
    ActorStuck,
    AnomalyFound,
    ExplorationRefused,
    IncompleteSearch,
    ProbeRefused,
)
from tests.concurrency.explore.shop import SCENARIOS, Product, add

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

    Sessions = async_sessionmaker[AsyncSession]

pytestmark = pytest.mark.parametrize("server", ["postgresql+asyncpg"], indirect=True)


@pytest.fixture(autouse=True)
async def _nothing_stays(engine: AsyncEngine) -> AsyncIterator[None]:
    """Neither listeners nor tasks."""
    before = _listeners(engine)
    yield
    assert before == _listeners(engine)
    assert [asyncio.current_task()] == list(asyncio.all_tasks())


def _listeners(engine: AsyncEngine) -> list[int]:
    names = "before_cursor_execute", "commit", "rollback", "engine_connect"
    dispatch = engine.sync_engine.dispatch
    return [len(list(getattr(dispatch, name))) for name in names]


@pytest.fixture
async def two(sessions: Sessions) -> dict[str, Any]:
    """Two actors with which nothing is wrong."""
    return {
        "a": partial(add, sessions, 1, in_sql=True),
        "b": partial(add, sessions, 2, in_sql=True),
    }


async def test_a_sync_function(engine: AsyncEngine, two: dict[str, Any]) -> None:
    """It could not be stopped between two statements."""
    with pytest.raises(ExplorationRefused, match="the actor b is a sync function"):
        await explore(engine, a=two["a"], b=lambda: None)


async def test_a_coroutine(engine: AsyncEngine, two: dict[str, Any]) -> None:
    """It runs once only, and is closed."""
    with pytest.raises(ExplorationRefused, match="can be run only once") as caught:
        await explore(engine, a=two["a"](), b=two["b"])
    assert "a=lambda" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bound": 3}, "which is no function"),
        ({"invariants": 3}, "did you mean the option invariant?"),
        ({"strategy": "bfs"}, "give 'dfs' or 'random' or 'pct'"),
        ({"max_schedules": 0}, "give 1 or more"),
        ({"isolation": "SNAPSHOT"}, "READ COMMITTED"),
        ({"invariant": 5}, "an async function"),
        ({"strategy": "random", "require_complete": True}, "never complete"),
    ],
)
async def test_an_option(
    given: dict[str, Any], said: str, engine: AsyncEngine, two: dict[str, Any]
) -> None:
    """Refused with what there is, before anything runs."""
    with pytest.raises(ExplorationRefused, match=said):
        await explore(engine, two, **given)


async def test_actors_without_names(engine: AsyncEngine, two: dict[str, Any]) -> None:
    """There is one mapping at the most; a call says how to write it."""
    search: Any = Explorer(engine)
    said = r"actors are keywords: explore\(a=f, b=g\), or one mapping"

    with pytest.raises(ExplorationRefused, match=said):
        await search.explore(two["a"], two["b"])
    with pytest.raises(ExplorationRefused, match=said):
        await search.explore(two["a"])
    with pytest.raises(ExplorationRefused, match=said):
        await search.replay("AB", two, two["b"])
    with pytest.raises(ExplorationRefused, match="give a list: explore_pairs"):
        await search.explore_pairs(two["a"], two["b"])
    with pytest.raises(ExplorationRefused, match=said):
        await explore(engine, two["a"], two["b"])


async def test_a_shared_session(engine: AsyncEngine) -> None:
    """Requests never share one, so nothing would follow from what happens."""
    async with AsyncSession(engine) as session:

        async def read() -> None:
            await session.get(Product, 1)
            await session.commit()

        with pytest.raises(ExplorationRefused, match="a and b share one session"):
            await explore(engine, a=read, b=read)


@pytest.mark.parametrize("begins", [False, True])
async def test_a_shared_session_that_refuses_the_second_actor(
    begins: bool,  # noqa: FBT001
    engine: AsyncEngine,
) -> None:
    """SQLAlchemy does so before anything is sent, in words about states."""
    async with AsyncSession(engine) as session:

        async def insert() -> None:
            if begins:
                async with session.begin():
                    session.add(Product(id=7, quantity=1, version=1))
                    await session.flush()
            else:
                session.add(Product(id=7, quantity=1, version=1))
                await session.commit()

        with pytest.raises(ExplorationRefused, match="a and b share one") as caught:
            await explore(engine, a=insert, b=insert)
        assert "give each its own session, from db_sessionmaker" in str(caught.value)


async def test_an_actor_that_never_ends(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    """Neither one that sends statements for ever."""

    async def poll() -> None:
        async with sessions() as session:
            while True:
                await session.execute(text("SELECT 1"))

    with pytest.raises(ActorStuck, match=r"come to 2000 steps, most of them of b"):
        await explore(engine, a=partial(add, sessions, 1, in_sql=True), b=poll)


async def test_actors_that_wait_in_python(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    """One that nobody wakes is given up, with the line where it stands."""
    never = asyncio.Event()

    async def wait() -> None:
        async with sessions() as session:
            await session.get(Product, 1)
            await never.wait()

    with pytest.raises(ActorStuck, match=r"b is at .*:\d+") as caught:
        await explore(
            engine, a=partial(add, sessions, 1, in_sql=True), b=wait, patience=0.5
        )
    assert "let no actor wait in Python" in str(caught.value)


async def test_actors_that_wait_for_each_other_in_python(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    """A lock in Python keeps everything in order, and is told as such."""

    async def locked(lock: list[asyncio.Lock]) -> None:
        async with lock[0], sessions() as session:
            product = await session.get_one(Product, 1)
            product.quantity += 1
            await session.commit()

    lock = [asyncio.Lock()]
    result = await explore(engine, a=partial(locked, lock), b=partial(locked, lock))
    assert result.anomaly is None
    assert result.complete
    assert any("b at" in each or "a at" in each for each in result.stalls)


async def test_code_that_is_not_deterministic(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    """The first statement that differs is named, and the search is not complete."""
    numbers = iter(range(10_000))

    async def once(more: int) -> None:
        async with sessions() as session:
            await session.get(Product, 1)
            if next(numbers) % 5 == 0:
                await session.execute(text("SELECT 2"))
            row = update(Product).where(Product.id == 1)
            await session.execute(row.values(quantity=Product.quantity + more))
            await session.commit()

    with pytest.warns(IncompleteSearch, match="the code is not deterministic"):
        result = await explore(
            engine, a=partial(once, 1), b=partial(once, 2), check=False
        )
    assert not result.complete
    assert result.divergences


async def test_a_statement_on_another_engine(
    engine: AsyncEngine, sessions: Sessions, two: dict[str, Any]
) -> None:
    """It is not held, and the report says so."""
    other = create_async_engine("sqlite+aiosqlite://")

    async def elsewhere() -> None:
        async with other.connect() as connection:
            await connection.execute(text("SELECT 41 + 1"))
        await two["a"]()

    result = await explore(engine, a=elsewhere, b=two["b"])
    await other.dispose()
    assert "not let go one by one: SELECT 41 + 1" in result.notes


async def test_a_slow_driver_is_no_stall(
    engine: AsyncEngine, two: dict[str, Any]
) -> None:
    """What is sent before a transaction is no step, and takes as long as it takes."""

    def slowly(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT pg_sleep(0.15)")

    event.listen(engine.sync_engine, "begin", slowly)
    try:
        result = await explore(engine, two, preemption_bound=0)
    finally:
        event.remove(engine.sync_engine, "begin", slowly)
    assert result.complete
    assert [] == result.stalls


async def test_a_change_of_the_schema(
    engine: AsyncEngine, sessions: Sessions, two: dict[str, Any]
) -> None:
    """Refused before it is sent, even where the application catches everything."""

    async def create() -> None:
        async with sessions() as session:
            with contextlib.suppress(Exception):
                await session.execute(text("CREATE TABLE more (id int)"))
            await session.commit()

    with pytest.raises(ExplorationRefused, match="b changes the schema: CREATE TABLE"):
        await explore(engine, a=two["a"], b=create)


async def test_a_database_in_memory(server: str) -> None:
    """It has one connection; a file is needed."""
    engine = create_async_engine("sqlite+aiosqlite://")

    async def read() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    with pytest.raises(ProbeRefused, match="use a file"):
        await explore(engine, a=read, b=read)
    await engine.dispose()


async def test_a_session_of_others_that_holds_a_lock(
    engine: AsyncEngine, sessions: Sessions, two: dict[str, Any]
) -> None:
    """It is told apart from the actors' own."""
    async with engine.connect() as connection:
        await connection.execute(
            select(Product).where(Product.id == 1).with_for_update()
        )
        with pytest.raises(ActorStuck, match="sessions of others that hold a lock"):
            await explore(engine, two, patience=0.5)


async def test_a_search_inside_a_search(
    engine: AsyncEngine, two: dict[str, Any]
) -> None:
    """There is one set of listeners for the process."""

    async def search() -> None:
        await explore(engine, two)

    with pytest.raises(ExplorationRefused, match="cannot contain another"):
        await explore(engine, a=two["a"], b=search)


@pytest.mark.parametrize("schedule", ["", "AC", "ab", 7])
async def test_what_is_no_schedule(
    schedule: Any, engine: AsyncEngine, two: dict[str, Any]
) -> None:
    """The letters are named."""
    with pytest.raises(ExplorationRefused, match="A for a, B for b"):
        await replay(engine, schedule, two)


async def test_actors_that_all_fail(engine: AsyncEngine) -> None:
    """Nothing was explored then, and saying "no anomaly" would be a lie."""

    async def fail() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        raise LookupError("x")

    with pytest.raises(ExplorationRefused, match="no actor succeeds") as caught:
        await explore(engine, a=fail, b=fail)
    assert isinstance(caught.value.__cause__, LookupError)


async def test_actors_that_send_no_statement(engine: AsyncEngine) -> None:
    """Nothing was explored then, either; how each one ended may say why."""

    async def misspelled() -> str:
        return "404 Not Found"

    async def fail() -> None:
        raise LookupError("x")

    with pytest.raises(ExplorationRefused, match="no actor sent a state") as caught:
        await explore(engine, a=misspelled, b=fail)
    assert (
        "a ended: '404 Not Found'",
        "b ended: LookupError('x')",
    ) == caught.value.tried
    with pytest.raises(ExplorationRefused, match="no actor sent a statement"):
        await replay(engine, "A", a=misspelled, b=fail)
    with pytest.raises(ExplorationRefused, match="misspelled_2 ended: '404"):
        await Explorer(engine).explore_pairs([misspelled])


async def test_an_actor_that_sends_no_statement_beside_one_that_does(
    engine: AsyncEngine, two: dict[str, Any]
) -> None:
    """It may be right, such as an answer from a cache, so it is only said."""
    result = await explore(engine, a=two["a"], b=partial(asyncio.sleep, 0))

    assert ["b sent no statement"] == result.notes
    assert [] == (await explore(engine, a=two["a"])).notes


async def test_actors_whose_statements_go_elsewhere(engine: AsyncEngine) -> None:
    """The statements are named that nobody could hold."""
    other = create_async_engine("sqlite+aiosqlite://")

    async def elsewhere() -> None:
        async with other.connect() as connection:
            await connection.execute(text("SELECT 41 + 1"))

    with pytest.raises(ExplorationRefused, match="sent elsewhere: SELECT 41"):
        await explore(engine, a=elsewhere, b=elsewhere)
    await other.dispose()


async def test_a_search_that_is_cut(engine: AsyncEngine, two: dict[str, Any]) -> None:
    """It warns, or fails where it has to be complete."""
    with pytest.warns(IncompleteSearch, match="no anomaly cut after 2 schedules"):
        await explore(engine, two, max_schedules=2)
    with pytest.raises(ExplorationRefused, match="the search is not complete"):
        await explore(engine, two, max_schedules=2, require_complete=True)


async def test_an_invariant_and_an_assertion(
    engine: AsyncEngine, sessions: Sessions, two: dict[str, Any]
) -> None:
    """Both are told by what they say."""

    async def small(session: AsyncSession) -> None:
        assert (await session.get_one(Product, 1)).quantity < 13, "too many"

    async def wrong() -> None:
        await two["a"]()
        assert two is None, "never"

    with pytest.raises(AnomalyFound, match="invariant: AssertionError: too many"):
        await explore(engine, two, invariant=small)
    with pytest.raises(AnomalyFound, match="assertion: b: AssertionError: never"):
        await explore(engine, a=two["a"], b=wrong)


async def test_the_start_is_there_again(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    """Also after an anomaly, with the same numbers of sequences."""
    actors = SCENARIOS[8].functions(sessions)

    found = [await explore(engine, actors, check=False) for _ in range(2)]
    assert 1 == len({each.anomaly and each.anomaly.schedule for each in found})
    async with engine.connect() as connection:
        query = text("SELECT count(*), max(last_value) FROM loose_email, pg_sequences")
        assert 0 == (await connection.execute(query)).one()[0]


async def test_pairs_of_functions(engine: AsyncEngine, sessions: Sessions) -> None:
    """Each one against itself and the others, in one table."""

    async def read() -> int:
        async with sessions() as session:
            return (await session.get_one(Product, 1)).quantity

    async def wrong() -> None:
        await add(sessions, 1, in_sql=False)

    async def right() -> None:
        await add(sessions, 1, in_sql=True)

    pairs = await Explorer(engine).explore_pairs([read, wrong, right], check=False)
    assert [("wrong", "wrong"), ("wrong", "right")] == pairs.bad
    assert 6 == len(str(pairs).splitlines())
    assert "no anomaly" in pairs["right", "read"].verdict
    with pytest.raises(AnomalyFound, match="2 of 6 pairs have an anomaly"):
        await Explorer(engine).explore_pairs([read, wrong, right])


async def test_levels_in_turn(engine: AsyncEngine, sessions: Sessions) -> None:
    """One call, a verdict for each; the first bad one is the result."""
    actors = SCENARIOS[11].functions(sessions)
    levels = ["SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"]

    result = await explore(engine, actors, isolation=levels, check=False)
    found = {level: each.anomaly is None for level, each in result.by_isolation.items()}
    assert dict(zip(levels, [True, False, False], strict=True)) == found
    assert result.anomaly is not None
    assert "write skew" == result.anomaly.name
