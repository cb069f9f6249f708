"""Users, projects and tasks, and a tracker on the test's session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import factory
import pytest

from projects.models import Project, Task, User
from projects.tracker import Tracker
from pytest_asyncdb.factories import AsyncModelFactory, register

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


@register
class UserFactory(AsyncModelFactory[User]):
    """Users without projects."""

    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"user{n}@projects.example")


@register
class ProjectFactory(AsyncModelFactory[Project]):
    """Projects without tasks, each of a new owner if none is given."""

    class Meta:
        model = Project

    owner = factory.SubFactory(UserFactory)
    name = factory.Sequence(lambda n: f"project {n}")


@register
class TaskFactory(AsyncModelFactory[Task]):
    """Tasks, which their projects have counted."""

    class Meta:
        model = Task

    project = factory.SubFactory(ProjectFactory, task_count=1)
    title = factory.Sequence(lambda n: f"task {n}")


@pytest.fixture
def tracker(db_session: AsyncSession) -> Tracker:
    """The tracker, as a request would have it."""
    return Tracker(db_session)
