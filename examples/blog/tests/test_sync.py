"""Sync tests: Starlette's TestClient beside a sync session or a runner."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from blog.database import sessions
from blog.models import Post, Tenant, User
from blog.repositories import Posts, Tenants, Users
from blog.routers import count_view

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fastapi import FastAPI
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
    from sqlalchemy.orm import Session

ACME = {"X-Tenant": "acme"}


@pytest.fixture
def acme(tenant: Tenant) -> Tenant:
    """A tenant, made without a loop."""
    return tenant


@pytest.fixture
def eve(acme: Tenant, user_factory: Callable[..., User]) -> User:
    """An author, made without a loop: in sync code a factory gives the object."""
    return user_factory(tenant=acme, email="eve@acme.example", profile__bio="In sync.")


@pytest.fixture
def post(db_sync_session: Session, acme: Tenant, eve: User) -> Post:
    """A post of the sync session, made without a loop."""
    post = Post(
        tenant_id=acme.id, author_id=eve.id, slug="hello", title="Hello", body=""
    )
    db_sync_session.add(post)
    db_sync_session.commit()
    return post


@pytest.fixture
def test_client(app: FastAPI) -> TestClient:
    """A client that runs the application in a thread with a loop of its own."""
    return TestClient(app, headers=ACME)


async def _titles(sessionmaker: async_sessionmaker[AsyncSession]) -> list[str]:
    async with sessionmaker() as session:
        return list(await session.scalars(select(Post.title).order_by(Post.id)))


def test_the_application_sees_what_was_seeded(
    test_client: TestClient, eve: User
) -> None:
    """Rows that a sync session committed are answered over HTTP."""
    answer = test_client.get(f"/users/{eve.email}")

    assert {"email": eve.email, "bio": "In sync."} == answer.json()


@pytest.mark.usefixtures("acme")
def test_the_test_sees_what_the_application_wrote(
    test_client: TestClient, db_sync_session: Session
) -> None:
    """Rows that a request committed are read by the sync session."""
    test_client.post("/users", json={"email": "bob@acme.example"})

    assert ["bob@acme.example"] == list(db_sync_session.scalars(select(User.email)))


def test_rows_go_there_and_back(
    test_client: TestClient, db_sync_session: Session, post: Post
) -> None:
    """What the test changes between two requests the second one answers."""
    before = test_client.get("/posts/hello").json()["title"]
    post.title = "Changed"
    db_sync_session.commit()
    after = test_client.get("/posts/hello").json()["title"]
    db_sync_session.refresh(post)

    assert ["Hello", "Changed"] == [before, after]
    assert 2 == post.views


@pytest.mark.usefixtures("eve")
def test_a_conflict_is_answered(
    test_client: TestClient, db_sync_session: Session
) -> None:
    """A 409 leaves the rows as they were, and the next request works."""
    statuses = [
        test_client.post("/users", json={"email": email}).status_code
        for email in ("eve@acme.example", "bob@acme.example")
    ]

    assert [409, 201] == statuses
    assert 2 == db_sync_session.scalar(select(func.count(User.id)))


@pytest.mark.usefixtures("eve")
def test_a_sync_session_is_usable_after_a_conflict(
    db_sync_session: Session, acme: Tenant
) -> None:
    """After a rollback the same session commits again."""
    db_sync_session.add(User(tenant_id=acme.id, email="eve@acme.example"))
    with pytest.raises(IntegrityError):
        db_sync_session.commit()
    db_sync_session.rollback()
    db_sync_session.add(User(tenant_id=acme.id, email="bob@acme.example"))
    db_sync_session.commit()

    assert 2 == db_sync_session.scalar(select(func.count(User.id)))


def test_the_lifespan_runs(app: FastAPI, db_sync_session: Session, eve: User) -> None:
    """An application that starts, answers, and disposes of its engine at the end."""
    fields = {"author": eve.email, "slug": "hello", "title": "Hello"}
    with TestClient(app, headers=ACME) as client:
        written = client.post("/posts", json=fields)
        read = client.get("/posts/hello")

    assert [201, 200] == [written.status_code, read.status_code]
    assert 1 == db_sync_session.scalar(select(Post.views))


@pytest.mark.usefixtures("post")
def test_an_application_may_start_again(app: FastAPI) -> None:
    """Rows outlive the engine's connections: a restart loses nothing."""
    statuses = []
    for _ in range(2):
        with TestClient(app, headers=ACME) as client:
            statuses.append(client.get("/posts/hello").status_code)

    assert [200, 200] == statuses


