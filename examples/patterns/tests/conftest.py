"""Users and articles."""

from __future__ import annotations

import factory

from patterns.models import Article, Role, User
from pytest_asyncdb.factories import AsyncModelFactory, register


@register
class RoleFactory(AsyncModelFactory[Role]):
    """Roles."""

    class Meta:
        model = Role

    name = factory.Sequence(lambda n: f"role {n}")


@register
class UserFactory(AsyncModelFactory[User]):
    """Users without roles."""

    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"user{n}@patterns.example")


@register
class ArticleFactory(AsyncModelFactory[Article]):
    """Articles, each of a new author if none is given; numbers go up."""

    class Meta:
        model = Article

    author = factory.SubFactory(UserFactory)
    title = factory.Sequence(lambda n: f"article {n}")
    number = factory.Sequence(lambda n: n)
