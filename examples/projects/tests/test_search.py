"""The search takes what is typed as it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from projects.models import Project, Task
    from projects.tracker import Tracker
    from pytest_asyncdb import Recorder
    from pytest_asyncdb.factories import AsyncModelFactory

TITLES = ["100% done", "100 done", "a_b", "axb", "C:\\temp", "a/b", "Straße", "plain"]


@pytest.fixture
async def tasks(
    project: Project, task_factory: type[AsyncModelFactory[Task]]
) -> list[Task]:
    """A task for each of the titles."""
    return [await task_factory(project=project, title=title) for title in TITLES]


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("100%", ["100% done"]),
        ("%", ["100% done"]),
        ("a_b", ["a_b"]),
        ("_", ["a_b"]),
        ("\\", ["C:\\temp"]),
        ("/", ["a/b"]),
        ("PLAIN", ["plain"]),
        ("'; --", []),
        ("nothing of that", []),
    ],
)
async def test_what_is_typed_is_found_as_it_is(
    tracker: Tracker, typed: str, found: list[str]
) -> None:
    """The signs of LIKE are letters like others, and so is its escape."""
    assert found == [task.title for task in await tracker.search(typed)]


@pytest.mark.usefixtures("tasks")
async def test_nothing_typed_finds_everything(tracker: Tracker) -> None:
    """An empty search is no search."""
    assert len(TITLES) == len(await tracker.search(""))


async def test_descriptions_are_searched_too(
    tracker: Tracker, task_factory: type[AsyncModelFactory[Task]]
) -> None:
    """A task is found by its description, once."""
    task = await task_factory(title="Fix it", description="To fix is to mend.")

    assert [task] == await tracker.search("fix")


@pytest.mark.usefixtures("tasks")
async def test_a_search_comes_with_its_projects(
    tracker: Tracker, db_statements: Recorder
) -> None:
    """The names of the projects cost no statement of their own."""
    tracker.session.expunge_all()
    async with db_statements.expect(exactly=1):
        names = {task.project.name for task in await tracker.search("done")}

    assert 1 == len(names)
