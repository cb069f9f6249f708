"""The blog over HTTP; the tenant is named by a header."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Header, HTTPException, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from blog.database import get_db, sessions
from blog.models import Tenant, User
from blog.repositories import Posts, Tenants, Users

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from blog.models import Post

router = APIRouter()
# The session ends before the answer is sent, so a background task finds its connection.
SessionDependency = Annotated[AsyncSession, Depends(get_db, scope="function")]


async def get_tenant(
    session: SessionDependency, x_tenant: Annotated[str, Header()]
) -> Tenant:
    """The tenant that the request is for."""
    tenant = await Tenants(session).by_slug(x_tenant)
    if tenant is None:
        raise HTTPException(404, f"no tenant {x_tenant}")
    return tenant


TenantDependency = Annotated[Tenant, Depends(get_tenant)]


class NewTenant(BaseModel):
    """A tenant to be made."""

    slug: str


class NewUser(BaseModel):
    """A user to be registered."""

    email: str
    bio: str = ""


class NewPost(BaseModel):
    """A post to be written."""

    author: str
    slug: str
    title: str
    body: str = ""
    tags: list[str] = []
    published: bool = True


class NewComment(BaseModel):
    """A comment to be written."""

    author: str
    body: str


class PostSummary(BaseModel):
    """A post in a list."""

    model_config = ConfigDict(from_attributes=True)

    slug: str
    title: str
    views: int


@router.post("/tenants", status_code=201)
async def create_tenant(new: NewTenant, session: SessionDependency) -> dict[str, str]:
    """Make a tenant."""
    await Tenants(session).create(new.slug)
    return {"slug": new.slug}


@router.post("/users", status_code=201)
async def register(
    new: NewUser, session: SessionDependency, tenant: TenantDependency
) -> dict[str, str]:
    """Register a user."""
    user = await Users(session, tenant).register(new.email, new.bio)
    return {"email": user.email}


@router.get("/users/{email}")
async def read_user(
    email: str, session: SessionDependency, tenant: TenantDependency
) -> dict[str, str]:
    """A user and what he says about himself."""
    user = await _user(session, tenant, email)
    return {"email": user.email, "bio": user.profile.bio if user.profile else ""}


@router.post("/posts", status_code=201)
async def create_post(
    new: NewPost, session: SessionDependency, tenant: TenantDependency
) -> PostSummary:
    """Write a post."""
    author = await _user(session, tenant, new.author)
    post = await Posts(session, tenant).create(
        author,
        new.slug,
        new.title,
        new.body,
        tags=new.tags,
        published=new.published,
    )
    return PostSummary.model_validate(post)


@router.get("/posts")
async def list_posts(
    session: SessionDependency,
    tenant: TenantDependency,
    tag: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[PostSummary]:
    """Published posts, the newest first."""
    posts = await Posts(session, tenant).published(tag=tag, limit=limit, offset=offset)
    return [PostSummary.model_validate(post) for post in posts]


@router.get("/posts/popular")
async def popular_posts(
    session: SessionDependency, tenant: TenantDependency
) -> list[tuple[str, int]]:
    """The posts with most comments."""
    return [
        (post.slug, count) for post, count in await Posts(session, tenant).popular()
    ]


@router.get("/posts/export")
async def export_posts(tenant: TenantDependency) -> StreamingResponse:
    """All posts, a line of JSON each, while they are read."""
    return StreamingResponse(_lines(tenant), media_type="application/x-ndjson")


@router.get("/posts/{slug}")
async def read_post(
    slug: str,
    session: SessionDependency,
    tenant: TenantDependency,
    background: BackgroundTasks,
) -> dict[str, object]:
    """A post with its comments and tags; the view is counted afterwards."""
    post = await _post(session, tenant, slug)
    background.add_task(count_view, tenant, post)
    return {
        "slug": post.slug,
        "title": post.title,
        "author": post.author.email,
        "tags": [tag.name for tag in post.tags],
        "comments": [
            {"author": comment.author.email, "body": comment.body}
            for comment in post.comments
        ],
    }


@router.post("/posts/{slug}/comments", status_code=201)
async def create_comment(
    slug: str,
    new: NewComment,
    session: SessionDependency,
    tenant: TenantDependency,
) -> dict[str, str]:
    """Answer a post."""
    post = await _post(session, tenant, slug)
    author = await _user(session, tenant, new.author)
    await Posts(session, tenant).comment(post, author, new.body)
    return {"body": new.body}


@router.delete("/posts/{slug}", status_code=204)
async def delete_post(
    slug: str, session: SessionDependency, tenant: TenantDependency
) -> None:
    """Delete a post and its comments."""
    await session.delete(await _post(session, tenant, slug))


async def count_view(tenant: Tenant, post: Post) -> None:
    """Count a view in a session of its own, when the answer has been sent."""
    async with sessions.begin() as session:
        await Posts(session, tenant).view(post)


async def _lines(tenant: Tenant) -> AsyncIterator[str]:
    async with sessions() as session:
        async for slug, title in Posts(session, tenant).export():
            yield json.dumps({"slug": slug, "title": title}) + "\n"


async def _post(session: AsyncSession, tenant: Tenant, slug: str) -> Post:
    post = await Posts(session, tenant).details(slug)
    if post is None:
        raise HTTPException(404, f"no post {slug}")
    return post


async def _user(session: AsyncSession, tenant: Tenant, email: str) -> User:
    user = await Users(session, tenant).by_email(email)
    if user is None:
        raise HTTPException(404, f"no user {email}")
    return user
