"""Who a token is for, and which tokens are for nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import jwt
import pytest

from auth import tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from sqlalchemy.ext.asyncio import AsyncSession

    from auth.models import User
    from auth.settings import Settings
    from pytest_asyncdb.factories import AsyncModelFactory

REFUSED = {"detail": "Could not validate credentials"}


async def _answer(client: httpx.AsyncClient, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return await client.get("/users/me", headers=headers)


async def test_a_token_is_for_its_user(
    client: httpx.AsyncClient,
    user_factory: type[AsyncModelFactory[User]],
    headers: Callable[[User], dict[str, str]],
) -> None:
    """Each user is told about himself."""
    users = await user_factory.create_batch(3)
    answers = [await client.get("/users/me", headers=headers(user)) for user in users]

    assert [user.email for user in users] == [it.json()["email"] for it in answers]


async def test_nobody_is_told_about_nobody(client: httpx.AsyncClient) -> None:
    """Without a token it is 401."""
    answer = await client.get("/users/me")

    assert 401 == answer.status_code


async def test_an_expired_token_is_refused(
    client: httpx.AsyncClient, ann: User, settings: Settings
) -> None:
    """A token lives as long as the settings say, and not a second more."""
    ago = datetime.now(UTC) - settings.lifetime
    fresh = tokens.issue(ann.id, settings, ago + timedelta(minutes=1))
    expired = tokens.issue(ann.id, settings, ago - timedelta(seconds=1))

    assert 200 == (await _answer(client, fresh)).status_code
    assert (401, REFUSED) == _read(await _answer(client, expired))


@pytest.mark.parametrize(
    "forge",
    [
        lambda claims: jwt.encode(claims, "the key of somebody else, as long", "HS256"),
        lambda claims: jwt.encode(claims, None, "none"),
        lambda claims: jwt.encode(claims, None, "none")[:-3],
        lambda _: "no token at all",
    ],
    ids=["another key", "no signature", "a part", "nonsense"],
)
async def test_a_forged_token_is_refused(
    client: httpx.AsyncClient, ann: User, forge: Callable[[dict[str, object]], str]
) -> None:
    """Whoever does not know the secret is nobody."""
    claims = {"sub": str(ann.id), "exp": datetime.now(UTC) + timedelta(hours=1)}

    assert (401, REFUSED) == _read(await _answer(client, forge(claims)))


@pytest.mark.parametrize("claims", [{"sub": "1"}, {"exp": 9999999999}])
async def test_a_token_has_a_subject_and_an_end(
    client: httpx.AsyncClient, settings: Settings, claims: dict[str, object]
) -> None:
    """A token of ours without one of them is refused."""
    token = jwt.encode(claims, settings.secret, "HS256")

    assert (401, REFUSED) == _read(await _answer(client, token))


async def test_a_token_of_a_deleted_user_is_refused(
    client: httpx.AsyncClient,
    ann: User,
    headers: Callable[[User], dict[str, str]],
    db_session: AsyncSession,
) -> None:
    """It is well signed, and its user is gone."""
    token = headers(ann)
    await db_session.delete(ann)
    await db_session.commit()

    assert (401, REFUSED) == _read(await client.get("/users/me", headers=token))


async def test_a_locked_user_is_refused_from_then_on(
    client: httpx.AsyncClient,
    ann: User,
    headers: Callable[[User], dict[str, str]],
    db_session: AsyncSession,
) -> None:
    """A token that was good before does not outlive the lock."""
    token = headers(ann)
    before = await client.get("/users/me", headers=token)
    await client.delete("/users/me", headers=token)
    after = await client.get("/users/me", headers=token)
    await db_session.refresh(ann)

    assert 200 == before.status_code
    assert (403, {"detail": "Inactive user"}) == _read(after)
    assert not ann.is_active


def _read(answer: httpx.Response) -> tuple[int, object]:
    return answer.status_code, answer.json()
