"""The queries of the blog. None of them commits: that is the request's business."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload, selectinload

from blog.models import Comment, Post, Tag, Tenant, User, UserProfile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession


class Tenants:
    """Customers."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def by_slug(self, slug: str) -> Tenant | None:
        """The tenant of that name."""
        found = await self.session.scalars(select(Tenant).where(Tenant.slug == slug))
        return found.one_or_none()

    async def create(self, slug: str) -> Tenant:
        """A new tenant; raises IntegrityError if the name is taken."""
        tenant = Tenant(slug=slug)
        self.session.add(tenant)
        await self.session.flush()
        return tenant


class Users:
    """Users of one tenant."""

    def __init__(self, session: AsyncSession, tenant: Tenant) -> None:
        self.session = session
        self.tenant = tenant

    async def register(self, email: str, bio: str = "") -> User:
        """A new user with a profile; raises IntegrityError if the address is taken."""
        user = User(tenant_id=self.tenant.id, email=email, profile=UserProfile(bio=bio))
        self.session.add(user)
        await self.session.flush()
        return user

    async def by_email(self, email: str) -> User | None:
        """The user with that address, and his profile."""
        found = await self.session.scalars(
            select(User)
            .where(User.tenant_id == self.tenant.id, User.email == email)
            .options(joinedload(User.profile))
        )
        return found.one_or_none()


class Posts:
    """Posts of one tenant."""

    def __init__(self, session: AsyncSession, tenant: Tenant) -> None:
        self.session = session
        self.tenant = tenant

    async def create(
        self,
        author: User,
        slug: str,
        title: str,
        body: str = "",
        *,
        tags: Sequence[str] = (),
        published: bool = True,
    ) -> Post:
        """A new post; its tags are made where they do not exist.

        The post comes first: on SQLite a savepoint at the beginning of a transaction
        would be a commit when it is released.
        """
        post = Post(
            tenant_id=self.tenant.id,
            author_id=author.id,
            slug=slug,
            title=title,
            body=body,
            published_at=datetime.now(UTC) if published else None,
            tags=[],
        )
        self.session.add(post)
        await self.session.flush()
        post.tags.extend([await self.tag(name) for name in dict.fromkeys(tags)])
        await self.session.flush()
        return post

    async def create_many(self, author: User, drafts: Mapping[str, str]) -> int:
        """Insert drafts, titles by slug, in one batch; says how many."""
        rows = [
            {
                "tenant_id": self.tenant.id,
                "author_id": author.id,
                "slug": slug,
                "title": title,
                "body": "",
            }
            for slug, title in drafts.items()
        ]
        await self.session.execute(insert(Post), rows)
        return len(rows)

    async def tag(self, name: str) -> Tag:
        """The tag of that name, made in a savepoint where somebody may be faster."""
        wanted = select(Tag).where(Tag.tenant_id == self.tenant.id, Tag.name == name)
        tag = (await self.session.scalars(wanted)).one_or_none()
        if tag is not None:
            return tag
        try:
            async with self.session.begin_nested():
                tag = Tag(tenant_id=self.tenant.id, name=name)
                self.session.add(tag)
        except IntegrityError:
            # As it is now: on MariaDB a plain SELECT repeats what it has read before.
            now = wanted.with_for_update(read=True)
            return (await self.session.scalars(now)).one()
        return tag

    async def details(self, slug: str) -> Post | None:
        """A post with its author, comments and tags, in three statements."""
        found = await self.session.scalars(
            select(Post)
            .where(Post.tenant_id == self.tenant.id, Post.slug == slug)
            .options(
                joinedload(Post.author),
                selectinload(Post.comments).joinedload(Comment.author),
                selectinload(Post.tags),
            )
        )
        return found.one_or_none()

    async def published(
        self, *, tag: str | None = None, limit: int = 10, offset: int = 0
    ) -> Sequence[Post]:
        """Published posts, the newest first, of one tag or of all."""
        query = select(Post).where(
            Post.tenant_id == self.tenant.id, Post.published_at.is_not(None)
        )
        if tag is not None:
            query = query.where(Post.tags.any(Tag.name == tag))
        query = query.order_by(Post.published_at.desc(), Post.id.desc())
        return (await self.session.scalars(query.limit(limit).offset(offset))).all()

    async def popular(self, limit: int = 5) -> Sequence[tuple[Post, int]]:
        """Published posts and how many comments they have, most first."""
        comments = func.count(Comment.id).label("comments")
        query = (
            select(Post, comments)
            .outerjoin(Post.comments)
            .where(Post.tenant_id == self.tenant.id, Post.published_at.is_not(None))
            .group_by(Post.id)
            .order_by(comments.desc(), Post.id)
            .limit(limit)
        )
        return [(post, count) for post, count in await self.session.execute(query)]

    async def view(self, post: Post) -> None:
        """Count a view; the database adds, so that no view is lost."""
        await self.session.execute(
            update(Post).where(Post.id == post.id).values(views=Post.views + 1)
        )

    async def comment(self, post: Post, author: User, body: str) -> Comment:
        """A new comment."""
        comment = Comment(post_id=post.id, author_id=author.id, body=body)
        self.session.add(comment)
        await self.session.flush()
        return comment

    async def export(self) -> AsyncGenerator[tuple[str, str]]:
        """Slugs and titles of all posts, in order of their making, as they are read."""
        rows = await self.session.stream(
            select(Post.slug, Post.title)
            .where(Post.tenant_id == self.tenant.id)
            .order_by(Post.id)
            .execution_options(yield_per=50)
        )
        async for slug, title in rows:
            yield slug, title