@pytest.mark.usefixtures("post")
def test_two_clients_at_once(app: FastAPI) -> None:
    """Two threads, each with a loop of its own, share the rows."""
    with TestClient(app, headers=ACME) as one, TestClient(app, headers=ACME) as two:
        one.post("/users", json={"email": "bob@acme.example"})
        answer = two.get("/users/bob@acme.example")

    assert 200 == answer.status_code


def test_threads_count_their_views(
    app: FastAPI, db_sync_session: Session, post: Post
) -> None:
    """Requests from several threads at once lose no view."""
    with TestClient(app, headers=ACME) as client, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(client.get, ["/posts/hello"] * 12))
    db_sync_session.refresh(post)

    assert {200} == {answer.status_code for answer in answers}
    assert 12 == post.views


def test_an_export_is_streamed_to_a_sync_client(
    test_client: TestClient, db_sync_session: Session, acme: Tenant, eve: User
) -> None:
    """Lines come in the order in which the posts were made."""
    titles = [f"Post {number}" for number in range(120)]
    db_sync_session.add_all(
        Post(tenant_id=acme.id, author_id=eve.id, slug=title, title=title, body="")
        for title in titles
    )
    db_sync_session.commit()
    lines = test_client.get("/posts/export").text.splitlines()

    assert titles == [json.loads(line)["title"] for line in lines]


def test_a_coroutine_reads_what_a_request_wrote(
    test_client: TestClient,
    eve: User,
    db_run: Callable[..., Any],
    db_sessionmaker: async_sessionmaker[AsyncSession],
) -> None:
    """db_run reads through the test's sessions or through the application's."""
    fields = {"author": eve.email, "slug": "hello", "title": "Hello"}
    test_client.post("/posts", json=fields)

    assert ["Hello"] == db_run(_titles, db_sessionmaker)
    assert ["Hello"] == db_run(_titles, sessions)


def test_a_coroutine_seeds_for_a_request(
    test_client: TestClient, db_run: Callable[..., Any], db_session: AsyncSession
) -> None:
    """A sync test may seed through the repositories with db_session."""

    async def seed(slug: str) -> None:
        tenant = await Tenants(db_session).create(slug)
        bob = await Users(db_session, tenant).register("bob@acme.example")
        await Posts(db_session, tenant).create(bob, "hello", "Hello", tags=["sql"])
        await db_session.commit()

    db_run(seed, "acme")

    assert ["sql"] == test_client.get("/posts/hello").json()["tags"]


def test_a_background_task_is_run_by_itself(
    db_run: Callable[..., Any], db_sync_session: Session, acme: Tenant, post: Post
) -> None:
    """What a request leaves to the background is tested without a request."""
    db_run(count_view, acme, post)
    db_sync_session.refresh(post)

    assert 1 == post.views


def test_an_error_of_a_coroutine_is_raised(
    db_run: Callable[..., Any], db_sync_session: Session, acme: Tenant
) -> None:
    """What fails in db_run fails in the test, and nothing of it is left."""

    async def add() -> None:
        async with sessions.begin() as session:
            await Tenants(session).create("globex")
            await Tenants(session).create(acme.slug)

    with pytest.raises(IntegrityError):
        db_run(add)

    assert ["acme"] == list(db_sync_session.scalars(select(Tenant.slug)))


@pytest.mark.parametrize("time", ["first", "second"])
def test_sync_tests_are_isolated_too(db_sync_session: Session, time: str) -> None:
    """The same unique row is committed by each of them."""
    db_sync_session.add(Tenant(slug="always the same"))
    db_sync_session.commit()

    assert 1 == db_sync_session.scalar(select(func.count(Tenant.id))), time
