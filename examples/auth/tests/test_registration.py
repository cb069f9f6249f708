"""Registration: what is stored, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from auth.accounts import Accounts, EmailTaken
from auth.models import User
from auth.passwords import matches

if TYPE_CHECKING:
    import httpx
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from pytest_asyncdb import Recorder

EVE = {"email": "eve@auth.example", "password": "hunter2hunter2"}


async def test_an_account_is_committed(
    client: httpx.AsyncClient, db_session: AsyncSession
) -> None:
    """What the request commits, the test's session sees."""
    answer = await client.post("/users", json=EVE)
    user = await Accounts(db_session).by_email(EVE["email"])

    assert 201 == answer.status_code
    assert user is not None
    assert {"id": user.id, "email": user.email, "is_active": True} == answer.json()


async def test_a_password_is_stored_as_its_hash(
    client: httpx.AsyncClient, db_session: AsyncSession
) -> None:
    """The table does not know the password, and the hash does."""
    await client.post("/users", json=EVE)
    stored = await db_session.scalar(select(User.password_hash))

    assert stored is not None
    assert EVE["password"] not in stored
    assert await matches(EVE["password"], stored)


async def test_a_registration_is_one_look_and_one_row(
    client: httpx.AsyncClient, db_statements: Recorder
) -> None:
    """Two statements, on one table, and nothing reads the row again."""
    async with db_statements.expect(reads=1, writes=1, tables={"users"}):
        await client.post("/users", json=EVE)


async def test_an_address_is_registered_once(
    client: httpx.AsyncClient, ann: User, db_session: AsyncSession
) -> None:
    """The look finds the account: 400, and nothing is written."""
    answer = await client.post("/users", json={**EVE, "email": ann.email})

    assert 400 == answer.status_code
    assert {"detail": "Email already registered"} == answer.json()
    assert 1 == await db_session.scalar(select(func.count(User.id)))


@pytest.mark.parametrize("email", ["ANN@auth.example", " ann@auth.example "])
async def test_case_and_spaces_make_no_other_address(
    client: httpx.AsyncClient, ann: User, email: str
) -> None:
    """An address is stored as one spelling, on every product."""
    answer = await client.post("/users", json={**EVE, "email": email})

    assert 400 == answer.status_code, ann.email


async def test_the_constraint_refuses_what_the_look_has_missed(
    db_session: AsyncSession,
    db_sessionmaker: async_sessionmaker[AsyncSession],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An address taken while the password is hashed is refused by the database."""

    async def meanwhile(_: str) -> str:
        async with db_sessionmaker.begin() as other:
            other.add(User(email=EVE["email"], password_hash="theirs"))
        return "ours"

    monkeypatch.setattr("auth.accounts.hashed", meanwhile)
    with pytest.raises(EmailTaken):
        await Accounts(db_session).register(EVE["email"], EVE["password"])
    await db_session.rollback()

    assert ["theirs"] == list(await db_session.scalars(select(User.password_hash)))


@pytest.mark.parametrize(
    "wrong",
    [{"email": "no address"}, {"password": "short"}, {"password": "x" * 201}],
    ids=["no address", "short password", "long password"],
)
async def test_what_does_not_validate_is_not_written(
    client: httpx.AsyncClient, db_session: AsyncSession, wrong: dict[str, str]
) -> None:
    """422 before the database is asked."""
    answer = await client.post("/users", json={**EVE, **wrong})

    assert 422 == answer.status_code
    assert 0 == await db_session.scalar(select(func.count(User.id)))


@pytest.mark.parametrize("time", ["first", "second"])
async def test_each_test_may_register_the_same_address(
    client: httpx.AsyncClient, time: str
) -> None:
    """The account that one test committed is not there in the other."""
    answer = await client.post("/users", json=EVE)

    assert 201 == answer.status_code, time
