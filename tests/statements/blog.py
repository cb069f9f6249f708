"""A blog: users write posts, to which there are comments."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(AsyncAttrs, DeclarativeBase):
    """Models of the blog."""


class User(Base):
    """Who writes."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    posts: Mapped[list[Post]] = relationship(
        back_populates="author",
        order_by="Post.id",
        primaryjoin="User.id == foreign(Post.author_id)",
    )


class Post(Base):
    """What is written; no index leads from a user to his posts."""

    __tablename__ = "posts"
    __table_args__ = (Index("ix_posts_title", "title"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(50))
    author_id: Mapped[int] = mapped_column()
    author: Mapped[User] = relationship(
        back_populates="posts",
        primaryjoin="foreign(Post.author_id) == User.id",
    )
    comments: Mapped[list[Comment]] = relationship(order_by="Comment.id")


class Comment(Base):
    """What is said to it."""

    __tablename__ = "comments"

    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id"), index=True)
    body: Mapped[str] = mapped_column(String(50))
