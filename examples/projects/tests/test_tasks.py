"""Keys, statistics, and what goes with what."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from projects.models import Project, Status, Task, User

if TYPE_CHECKING:
    from projects.tracker import Tracker
    from pytest_asyncdb import Recorder
    from pytest_asyncdb.factories import AsyncModelFactory


async def _number(tracker: Tracker, model: type[Project | Task | User]) -> int | None:
    return await tracker.session.scalar(select(func.count(model.id)))


async def test_a_key_is_a_uuid(tracker: Tracker, project: Project) -> None:
    """In a string of 36 signs, and another one for each row."""
    tasks = [await tracker.add(project.id, "the same") for _ in range(3)]
    await tracker.session.commit()

    assert 3 == len({UUID(task.id) for task in tasks})
    assert {4} == {UUID(task.id).version for task in tasks}


async def test_a_task_needs_its_project(tracker: Tracker) -> None:
    """A key of nobody is refused by the database."""
    with pytest.raises(IntegrityError):
        await tracker.add("no project", "lost")


async def test_statistics_know_every_status(tracker: Tracker, project: Project) -> None:
    """In one statement, and a status without tasks is there."""
    for status in (Status.open, Status.open, Status.done):
        await tracker.add(project.id, "a task", status=status)

    assert {Status.open: 2, Status.started: 0, Status.done: 1} == (
        await tracker.statistics(project.id)
    )


async def test_statistics_are_of_one_project(
    tracker: Tracker, project_factory: type[AsyncModelFactory[Project]]
) -> None:
    """Tasks of another project do not count."""
    one, other = await project_factory.create_batch(2)
    await tracker.add(one.id, "a task")
    await tracker.add(other.id, "a task")

    assert 1 == sum((await tracker.statistics(one.id)).values())


async def test_everybody_has_a_workload(
    tracker: Tracker,
    project: Project,
    user_factory: type[AsyncModelFactory[User]],
) -> None:
    """Also those who have nothing to do; what is done is no work."""
    ann, bob = await user_factory(email="ann@x"), await user_factory(email="bob@x")
    await tracker.add(project.id, "paint", assignee_id=bob.id)
    await tracker.add(project.id, "clean", assignee_id=bob.id)
    await tracker.add(project.id, "rest", assignee_id=ann.id, status=Status.done)
    workload = dict(await tracker.workload())

    assert (0, 2) == (workload["ann@x"], workload["bob@x"])


async def test_a_project_is_read_in_two_statements(
    tracker: Tracker,
    project: Project,
    user_factory: type[AsyncModelFactory[User]],
    db_statements: Recorder,
) -> None:
    """However many tasks it has, and whoever does them."""
    users = await user_factory.create_batch(5)
    for user in users:
        await tracker.add(project.id, "a task", assignee_id=user.id)
    await tracker.session.commit()
    tracker.session.expunge_all()
    async with db_statements.expect(exactly=2):
        found = await tracker.project(project.id)

    assert found is not None
    assert {user.email for user in users} == {
        task.assignee.email for task in found.tasks if task.assignee
    }


async def test_a_project_takes_its_tasks_along(
    tracker: Tracker, project: Project, db_statements: Recorder
) -> None:
    """The database deletes them; the session sends one statement."""
    for _ in range(5):
        await tracker.add(project.id, "a task")
    await tracker.session.commit()
    tracker.session.expunge_all()
    gone = await tracker.session.get_one(Project, project.id)
    async with db_statements.expect(exactly=1, tables={"projects"}):
        await tracker.session.delete(gone)
        await tracker.session.commit()

    assert 0 == await _number(tracker, Task)


async def test_a_user_takes_his_projects_along(
    tracker: Tracker,
    project: Project,
    user_factory: type[AsyncModelFactory[User]],
) -> None:
    """His projects go, and tasks that he did in others are nobody's."""
    bob = await user_factory()
    his = Project(owner_id=bob.id, name="his")
    tracker.session.add(his)
    await tracker.session.flush()
    await tracker.add(his.id, "gone")
    left = await tracker.add(project.id, "left", assignee_id=bob.id)
    await tracker.session.commit()
    tracker.session.expunge_all()
    await tracker.session.delete(await tracker.session.get_one(User, bob.id))
    await tracker.session.commit()
    tasks = (await tracker.session.scalars(select(Task))).all()

    assert [(left.id, None)] == [(task.id, task.assignee_id) for task in tasks]
    assert 1 == await _number(tracker, Project)
