"""The number of tasks that stands in a project is that of its tasks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies as st
from sqlalchemy.exc import DBAPIError

from projects.models import Project
from projects.tracker import Tracker

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from projects.models import Task
    from pytest_asyncdb.factories import AsyncModelFactory

STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "move"]), st.integers(0, 5)),
    max_size=12,
)


@settings(deadline=None, max_examples=25)
@given(steps=STEPS)
async def test_after_any_steps_it_is_right(
    tracker: Tracker,
    project_factory: type[AsyncModelFactory[Project]],
    steps: list[tuple[str, int]],
) -> None:
    """Whatever is added, removed and moved, also if it is not there."""
    projects = await project_factory.create_batch(2)
    tasks: list[str] = []
    for number, (step, place) in enumerate(steps):
        if step == "add" or not tasks:
            task = await tracker.add(projects[place % 2].id, f"task {number}")
            tasks.append(task.id)
        elif step == "remove":
            await tracker.remove(tasks.pop(place % len(tasks)))
        else:
            await tracker.move(tasks[place % len(tasks)], projects[number % 2].id)
    await tracker.session.commit()

    assert [] == await tracker.miscounted()


async def test_a_task_is_removed_once(tracker: Tracker, task: Task) -> None:
    """The second removal finds nothing, and counts nothing."""
    removed = [await tracker.remove(task.id), await tracker.remove(task.id)]
    await tracker.session.commit()

    assert [True, False] == removed
    assert [] == await tracker.miscounted()


async def test_it_is_never_negative(tracker: Tracker, project: Project) -> None:
    """A CHECK says that something has been miscounted, before anybody sees it."""
    project.task_count = -1
    with pytest.raises(DBAPIError, match="ck_projects_task_count"):
        await tracker.session.commit()


@pytest.mark.asyncdb(isolation="commit")
async def test_no_task_is_forgotten(
    tracker: Tracker,
    project: Project,
    db_sessionmaker: async_sessionmaker[AsyncSession],
) -> None:
    """Many sessions that commit for real add to one project at the same time."""

    async def add(number: int) -> None:
        async with db_sessionmaker.begin() as session:
            await Tracker(session).add(project.id, f"task {number}")

    await asyncio.gather(*(add(number) for number in range(8)))
    await tracker.session.refresh(project)

    assert 8 == project.task_count
    assert [] == await tracker.miscounted()


@pytest.mark.asyncdb(isolation="commit", requires=["row_locks"])
async def test_counting_in_python_forgets_tasks(
    project: Project, db_sessionmaker: async_sessionmaker[AsyncSession]
) -> None:
    """Why the database counts: what two have read, both add one to."""
    async with db_sessionmaker() as one, db_sessionmaker() as two:
        read = [await each.get_one(Project, project.id) for each in (one, two)]
        for session, seen in zip((one, two), read, strict=True):
            seen.task_count += 1
            await session.commit()
        await one.refresh(read[0])

    assert 1 == read[0].task_count
