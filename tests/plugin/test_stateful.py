"""State machines of async rules on a test's session, each run isolated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

PLUGINS = ("asyncdb", "asyncio", "hypothesispytest")
MODELS = """
    from sqlalchemy import ForeignKey, String
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50))

    class Post(Base):
        __tablename__ = "posts"
        id: Mapped[int] = mapped_column(primary_key=True)
        tag: Mapped[str | None] = mapped_column(String(20))
        comment_count: Mapped[int] = mapped_column(default=0)

    class Comment(Base):
        __tablename__ = "comments"
        id: Mapped[int] = mapped_column(primary_key=True)
        post_id: Mapped[int] = mapped_column(ForeignKey("posts.id"))
"""
MACHINE = """
    from hypothesis import HealthCheck, Phase, settings, strategies as st
    from hypothesis.stateful import invariant, precondition, rule
    from models import Comment, Post
    from sqlalchemy import delete, update
    from pytest_asyncdb.strategies import AsyncDatabaseMachine, awaited

    STEPS = []

    class Blog(AsyncDatabaseMachine):
        def __init__(self):
            super().__init__()
            self.posts = []
            self.comments = []
            STEPS.append(0)

        @rule()
        @awaited
        async def publish(self):
            STEPS[-1] += 1
            post = Post()
            self.session.add(post)
            await self.session.commit()
            self.posts.append(post.id)

        @precondition(lambda self: self.posts)
        @rule(data=st.data(), tag=st.sampled_from(["new", "old"]))
        @awaited
        async def tag(self, data, tag):
            STEPS[-1] += 1
            post = data.draw(st.sampled_from(self.posts))
            query = update(Post).where(Post.id == post)
            await self.session.execute(query.values(tag=tag))

        @precondition(lambda self: self.posts)
        @rule(data=st.data())
        @awaited
        async def comment(self, data):
            STEPS[-1] += 1
            post = data.draw(st.sampled_from(self.posts))
            comment = Comment(post_id=post)
            self.session.add(comment)
            await self.count(post, 1)
            await self.session.commit()
            self.comments.append((comment.id, post))

        @precondition(lambda self: self.comments)
        @rule(data=st.data())
        @awaited
        async def delete(self, data):
            STEPS[-1] += 1
            place = data.draw(st.integers(0, len(self.comments) - 1))
            comment, post = self.comments.pop(place)
            await self.session.execute(delete(Comment).where(Comment.id == comment))
            await self.count(post, LESS)

        async def count(self, post, number):
            query = update(Post).where(Post.id == post)
            count = Post.comment_count + number
            await self.session.execute(query.values(comment_count=count))

        @invariant()
        @awaited
        async def counts_are_right(self):
            total = await self.session.scalar(select(func.sum(Post.comment_count)))
            assert (total or 0) == len(self.comments)

    def test_blog(db_run):
        Blog.check(settings=SETTINGS)

    def test_afterwards(db_sync_session):
        assert 0 == db_sync_session.scalar(select(func.count()).select_from(Post))
"""
SOUND = """
    LESS = -1
    SETTINGS = settings(
        deadline=None, max_examples=10, stateful_step_count=50, database=None,
        suppress_health_check=list(HealthCheck),
    )

    def test_it_ran_for_long():
        assert 200 <= sum(STEPS)
"""
BROKEN = """
    LESS = 0
    SETTINGS = settings(
        deadline=None, max_examples=50, stateful_step_count=20, database=None,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
    )

    def test_it_was_shrunk():
        assert 3 == STEPS[-1]
"""


@pytest.fixture
def project(project: Project) -> Project:
    """A project with a blog."""
    project.write("models", MODELS)
    return project


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_machine_runs_for_long(project: Project, database: str) -> None:
    """Each run begins with an empty blog, and leaves none behind."""
    project.test(MACHINE, SOUND)
    result = project.run(
        f"--asyncdb={database}", "--hypothesis-seed=1", plugins=PLUGINS
    )

    result.assert_outcomes(passed=3)


def test_a_wrong_count_is_found_and_shrunk(project: Project) -> None:
    """To three steps, each printed below its SQL."""
    project.test(MACHINE, BROKEN)
    result = project.run("--hypothesis-seed=1", plugins=PLUGINS)

    result.assert_outcomes(failed=1, passed=2)
    result.stdout.fnmatch_lines(
        [
            "*state = Blog(*",
            "*# INSERT INTO posts*",
            "*state.publish()",
            "*state.comment(*",
            "*# DELETE FROM comments*",
            "*state.delete(*",
        ]
    )


def test_a_machine_needs_a_test_of_ours(project: Project) -> None:
    """It says which fixture to ask for."""
    project.test(
        """
        from pytest_asyncdb.strategies import AsyncDatabaseMachine

        def test_it():
            AsyncDatabaseMachine.check()
        """
    )
    result = project.run(plugins=PLUGINS)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*StrategyRefused: *no test runs that uses our*"])
