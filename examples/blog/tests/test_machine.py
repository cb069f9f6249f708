"""Posts are published, tagged and commented on in any order, and counted right."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import settings, strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from blog.models import Comment
from blog.repositories import Posts, Tenants, Users
from pytest_asyncdb.strategies import AsyncDatabaseMachine, awaited

if TYPE_CHECKING:
    from collections.abc import Callable

    from blog.models import User

WORDS = st.sampled_from(["new", "old", "sql"])


class BlogMachine(AsyncDatabaseMachine):
    """One tenant's blog, and what ought to be in it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, set[str]] = {}
        self.comments: list[tuple[int, str]] = []

    @initialize()
    @awaited
    async def register(self) -> None:
        """A tenant with an author."""
        tenant = await Tenants(self.session).create("acme")
        self.author: User = await Users(self.session, tenant).register("ann@acme")
        self.blog = Posts(self.session, tenant)

    @rule(words=st.lists(WORDS, max_size=2))
    @awaited
    async def publish(self, words: list[str]) -> None:
        """A post with its tags."""
        slug = f"post-{len(self.tags)}"
        await self.blog.create(self.author, slug, slug.title(), tags=words)
        await self.session.commit()
        self.tags[slug] = {*words}

    @precondition(lambda self: self.tags)
    @rule(data=st.data(), word=WORDS)
    @awaited
    async def tag(self, data: st.DataObject, word: str) -> None:
        """Another tag, or one that the post has."""
        slug = data.draw(st.sampled_from([*self.tags]))
        post = await self.blog.details(slug)
        assert post is not None
        tag = await self.blog.tag(word)
        if tag not in post.tags:
            post.tags.append(tag)
        await self.session.commit()
        self.tags[slug].add(word)

    @precondition(lambda self: self.tags)
    @rule(data=st.data())
    @awaited
    async def comment(self, data: st.DataObject) -> None:
        """A comment on any post."""
        slug = data.draw(st.sampled_from([*self.tags]))
        post = await self.blog.details(slug)
        assert post is not None
        comment = await self.blog.comment(post, self.author, "First!")
        await self.session.commit()
        self.comments.append((comment.id, slug))

    @precondition(lambda self: self.comments)
    @rule(data=st.data())
    @awaited
    async def delete(self, data: st.DataObject) -> None:
        """One of the comments goes."""
        place = data.draw(st.integers(0, len(self.comments) - 1))
        number, _ = self.comments.pop(place)
        await self.remove(number)
        await self.session.commit()

    async def remove(self, number: int) -> None:
        """Delete a comment by its id."""
        await self.session.delete(await self.session.get_one(Comment, number))

    @invariant()
    @awaited
    async def comments_are_counted(self) -> None:
        """Of every published post, also of those without any."""
        if not self.tags:
            return
        expected = Counter(slug for _, slug in self.comments)
        popular = await self.blog.popular(limit=len(self.tags))

        assert {slug: expected[slug] for slug in self.tags} == {
            post.slug: count for post, count in popular
        }

    @invariant()
    @awaited
    async def posts_are_found_by_their_tags(self) -> None:
        """Those that have the tag, and no others."""
        if not self.tags:
            return
        found = await self.blog.published(tag="sql", limit=len(self.tags))
        tagged = {slug for slug, words in self.tags.items() if "sql" in words}

        assert tagged == {post.slug for post in found}


def test_a_blog_counts_right_whatever_happens(db_run: Callable[..., object]) -> None:
    """Four runs of fifty steps."""
    del db_run
    long = settings(deadline=None, max_examples=4, stateful_step_count=50)

    BlogMachine.check(settings=long)
