"""Two requests at the same time, in every order of their statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_asyncdb import AnomalyFound
from pytest_asyncdb.concurrency import all_succeed
from snippets import racing, saving
from snippets.models import Account, CuredPage, Job, TaughtPage

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from pytest_asyncdb.concurrency import Explorer

    Sessions = async_sessionmaker[AsyncSession]

EMAIL = "ann@reader.example"


async def test_taught_subscribe(
    db_sessionmaker: Sessions, db_concurrency: Explorer
) -> None:
    """Both look before either inserts: the address is there twice."""

    async def subscribe() -> bool:
        return await racing.taught_subscribe(db_sessionmaker, EMAIL)

    with pytest.raises(AnomalyFound, match="double insert"):
        await db_concurrency.explore(one=subscribe, other=subscribe)


async def test_cured_subscribe(
    db_sessionmaker: Sessions, db_concurrency: Explorer
) -> None:
    """One of them is told that it is there, in every order."""

    async def subscribe() -> bool:
        return await racing.cured_subscribe(db_sessionmaker, EMAIL)

    result = await db_concurrency.explore(
        one=subscribe, other=subscribe, invariant=all_succeed
    )

    assert result.complete


async def test_taught_tag(db_sessionmaker: Sessions, db_concurrency: Explorer) -> None:
    """Neither finds it, both create it, and one of them fails."""

    async def tag() -> int:
        return await racing.taught_tag(db_sessionmaker, "python")

    with pytest.raises(AnomalyFound, match="IntegrityError"):
        await db_concurrency.explore(one=tag, other=tag, invariant=all_succeed)


async def test_cured_tag(db_sessionmaker: Sessions, db_concurrency: Explorer) -> None:
    """Both get the same tag, and nobody fails."""

    async def tag() -> int:
        return await racing.cured_tag(db_sessionmaker, "python")

    result = await db_concurrency.explore(one=tag, other=tag, invariant=all_succeed)

    assert result.complete


@pytest.fixture
async def accounts(db_sessionmaker: Sessions) -> None:
    """Two accounts of 100 each."""
    async with db_sessionmaker.begin() as session:
        session.add_all([Account(id=number, balance=100) for number in (1, 2)])


@pytest.mark.usefixtures("accounts")
async def test_taught_transfer(
    db_sessionmaker: Sessions, db_concurrency: Explorer
) -> None:
    """Both take 10 from the same 100: one of the transfers is lost."""

    async def transfer() -> None:
        await racing.taught_transfer(db_sessionmaker, 1, 2)

    with pytest.raises(AnomalyFound, match="lost update"):
        await db_concurrency.explore(one=transfer, other=transfer)


@pytest.mark.usefixtures("accounts")
async def test_cured_transfer(
    db_sessionmaker: Sessions, db_concurrency: Explorer
) -> None:
    """Also of transfers in both directions none is lost, and nobody fails."""
    result = await db_concurrency.explore(
        there=lambda: racing.cured_transfer(db_sessionmaker, 1, 2),
        back=lambda: racing.cured_transfer(db_sessionmaker, 2, 1),
        invariant=all_succeed,
    )

    assert result.complete


@pytest.fixture
async def jobs(db_sessionmaker: Sessions) -> None:
    """Two jobs that nobody has."""
    async with db_sessionmaker.begin() as session:
        session.add_all([Job(id=number) for number in (1, 2)])


@pytest.mark.asyncdb(requires=["row_locks"])
@pytest.mark.usefixtures("jobs")
async def test_taught_claim(
    db_sessionmaker: Sessions, db_concurrency: Explorer
) -> None:
    """Both do the first job, and the second is left."""
    with pytest.raises(AnomalyFound, match="lost update"):
        await db_concurrency.explore(
            one=lambda: racing.taught_claim(db_sessionmaker, "one"),
            other=lambda: racing.taught_claim(db_sessionmaker, "other"),
        )


@pytest.mark.asyncdb(requires=["row_locks"])
@pytest.mark.usefixtures("jobs")
async def test_cured_claim(db_sessionmaker: Sessions, db_concurrency: Explorer) -> None:
    """Each has a job of its own, and neither waits."""
    result = await db_concurrency.explore(
        one=lambda: racing.cured_claim(db_sessionmaker, "one"),
        other=lambda: racing.cured_claim(db_sessionmaker, "other"),
        invariant=all_succeed,
    )

    assert result.complete


async def test_taught_save(db_sessionmaker: Sessions, db_concurrency: Explorer) -> None:
    """Both compare before either writes: the first text is lost without a word."""
    async with db_sessionmaker.begin() as session:
        session.add(page := TaughtPage(id=1, text="draft", version=1))

    async def save(text: str) -> None:
        async with db_sessionmaker() as session:
            await saving.taught_save(session, page, text)

    with pytest.raises(AnomalyFound, match="lost update"):
        await db_concurrency.explore(
            mine=lambda: save("mine"), theirs=lambda: save("theirs")
        )


async def test_cured_save(db_sessionmaker: Sessions, db_concurrency: Explorer) -> None:
    """One of them is told, in every order."""
    async with db_sessionmaker.begin() as session:
        session.add(CuredPage(id=1, text="draft"))

    async def save(text: str) -> None:
        async with db_sessionmaker() as session:
            page = await session.get_one(CuredPage, 1)
            await saving.cured_save(session, page, text)

    result = await db_concurrency.explore(
        mine=lambda: save("mine"), theirs=lambda: save("theirs")
    )

    assert result.complete
