"""Users and their profiles, over HTTP and over their repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from blog.models import User, UserProfile
from blog.repositories import Posts, Tenants, Users

if TYPE_CHECKING:
    import httpx
    from sqlalchemy.ext.asyncio import AsyncSession

    from blog.models import Tenant


async def test_a_registered_user_can_be_read(client: httpx.AsyncClient) -> None:
    """What one request commits the next one sees."""
    await client.post("/users", json={"email": "eve@acme.example", "bio": "Hi."})
    answer = await client.get("/users/eve@acme.example")

    assert {"email": "eve@acme.example", "bio": "Hi."} == answer.json()


async def test_a_registered_user_is_committed(
    client: httpx.AsyncClient, db_session: AsyncSession, tenant: Tenant
) -> None:
    """What a request commits the test's own session sees."""
    answer = await client.post("/users", json={"email": "eve@acme.example"})
    user = await Users(db_session, tenant).by_email("eve@acme.example")

    assert 201 == answer.status_code
    assert user is not None
    assert tenant.id == user.tenant_id


async def test_an_unknown_user_is_not_found(client: httpx.AsyncClient) -> None:
    """An address that nobody registered is a 404."""
    answer = await client.get("/users/nobody@acme.example")

    assert 404 == answer.status_code
    assert "no user nobody@acme.example" == answer.json()["detail"]


async def test_a_user_without_an_address_is_refused(
    client: httpx.AsyncClient, db_session: AsyncSession
) -> None:
    """A request that does not validate is a 422 and writes nothing."""
    answer = await client.post("/users", json={"bio": "Who am I?"})

    assert 422 == answer.status_code
    assert 0 == await db_session.scalar(select(func.count(User.id)))


async def test_an_address_is_registered_once(
    client: httpx.AsyncClient, ann: User, db_session: AsyncSession
) -> None:
    """What the unique constraint refuses is a 409, and the first row stays."""
    answer = await client.post("/users", json={"email": ann.email, "bio": "Not Ann."})
    again = await client.get(f"/users/{ann.email}")

    assert 409 == answer.status_code
    assert "I write." == again.json()["bio"]
    assert 1 == await db_session.scalar(select(func.count(User.id)))


async def test_the_application_goes_on_after_a_conflict(
    client: httpx.AsyncClient, ann: User
) -> None:
    """A request that failed in the database does not harm the next one."""
    statuses = [
        (await client.post("/users", json={"email": email})).status_code
        for email in (ann.email, "eve@acme.example", "eve@acme.example", "x@y.example")
    ]

    assert [409, 201, 409, 201] == statuses


async def test_an_address_is_unique_in_its_tenant_only(
    db_session: AsyncSession, ann: User
) -> None:
    """Two tenants may each have a user with the same address."""
    globex = await Tenants(db_session).create("globex")
    other = await Users(db_session, globex).register(ann.email)
    await db_session.commit()

    assert other.id != ann.id
    assert 2 == await db_session.scalar(
        select(func.count(User.id)).where(User.email == ann.email)
    )


@pytest.mark.parametrize("time", ["first", "second"])
async def test_each_test_may_write_the_same_unique_row(
    client: httpx.AsyncClient, time: str
) -> None:
    """The user that the one test committed is not there in the other."""
    answer = await client.post("/users", json={"email": "same@acme.example"})

    assert 201 == answer.status_code, time


async def test_a_profile_is_loaded_with_its_user(
    db_session: AsyncSession, tenant: Tenant, ann: User
) -> None:
    """The profile comes with the user's own statement, so no lazy load is needed."""
    db_session.expunge_all()
    user = await Users(db_session, tenant).by_email(ann.email)
    db_session.expunge_all()

    assert user is not None
    assert user.profile is not None
    assert "I write." == user.profile.bio


async def test_a_profile_without_a_user_is_deleted(
    db_session: AsyncSession, ann: User
) -> None:
    """A profile taken from its user is an orphan, which is deleted."""
    ann.profile = None
    await db_session.commit()

    assert 0 == await db_session.scalar(select(func.count(UserProfile.user_id)))
    assert 1 == await db_session.scalar(select(func.count(User.id)))


async def test_a_user_without_a_profile_has_an_empty_bio(
    client: httpx.AsyncClient, db_session: AsyncSession, ann: User
) -> None:
    """The application answers for a user whose profile was deleted by the test."""
    ann.profile = None
    await db_session.commit()
    answer = await client.get(f"/users/{ann.email}")

    assert {"email": ann.email, "bio": ""} == answer.json()


async def test_a_user_has_one_profile(db_session: AsyncSession, ann: User) -> None:
    """A second profile of the same user is refused, and the session goes on."""
    user_id = ann.id
    db_session.expunge_all()
    db_session.add(UserProfile(user_id=user_id, bio="Another one."))
    with pytest.raises(IntegrityError):
        await db_session.commit()
    await db_session.rollback()

    assert ["I write."] == list(await db_session.scalars(select(UserProfile.bio)))


async def test_a_profile_goes_with_its_user(
    db_session: AsyncSession, ann: User
) -> None:
    """Deleting a user deletes the profile too."""
    await db_session.delete(ann)
    await db_session.commit()

    assert 0 == await db_session.scalar(select(func.count(UserProfile.user_id)))


async def test_an_author_of_posts_cannot_be_deleted(
    db_session: AsyncSession, tenant: Tenant, ann: User
) -> None:
    """A post needs its author: the delete fails, and both are still there."""
    await Posts(db_session, tenant).create(ann, "hello", "Hello")
    await db_session.commit()
    await db_session.delete(ann)
    with pytest.raises(IntegrityError):
        await db_session.commit()
    await db_session.rollback()

    assert 1 == await db_session.scalar(select(func.count(User.id)))


async def test_a_user_knows_when_he_was_made(
    db_session: AsyncSession, ann: User
) -> None:
    """The database fills in created_at; updated_at is empty until a change."""
    await db_session.refresh(ann)

    assert ann.created_at is not None
    assert ann.updated_at is None


async def test_a_change_is_dated(db_session: AsyncSession, ann: User) -> None:
    """An update fills in updated_at."""
    ann.email = "ann@new.example"
    await db_session.commit()
    await db_session.refresh(ann)

    assert ann.updated_at is not None
    assert ann.created_at <= ann.updated_at
