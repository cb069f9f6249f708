"""What a test has changed, as rows per table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import delete, insert, update

from pytest_asyncdb.isolation._changes import Contents

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.isolation import Isolation
    from tests.isolation.conftest import Application

MODES: Final = ("sandbox", "commit", "database")


@pytest.mark.parametrize("mode", MODES)
async def test_rows_that_were_added_changed_and_removed(
    kind: str,
    mode: str,
    make_isolation: Callable[..., Isolation],
    make_app: Callable[..., Application],
) -> None:
    """Each is counted by table, and shown with what it was."""
    isolation = make_isolation(kind)
    isolation.open("a test", mode=mode)
    isolation.remember()
    app = make_app()
    await app.add("ann", "bob")
    async with app.session() as session:
        await session.execute(update(app.User).values(name=app.User.name + "!"))
        await session.execute(delete(app.Seed))
        await session.commit()
    changes = await isolation.changes()

    assert 2 == changes.added["users"]
    assert 1 == changes.removed["seeds"]
    assert 0 == changes.added["posts"]
    assert "ann!" == changes.tables["users"].added[0]["name"]
    assert "- {'name': 'seed'}" in str(changes)
    isolation.close()


@pytest.mark.parametrize("kind", ["aiosqlite", "asyncpg"])
async def test_nothing_has_changed(
    kind: str,
    make_isolation: Callable[..., Isolation],
    make_app: Callable[..., Application],
) -> None:
    """Not in a new test, and not by what was rolled back."""
    isolation = make_isolation(kind)
    isolation.open("a test")
    isolation.remember()
    app = make_app()
    async with app.session() as session:
        await session.execute(insert(app.User).values(name="ann"))
        await session.rollback()
    changes = await isolation.changes()

    assert not changes
    assert "nothing" == str(changes)
    isolation.close()


def _contents(*rows: dict[str, Any], key: tuple[str, ...] = ()) -> Contents:
    return Contents({"t": key}, {"t": rows})


def test_without_a_key_rows_are_counted() -> None:
    """The same row may be there several times."""
    one, two = {"a": 1}, {"a": 2}
    changes = _contents(one, one).changed_to(_contents(one, two))

    assert ({"a": 2},) == changes.tables["t"].added
    assert ({"a": 1},) == changes.tables["t"].removed


def test_a_changed_row_shows_what_it_was() -> None:
    """And only the columns that have changed."""
    before = _contents({"id": 1, "a": 1, "b": 0}, key=("id",))
    changes = before.changed_to(_contents({"id": 1, "a": 2, "b": 0}, key=("id",)))

    assert "t\n  ~ {'id': 1, 'a': 2, 'b': 0}, which had {'a': 1}" == str(changes)


def test_many_rows_are_not_all_shown() -> None:
    """Ten of them, and how many more."""
    rows = [{"id": number} for number in range(15)]
    changes = _contents(key=("id",)).changed_to(_contents(*rows, key=("id",)))

    assert str(changes).endswith("+ … and 5 more")
