"""Full text, with real commits: InnoDB finds no word that is not committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from projects.models import Task
    from projects.tracker import Tracker
    from pytest_asyncdb.factories import AsyncModelFactory

pytestmark = pytest.mark.asyncdb(isolation="commit", backends=["postgresql", "mariadb"])


async def test_a_task_is_found_by_its_words(
    tracker: Tracker, task_factory: type[AsyncModelFactory[Task]]
) -> None:
    """In whatever order they are, and wherever in the task."""
    kitchen = await task_factory(title="Paint the kitchen", description="In yellow.")
    await task_factory(title="Clean the garage", description="All of it.")

    assert [kitchen] == await tracker.words("yellow kitchen")
    assert [] == await tracker.words("bathroom")


@pytest.mark.asyncdb(backends=["postgresql"])
async def test_a_word_is_found_in_its_other_forms(
    tracker: Tracker, task_factory: type[AsyncModelFactory[Task]]
) -> None:
    """PostgreSQL knows what is one word in English."""
    task = await task_factory(title="Paint the kitchen")

    assert [task] == await tracker.words("painting kitchens")
    assert [] == await tracker.words("painting -kitchen")
