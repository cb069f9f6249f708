"""Login by the OAuth2 password form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from auth import passwords, tokens
from auth.passwords import is_outdated, matches

if TYPE_CHECKING:
    import httpx
    from sqlalchemy.ext.asyncio import AsyncSession

    from auth.models import User
    from auth.settings import Settings
    from pytest_asyncdb import Recorder
    from pytest_asyncdb.factories import AsyncModelFactory

PASSWORD = "correct horse"


async def _login(client: httpx.AsyncClient, email: str, password: str) -> int:
    form = {"username": email, "password": password}
    return (await client.post("/token", data=form)).status_code


async def test_a_login_gives_a_token_of_the_account(
    client: httpx.AsyncClient, ann: User, settings: Settings
) -> None:
    """Its subject is the key of the account."""
    form = {"username": ann.email, "password": PASSWORD}
    answer = await client.post("/token", data=form)

    assert 200 == answer.status_code
    assert "bearer" == answer.json()["token_type"]
    assert ann.id == tokens.read(answer.json()["access_token"], settings)


async def test_whoever_registers_can_log_in(client: httpx.AsyncClient) -> None:
    """The two requests have the database in common and nothing else."""
    new = {"email": "Eve@auth.example", "password": "hunter2hunter2"}
    await client.post("/users", json=new)

    assert 200 == await _login(client, "eve@AUTH.example", "hunter2hunter2")


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ann@auth.example", "wrong horse"),
        ("ann@auth.example", ""),
        ("nobody@auth.example", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
    ],
)
async def test_a_wrong_login_does_not_say_what_is_wrong(
    client: httpx.AsyncClient, ann: User, email: str, password: str
) -> None:
    """A wrong password and an unknown address get the same answer."""
    form = {"username": email, "password": password or "-"}
    answer = await client.post("/token", data=form)

    assert 401 == answer.status_code, ann.email
    assert {"detail": "Incorrect email or password"} == answer.json()
    assert "Bearer" == answer.headers["WWW-Authenticate"]


async def test_a_locked_account_cannot_log_in(
    client: httpx.AsyncClient, user_factory: type[AsyncModelFactory[User]]
) -> None:
    """Its password is right, so it may know why."""
    user = await user_factory(locked=True)

    assert 403 == await _login(client, user.email, PASSWORD)
    assert 401 == await _login(client, user.email, "wrong horse")


async def test_a_login_reads_and_does_not_write(
    client: httpx.AsyncClient, ann: User, db_statements: Recorder
) -> None:
    """One statement finds the account; the commit has nothing to write."""
    async with db_statements.expect(exactly=1, writes=0):
        assert 200 == await _login(client, ann.email, PASSWORD)


async def test_an_old_hash_is_made_anew_by_a_login(
    client: httpx.AsyncClient,
    ann: User,
    db_session: AsyncSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After the parameters have been raised, only those who come get a new hash."""
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", stronger)
    before = ann.password_hash
    failed = await _login(client, ann.email, "wrong horse")
    await db_session.refresh(ann)
    untouched = ann.password_hash
    await _login(client, ann.email, PASSWORD)
    await db_session.refresh(ann)

    assert (401, before) == (failed, untouched)
    assert not is_outdated(ann.password_hash)
    assert await matches(PASSWORD, ann.password_hash)
