"""The models of the factories' benchmark, and each way to make rows of them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import factory
from factory.alchemy import SQLAlchemyModelFactory
from sqlalchemy import ForeignKey, String, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from pytest_asyncdb.factories import AsyncModelFactory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

__all__ = ["PEERS", "WAYS", "Base"]


class Base(DeclarativeBase):
    """Two tables."""


class User(Base):
    """With an address of its own, and a date that the server fills in."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(50), unique=True)
    name: Mapped[str] = mapped_column(String(50))
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    posts: Mapped[list[Post]] = relationship(back_populates="author")


class Post(Base):
    """With an author of its own."""

    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(50))
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    author: Mapped[User] = relationship(back_populates="posts")


def _user(number: int) -> User:
    return User(email=f"user{number}@users.example", name="Ann")


# ---------------------------------------------------------------------------- raw
async def _raw_users(session: AsyncSession, count: int) -> None:
    session.add_all([_user(number) for number in range(count)])
    await session.flush()


async def _raw_posts(session: AsyncSession, count: int) -> None:
    posts = [Post(title=f"Post {each}", author=_user(each)) for each in range(count)]
    session.add_all(posts)
    await session.flush()


# --------------------------------------------------------------------------- ours
class UserFactory(AsyncModelFactory[User]):
    """Users, written and not committed."""

    class Meta:
        """Options."""

        model = User
        persistence = "flush"

    email = factory.Sequence(lambda n: f"user{n}@users.example")
    name = "Ann"


class PostFactory(AsyncModelFactory[Post]):
    """Posts, each by a new user."""

    class Meta:
        """Options."""

        model = Post
        persistence = "flush"

    title = factory.Sequence(lambda n: f"Post {n}")
    author = factory.SubFactory(UserFactory)


async def _our_users(session: AsyncSession, count: int) -> None:
    await UserFactory.using(session).create_batch(count)


async def _our_posts(session: AsyncSession, count: int) -> None:
    await PostFactory.using(session).create_batch(count)


# -------------------------------------------------------------------- factory_boy
def _factories(base: Any, session: Any, **options: Any) -> tuple[Any, Any]:
    """The same factories on another base class."""
    meta = {"sqlalchemy_session": session, **options}

    class Users(base):  # type: ignore[misc]
        Meta = type("Meta", (), {"model": User, **meta})
        email = factory.Sequence(lambda n: f"user{n}@users.example")
        name = "Ann"

    class Posts(base):  # type: ignore[misc]
        Meta = type("Meta", (), {"model": Post, **meta})
        title = factory.Sequence(lambda n: f"Post {n}")
        author = factory.SubFactory(Users)

    return Users, Posts


async def _boys_users(session: AsyncSession, count: int) -> None:
    await session.run_sync(_boys, 0, count)


async def _boys_posts(session: AsyncSession, count: int) -> None:
    await session.run_sync(_boys, 1, count)


def _boys(session: Session, which: int, count: int) -> None:
    flush = {"sqlalchemy_session_persistence": "flush"}
    _factories(SQLAlchemyModelFactory, session, **flush)[which].create_batch(count)


# -------------------------------------------------------------- async-factory-boy
async def _theirs_users(session: AsyncSession, count: int) -> None:
    from async_factory_boy.factory.sqlalchemy import AsyncSQLAlchemyFactory

    await _factories(AsyncSQLAlchemyFactory, session)[0].create_batch(count)


async def _theirs_posts(session: AsyncSession, count: int) -> None:
    from async_factory_boy.factory.sqlalchemy import AsyncSQLAlchemyFactory

    await _factories(AsyncSQLAlchemyFactory, session)[1].create_batch(count)


# -------------------------------------------------------------------- polyfactory
def _polyfactories(session: AsyncSession) -> tuple[Any, Any]:
    from polyfactory import Use
    from polyfactory.factories.sqlalchemy_factory import SQLAlchemyFactory

    numbers = iter(range(10**9))

    class Users(SQLAlchemyFactory[User]):  # type: ignore[misc]
        __set_primary_key__ = False
        __set_relationships__ = False
        __async_session__ = session
        email = Use(lambda: f"user{next(numbers)}@users.example")
        name = "Ann"

    class Posts(SQLAlchemyFactory[Post]):  # type: ignore[misc]
        __set_primary_key__ = False
        __set_foreign_keys__ = False
        __async_session__ = session
        title = Use(lambda: f"Post {next(numbers)}")
        author = Users

    return Users, Posts


async def _poly_users(session: AsyncSession, count: int) -> None:
    await _polyfactories(session)[0].create_batch_async(count)


async def _poly_posts(session: AsyncSession, count: int) -> None:
    await _polyfactories(session)[1].create_batch_async(count)


WAYS: dict[str, dict[str, Callable[[AsyncSession, int], Awaitable[None]]]] = {
    "users": {
        "ours": _our_users,
        "add_all, one flush": _raw_users,
        "factory_boy in run_sync": _boys_users,
    },
    "posts": {
        "ours": _our_posts,
        "add_all, one flush": _raw_posts,
        "factory_boy in run_sync": _boys_posts,
    },
}
PEERS: dict[str, dict[str, Callable[[AsyncSession, int], Awaitable[None]]]] = {
    "users": {"async-factory-boy": _theirs_users, "polyfactory": _poly_users},
    "posts": {"async-factory-boy": _theirs_posts, "polyfactory": _poly_posts},
}
