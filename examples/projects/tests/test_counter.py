"""The number of tasks that stands in a project is that of its tasks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies as st
from sqlalchemy.exc import DBAPIError

from projects.models import Project
from projects.tracker import Tracker
from pytest_asyncdb import AnomalyFound
from pytest_asyncdb.concurrency import all_succeed, no_deadlock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from projects.models import Task
    from pytest_asyncdb.concurrency import Explorer, Result
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


class CountsInPython(Tracker):
    """What is written first: read the number, add one."""

    async def _count(self, project_id: str, change: int) -> None:
        project = await self.session.get_one(Project, project_id)
        project.task_count += change


async def _adding(
    explorer: Explorer,
    sessions: async_sessionmaker[AsyncSession],
    tracker: type[Tracker],
    project: Project,
) -> Result:
    """Two requests that each add a task, in every order of their statements."""

    async def add(title: str) -> None:
        async with sessions.begin() as session:
            await tracker(session).add(project_id, title)

    async def is_right(session: AsyncSession) -> None:
        assert [] == await Tracker(session).miscounted()

    project_id = project.id
    return await explorer.explore(
        paint=lambda: add("paint"), clean=lambda: add("clean"), invariant=is_right
    )


async def test_counting_in_python_forgets_a_task(
    project: Project,
    db_sessionmaker: async_sessionmaker[AsyncSession],
    db_concurrency: Explorer,
) -> None:
    """Why the database counts: what two have read, both add one to."""
    with pytest.raises(AnomalyFound, match="invariant"):
        await _adding(db_concurrency, db_sessionmaker, CountsInPython, project)


async def test_counting_in_the_database_forgets_none(
    project: Project,
    db_sessionmaker: async_sessionmaker[AsyncSession],
    db_concurrency: Explorer,
) -> None:
    """The cure, in the same search; and nobody is a deadlock's victim."""
    result = await _adding(db_concurrency, db_sessionmaker, Tracker, project)

    assert result.complete


async def test_moves_in_both_directions_are_counted(
    task_factory: type[AsyncModelFactory[Task]],
    db_sessionmaker: async_sessionmaker[AsyncSession],
    db_concurrency: Explorer,
) -> None:
    """Two projects are counted in one order, so that the moves only wait."""
    one, other = await task_factory.create_batch(2)
    moves = {"there": (one.id, other.project_id), "back": (other.id, one.project_id)}

    def mover(task_id: str, project_id: str) -> Callable[[], Awaitable[None]]:
        async def move() -> None:
            async with db_sessionmaker.begin() as session:
                await Tracker(session).move(task_id, project_id)

        return move

    async def is_right(session: AsyncSession) -> None:
        assert [] == await Tracker(session).miscounted()

    result = await db_concurrency.explore(
        {name: mover(*each) for name, each in moves.items()},
        invariant=[is_right, no_deadlock, all_succeed],
    )

    assert result.complete
