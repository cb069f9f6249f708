"""A library's models: authors, books, profiles and tags; and factories for them."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import Any

import factory
from sqlalchemy import (
    CheckConstraint,
    Column,
    Enum,
    ForeignKey,
    Numeric,
    String,
    Table,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from pytest_asyncdb.factories import AsyncModelFactory


class Base(DeclarativeBase):
    """The library's tables."""


class Role(enum.Enum):
    """What an author may do."""

    ADMIN = "admin"
    USER = "user"


book_tags = Table(
    "book_tags",
    Base.metadata,
    Column("book_id", ForeignKey("books.id"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id"), primary_key=True),
)


class Author(Base):
    """Has all that a database fills in by itself."""

    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(20))
    nickname: Mapped[str | None] = mapped_column(String(20))
    role: Mapped[Role] = mapped_column(Enum(Role), default=Role.USER)
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[dt.datetime] = mapped_column(
        server_default=func.now(), onupdate=func.now()
    )
    version: Mapped[int] = mapped_column()

    books: Mapped[list[Book]] = relationship(back_populates="author")
    profile: Mapped[Profile | None] = relationship(back_populates="author")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - as SQLAlchemy has it

    def rename(self, name: str, suffix: str = "") -> str:
        """Take another name, which is also what it gives."""
        self.name = name + suffix
        return self.name


class Profile(Base):
    """What an author says about himself: one each."""

    __tablename__ = "profiles"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"), unique=True)
    bio: Mapped[str] = mapped_column(String(100))

    author: Mapped[Author] = relationship(back_populates="profile")


class Book(Base):
    """Needs an author, and a price that is one."""

    __tablename__ = "books"
    __table_args__ = (
        CheckConstraint("price > 0", name="price_positive"),
        UniqueConstraint("author_id", "title"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(60))
    price: Mapped[Decimal] = mapped_column(Numeric(8, 2))
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))

    author: Mapped[Author] = relationship(back_populates="books")
    tags: Mapped[list[Tag]] = relationship(secondary=book_tags, back_populates="books")


class Tag(Base):
    """A word for books."""

    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), unique=True)

    books: Mapped[list[Book]] = relationship(secondary=book_tags, back_populates="tags")


class AuthorFactory(AsyncModelFactory[Author]):
    """Authors with an address of their own."""

    class Meta:
        model = Author

    email = factory.Sequence(lambda n: f"a{n}@books.example")
    name: Any = "Ann"


class TagFactory(AsyncModelFactory[Tag]):
    """Tags with a name of their own."""

    class Meta:
        model = Tag

    name = factory.Sequence(lambda n: f"tag{n}")


class BookFactory(AsyncModelFactory[Book]):
    """Books, each by an author of its own."""

    class Meta:
        model = Book

    title = factory.Sequence(lambda n: f"Volume {n}")
    price = Decimal("9.99")
    author = factory.SubFactory(AuthorFactory)


class ProfileFactory(AsyncModelFactory[Profile]):
    """Profiles of authors."""

    class Meta:
        model = Profile

    bio = "I write."
    author = factory.SubFactory(AuthorFactory)


class TaggedBookFactory(BookFactory):
    """Books with four tags, made in a hook."""

    @factory.post_generation
    def tags(self: Any, create: bool, extracted: Any, **_: Any) -> None:  # noqa: FBT001
        """Take the tags that were given, or new ones."""
        if create:
            self.tags.extend(extracted or TagFactory.create_batch(4))
