"""The application's client, factories, and a tenant with two users.

Nothing about databases: a factory uses the session of the test.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import factory
import httpx
import pytest

from blog.app import create_app
from blog.models import Comment, Post, Tag, Tenant, User, UserProfile
from pytest_asyncdb.factories import AsyncModelFactory, register

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI


# ----------------------------------------------------------------------- factories
class TenantFactory(AsyncModelFactory[Tenant]):
    """Customers."""

    class Meta:
        model = Tenant

    slug = factory.Sequence(lambda n: f"tenant{n}")


class ProfileFactory(AsyncModelFactory[UserProfile]):
    """What users say about themselves: nothing."""

    class Meta:
        model = UserProfile

    bio = ""


@register
class UserFactory(AsyncModelFactory[User]):
    """Users with a profile, each of a new tenant if none is given."""

    class Meta:
        model = User
        exclude = ("tenant",)

    tenant = factory.SubFactory(TenantFactory)
    tenant_id = factory.SelfAttribute("tenant.id")
    email = factory.Sequence(lambda n: f"user{n}@blog.example")
    profile = factory.RelatedFactory(ProfileFactory, "user")


class TagFactory(AsyncModelFactory[Tag]):
    """Words of a tenant, made once."""

    class Meta:
        model = Tag
        sqlalchemy_get_or_create = ("tenant_id", "name")

    name = factory.Sequence(lambda n: f"tag{n}")


@register
class PostFactory(AsyncModelFactory[Post]):
    """Published posts; `tags` takes words."""

    class Meta:
        model = Post

    class Params:
        draft = factory.Trait(published_at=None)

    author = factory.SubFactory(UserFactory)
    tenant_id = factory.SelfAttribute("author.tenant_id")
    slug = factory.Sequence(lambda n: f"post-{n}")
    title = factory.LazyAttribute(lambda o: o.slug.title())
    body = ""
    published_at = factory.LazyFunction(lambda: datetime.now(UTC))

    @factory.post_generation  # type: ignore[untyped-decorator]
    def tags(self: Post, create: bool, words: list[str] | None) -> None:  # noqa: FBT001
        """Take the tags of the tenant that have these names."""
        if create:
            for word in words or ():
                tag: Tag = TagFactory.create(tenant_id=self.tenant_id, name=word)  # type: ignore[assignment]
                self.tags.append(tag)


@register
class CommentFactory(AsyncModelFactory[Comment]):
    """Comments, of a reader and on a post of one tenant."""

    class Meta:
        model = Comment

    post = factory.SubFactory(PostFactory)
    author = factory.SelfAttribute("post.author")
    body = factory.Faker("sentence")


register(TenantFactory, slug="acme")
register(UserFactory, "ann", email="ann@acme.example", profile__bio="I write.")
register(UserFactory, "bob", email="bob@acme.example")


@pytest.fixture
def ann__tenant(tenant: Tenant) -> Tenant:
    """Ann is an author of the tenant."""
    return tenant


@pytest.fixture
def bob__tenant(tenant: Tenant) -> Tenant:
    """Bob is a reader of the same."""
    return tenant


# ----------------------------------------------------------------- the application


@pytest.fixture
def app() -> FastAPI:
    """The application as it is deployed: nothing of it is overridden."""
    return create_app()


@pytest.fixture
async def client(app: FastAPI, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, for the tenant."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport,
        base_url="http://blog",
        headers={"X-Tenant": tenant.slug},
    ) as client:
        yield client
