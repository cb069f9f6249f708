"""Savepoints of the application: `begin_nested`, and SAVEPOINT as SQL text."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

if TYPE_CHECKING:
    from tests.isolation.conftest import Application


async def test_a_nested_transaction_that_commits_keeps_its_row(
    app: Application,
) -> None:
    """Row of the savepoint and row of the session, committed together."""
    async with app.session() as session, session.begin():
        session.add(app.User(name="outer"))
        async with session.begin_nested():
            session.add(app.User(name="nested"))

    assert ["nested", "outer"] == await app.names()


async def test_a_nested_transaction_that_rolls_back_loses_only_its_row(
    app: Application,
) -> None:
    """What was written before and after it is committed."""
    async with app.session() as session, session.begin():
        session.add(app.User(name="before"))
        nested = await session.begin_nested()
        session.add(app.User(name="nested"))
        await nested.rollback()
        session.add(app.User(name="after"))

    assert ["after", "before"] == await app.names()


async def test_three_levels_of_which_the_middle_one_rolls_back(
    app: Application,
) -> None:
    """The innermost row goes along with the middle one, although it was released."""
    async with app.session() as session, session.begin():
        session.add(app.User(name="one"))
        middle = await session.begin_nested()
        session.add(app.User(name="two"))
        async with session.begin_nested():
            session.add(app.User(name="three"))
        await middle.rollback()

    assert ["one"] == await app.names()


async def test_a_released_savepoint_goes_with_the_rollback_of_its_session(
    app: Application,
) -> None:
    """RELEASE keeps nothing by itself; on SQLite's default connection it would."""
    async with app.session() as session:
        async with session.begin_nested():
            session.add(app.User(name="released"))
        await session.rollback()

    assert [] == await app.names()


async def test_an_integrity_error_in_a_nested_transaction(app: Application) -> None:
    """It is rolled back by itself, and the session goes on and commits."""
    await app.add("taken")
    async with app.session() as session:
        session.add(app.User(name="mine"))
        with pytest.raises(IntegrityError):
            async with session.begin_nested():
                session.add(app.User(name="taken"))
        session.add(app.User(name="later"))
        await session.commit()

    assert ["later", "mine", "taken"] == await app.names()


async def test_the_same_savepoint_name_in_two_sessions(app: Application) -> None:
    """SQLAlchemy names both sa_savepoint_1; each rolls back to its own."""
    first = await app.flushed("first")
    second = await app.flushed("second")
    one, two = await first.begin_nested(), await second.begin_nested()
    second.add(app.User(name="undone"))
    await second.flush()
    await two.rollback()
    await one.commit()
    await second.commit()
    await first.commit()
    await first.close()
    await second.close()

    assert ["first", "second"] == await app.names()


async def test_tasks_with_nested_transactions_at_once(app: Application) -> None:
    """Ten tasks each keep one row and undo another in a savepoint."""

    async def work(number: int) -> None:
        async with app.session() as session, session.begin():
            session.add(app.User(name=f"{number}"))
            nested = await session.begin_nested()
            session.add(app.User(name=f"undone {number}"))
            await session.flush()
            await asyncio.sleep(0)
            await nested.rollback()

    await asyncio.gather(*map(work, range(10)))

    assert [f"{number}" for number in range(10)] == await app.names()


async def test_a_reader_keeps_its_savepoints_while_others_write(
    app: Application,
) -> None:
    """Its savepoints gave way to the other's row and come back when they are needed."""
    async with app.session() as session:
        await session.scalars(select(app.User))
        nested = await session.begin_nested()
        await session.scalars(select(app.User))
        await app.add("other")
        session.add(app.User(name="undone"))
        await session.flush()
        await nested.rollback()
        session.add(app.User(name="kept"))
        await session.commit()

    assert ["kept", "other"] == await app.names()


async def test_a_reader_rolls_back_a_savepoint_that_others_wrote_over(
    app: Application,
) -> None:
    """It wrote nothing in it: nothing is lost, and nothing refused."""
    async with app.session() as session:
        nested = await session.begin_nested()
        await session.scalars(select(app.User))
        await app.add("other")
        await nested.rollback()
        await session.commit()

    assert ["other"] == await app.names()


async def test_a_savepoint_that_nobody_used_costs_nothing(app: Application) -> None:
    """Set, released and rolled back before the session's first statement."""
    async with app.session() as session:
        async with session.begin_nested():
            pass
        nested = await session.begin_nested()
        await nested.rollback()
        session.add(app.User(name="first"))
        await session.commit()

    assert ["first"] == await app.names()


