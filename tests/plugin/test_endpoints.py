"""The endpoints of a blog, with their eager loading taken away and put back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

BLOG: Final = Path(__file__).parents[2] / "examples" / "blog"
ENDPOINTS: Final = """
    import os
    from fastapi import FastAPI
    from sqlalchemy import select
    from sqlalchemy.orm import joinedload, selectinload
    from blog.database import sessions
    from blog.models import Comment, Post, User

    EAGER = bool(int(os.environ["EAGER"]))
    app = FastAPI()

    async def answer(query, option, line, *others):
        async with sessions() as session:
            options = [*others, option] if EAGER else others
            rows = await session.scalars(query.options(*options))
            return await session.run_sync(lambda _: [line(row) for row in rows.all()])

    @app.get("/authors")
    async def authors():
        return await answer(select(Post), joinedload(Post.author),
            lambda post: post.author.email)

    @app.get("/comments")
    async def comments():
        return await answer(select(Post), selectinload(Post.comments),
            lambda post: len(post.comments))

    @app.get("/tags")
    async def tags():
        return await answer(select(Post), selectinload(Post.tags),
            lambda post: [tag.name for tag in post.tags])

    @app.get("/profiles")
    async def profiles():
        return await answer(select(User), joinedload(User.profile),
            lambda user: user.profile.bio)

    @app.get("/posts")
    async def posts():
        return await answer(select(User), selectinload(User.posts),
            lambda user: [post.slug for post in user.posts])

    @app.get("/readers")
    async def readers():
        return await answer(select(Comment), joinedload(Comment.author),
            lambda comment: comment.author.email)
"""
CONFTEST: Final = """
    import httpx, pytest
    from blog.models import *
    from endpoints import app

    @pytest.fixture
    async def client(db_sessionmaker):
        async with db_sessionmaker.begin() as session:
            tenant = Tenant(slug="acme")
            session.add(tenant)
            await session.flush()
            for name in "abc":
                user = User(tenant_id=tenant.id, email=name, profile=UserProfile())
                post = Post(tenant_id=tenant.id, author=user, slug=name, title=name,
                    body="", tags=[Tag(tenant_id=tenant.id, name=name)])
                session.add(post)
                post.comments.append(Comment(author=user, body="yes"))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://blog") as c:
            yield c
"""
TESTS: Final = """
    import pytest

    @pytest.mark.parametrize("name", [
        "authors", "comments", "tags", "profiles", "posts", "readers"])
    async def test_it(client, name):
        response = await client.get(f"/{name}")
        assert 3 == len(response.json())
"""
FOUND: Final = {
    "authors": ("Post.author", "joinedload(Post.author)", 21),
    "comments": ("Post.comments", "selectinload(Post.comments)", 26),
    "tags": ("Post.tags", "selectinload(Post.tags)", 31),
    "profiles": ("User.profile", "joinedload(User.profile)", 36),
    "posts": ("User.posts", "selectinload(User.posts)", 41),
    "readers": ("Comment.author", "joinedload(Comment.author)", 46),
}


@pytest.fixture
def project(project: Project) -> Project:
    """The blog's models and sessions, with endpoints of its own."""
    project.write("endpoints", ENDPOINTS)
    project.write("conftest", CONFTEST)
    project.write("test_it", TESTS)
    project.ini(
        pythonpath=f". {BLOG}",
        asyncdb_metadata="blog.models:Base.metadata",
        asyncdb_env="DATABASE_URL",
        asyncdb_n_plus_one="fail",
    )
    return project


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_endpoints_without_eager_loading(
    project: Project, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is flagged: the relationship, its line, the query's, and the option."""
    monkeypatch.setenv("EAGER", "0")
    result = project.run(f"--asyncdb={database}")

    result.assert_outcomes(failed=6)
    for relationship, option, line in FOUND.values():
        result.stdout.fnmatch_lines_random(
            [
                (
                    f"*a lazy load of {relationship} at endpoints.py:{line} in * for"
                    " each of 3 objects loaded at endpoints.py:15 in answer"
                ),
                f"*add .options({option}) to the query at endpoints.py:15 in answer",
            ]
        )


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_endpoints_with_eager_loading(
    project: Project, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is flagged."""
    monkeypatch.setenv("EAGER", "1")

    project.run(f"--asyncdb={database}").assert_outcomes(passed=6)
