"""SQLite: every small change is seen, and another spelling is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

from pytest_asyncdb.migrations import snapshot
from tests.migrations.changes_sqlite import BASE, CHANGES, NOISE, NOTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from pytest_asyncdb.migrations import Difference


@pytest.fixture
def rich() -> Iterator[Connection]:
    """A connection to a database with a rich schema."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        run(connection, BASE)
        yield connection
    engine.dispose()


def run(connection: Connection, sql: str) -> None:
    """Run statements."""
    raw: Any = connection.connection.driver_connection
    raw.executescript(sql)


def changed(connection: Connection, sql: str) -> list[Difference]:
    """What differs after the statements."""
    before = snapshot(connection)
    run(connection, sql)
    return before.diff(snapshot(connection))


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(rich: Connection, change: str) -> None:
    """Each counts, but for the few that are only notes."""
    found = changed(rich, CHANGES[change])

    assert [] != found
    assert (change not in NOTES) == any(each.counts for each in found), found


@pytest.mark.parametrize("noise", NOISE)
def test_what_is_no_change_does_not_count(rich: Connection, noise: str) -> None:
    """Quotes, case, blanks, synonyms, and where a constraint stands."""
    found = changed(rich, NOISE[noise])

    assert [] == [str(each) for each in found if each.counts]


def test_a_table_is_told_once(rich: Connection) -> None:
    """Its columns, constraints and indexes came with it."""
    sql = "CREATE TABLE more (id INTEGER PRIMARY KEY, n INTEGER UNIQUE)"
    found = changed(rich, f"{sql}; CREATE INDEX i ON more (n)")

    assert ["+ CREATE TABLE more (id, n)"] == [str(each) for each in found]