async def test_savepoints_as_text(app: Application) -> None:
    """SAVEPOINT, ROLLBACK TO and RELEASE work as the session's own."""
    async with app.engine.begin() as connection:
        await connection.execute(text("SAVEPOINT mine"))
        await connection.execute(text("INSERT INTO users (id, name) VALUES (1, 'no')"))
        await connection.execute(text("ROLLBACK TO SAVEPOINT mine"))
        await connection.execute(text("INSERT INTO users (id, name) VALUES (2, 'yes')"))
        await connection.execute(text("RELEASE SAVEPOINT mine"))

    assert ["yes"] == await app.names()


async def test_a_name_set_twice_means_the_newer_savepoint(app: Application) -> None:
    """As on a server: the older one is hidden until the newer one is released."""
    async with app.engine.begin() as connection:
        for number in range(2):
            await connection.execute(text("SAVEPOINT twice"))
            await connection.execute(
                text(f"INSERT INTO users (id, name) VALUES ({number}, 'row {number}')")
            )
        await connection.execute(text("ROLLBACK TO twice"))
        await connection.execute(text("RELEASE twice"))
        assert ["row 0"] == list(
            await connection.scalars(text("SELECT name FROM users"))
        )
        await connection.execute(text("ROLLBACK TO twice"))

    assert [] == await app.names()


async def test_a_savepoint_that_does_not_exist(app: Application) -> None:
    """The server says so, as it would to a connection of the application's own."""
    async with app.engine.connect() as connection:
        with pytest.raises(DBAPIError, match=r"(?i)savepoint.*(nobody|exist)"):
            await connection.execute(text("ROLLBACK TO SAVEPOINT nobody"))
        await connection.rollback()
        await connection.execute(text("INSERT INTO users (id, name) VALUES (1, 'on')"))
        await connection.commit()

    assert ["on"] == await app.names()


async def test_releasing_the_outer_savepoint_releases_the_inner_ones(
    app: Application,
) -> None:
    """Both rows stay, and the inner name is gone."""
    async with app.engine.connect() as connection:
        for name, number in (("outer", 1), ("inner", 2)):
            await connection.execute(text(f"SAVEPOINT {name}"))
            await connection.execute(
                text(f"INSERT INTO users (id, name) VALUES ({number}, '{name}')")
            )
        await connection.execute(text("RELEASE SAVEPOINT outer"))
        await connection.commit()

    assert ["inner", "outer"] == await app.names()


async def test_after_rollback_to_the_savepoint_can_be_used_again(
    app: Application,
) -> None:
    """ROLLBACK TO keeps the savepoint; a retry loop sets it once."""
    await app.add("taken")
    async with app.engine.begin() as connection:
        await connection.execute(text("SAVEPOINT again"))
        for name in ("taken", "taken", "free"):
            statement = text(f"INSERT INTO users (name) VALUES ('{name}')")
            try:
                await connection.execute(statement)
            except IntegrityError:
                await connection.execute(text("ROLLBACK TO SAVEPOINT again"))

    assert ["free", "taken"] == await app.names()


async def test_a_savepoint_name_that_needs_quotes(app: Application) -> None:
    """A quoted name with a space, as some frameworks make them."""
    async with app.engine.begin() as connection:
        await connection.execute(text('SAVEPOINT "my point"'))
        await connection.execute(text("INSERT INTO users (id, name) VALUES (1, 'no')"))
        await connection.execute(text('ROLLBACK TO SAVEPOINT "my point"'))

    assert [] == await app.names()


async def test_a_savepoint_of_another_survives_the_rollback_below_it(
    app: Application,
) -> None:
    """The rollback takes along what stands above, and nothing was written in that."""
    upper = app.session()
    await upper.begin_nested()
    lower = await app.flushed("lower")
    upper.add(app.User(name="undone"))
    await upper.flush()
    nested = await lower.begin_nested()
    await lower.scalars(select(app.User))
    await upper.close()
    lower.add(app.User(name="nested"))
    await lower.flush()
    await nested.rollback()
    await lower.commit()
    await lower.close()

    assert ["lower"] == await app.names()


async def test_a_released_savepoint_beside_anothers_row(app: Application) -> None:
    """RELEASE does not tie the rows to those of the other one: the rollback is free."""
    async with app.engine.connect() as other, app.engine.connect() as mine:
        await other.execute(select(app.User))
        await mine.execute(select(app.User))
        await mine.execute(text("SAVEPOINT one"))
        await other.execute(insert(app.User).values(name="other"))
        await mine.execute(insert(app.User).values(name="undone"))
        await other.execute(select(app.User))
        await mine.execute(text("RELEASE SAVEPOINT one"))
        await mine.execute(select(app.User))
        await other.commit()
        await mine.rollback()

    assert ["other"] == await app.names()
