"""What the tracker asks and tells the database. Nothing here commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.mysql import match as against
from sqlalchemy.orm import joinedload, selectinload

from projects.models import Project, Status, Task, User

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession


class Tracker:
    """Projects and tasks, as a session sees them."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    # -------------------------------------------------------------------- tasks
    async def add(
        self, project_id: str, title: str, description: str = "", **columns: object
    ) -> Task:
        """A new task; the database counts, so that no task is forgotten.

        The project comes first. On MariaDB the foreign key of the task would lock it
        for reading, as it would for somebody else, and both would wait to write it.
        """
        await self._count(project_id, 1)
        task = Task(
            project_id=project_id, title=title, description=description, **columns
        )
        self.session.add(task)
        await self.session.flush()
        return task

    async def remove(self, task_id: str) -> bool:
        """Delete a task; says whether it was there, so that it is counted once."""
        project_id = await self.session.scalar(
            select(Task.project_id).where(Task.id == task_id).with_for_update()
        )
        if project_id is None:
            return False
        await self.session.execute(delete(Task).where(Task.id == task_id))
        await self._count(project_id, -1)
        return True

    async def move(self, task_id: str, project_id: str) -> None:
        """Give a task to another project."""
        task = await self.session.get_one(Task, task_id, with_for_update=True)
        # In one order everywhere, so that two moves cannot wait for each other.
        for each, change in sorted(((task.project_id, -1), (project_id, 1))):
            await self._count(each, change)
        task.project_id = project_id
        await self.session.flush()

    async def _count(self, project_id: str, change: int) -> None:
        await self.session.execute(
            update(Project)
            .where(Project.id == project_id)
            .values(task_count=Project.task_count + change)
        )

    # ------------------------------------------------------------------ queries
    async def project(self, project_id: str) -> Project | None:
        """A project with its tasks and those who do them, in two statements."""
        return await self.session.get(
            Project,
            project_id,
            options=[selectinload(Project.tasks).joinedload(Task.assignee)],
        )

    async def search(self, typed: str) -> Sequence[Task]:
        """Tasks whose title or description holds what was typed, in any case."""
        query = (
            select(Task)
            .where(
                Task.title.icontains(typed, autoescape=True)
                | Task.description.icontains(typed, autoescape=True)
            )
            .options(joinedload(Task.project))
            .order_by(Task.title)
        )
        return (await self.session.scalars(query)).all()

    async def words(self, typed: str) -> Sequence[Task]:
        """Tasks about these words, in any form of them where the product knows it."""
        query = select(Task).where(self._about(typed)).order_by(Task.title)
        return (await self.session.scalars(query)).all()

    def _about(self, typed: str) -> ColumnElement[bool]:
        match self.session.get_bind().dialect.name:
            case "postgresql":
                text = func.to_tsvector("english", Task.title + " " + Task.description)
                return text.bool_op("@@")(func.websearch_to_tsquery("english", typed))
            case "mariadb" | "mysql":
                columns = Task.__table__.c
                return against(columns.title, columns.description, against=typed)
            case other:
                raise NotImplementedError(other)

    async def statistics(self, project_id: str) -> dict[Status, int]:
        """How many tasks there are of each status, also of those without any."""
        query = (
            select(Task.status, func.count())
            .where(Task.project_id == project_id)
            .group_by(Task.status)
        )
        rows = await self.session.execute(query)
        return {**dict.fromkeys(Status, 0), **{row[0]: row[1] for row in rows}}

    async def workload(self) -> Sequence[tuple[str, int]]:
        """Everybody's tasks that are not done, also of those who have none."""
        tasks = func.count(Task.id).label("tasks")
        query = (
            select(User.email, tasks)
            .outerjoin(
                Task, (Task.assignee_id == User.id) & (Task.status != Status.done)
            )
            .group_by(User.id, User.email)
            .order_by(tasks.desc(), User.email)
        )
        return [(email, count) for email, count in await self.session.execute(query)]

    async def miscounted(self) -> Sequence[str]:
        """Projects whose number is not that of their tasks; there should be none."""
        tasks = (
            select(func.count(Task.id))
            .where(Task.project_id == Project.id)
            .correlate(Project)
            .scalar_subquery()
        )
        query = select(Project.id).where(Project.task_count != tasks)
        return (await self.session.scalars(query)).all()
