"""MariaDB: every small change is seen, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from pytest_asyncdb.migrations import snapshot
from tests.migrations.changes_mariadb import BASE, CHANGES, NOISE, NOTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from pytest_asyncdb.migrations import Difference
    from tests.migrations.conftest import Databases


@pytest.fixture
def rich(databases: Databases) -> Iterator[Connection]:
    """A connection to a database with a rich schema."""
    url = databases.empty("mariadb@local").url.set(drivername="mariadb+pymysql")
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        run(connection, BASE)
        yield connection


def run(connection: Connection, statements: Sequence[str]) -> None:
    """Run statements."""
    for sql in statements:
        connection.exec_driver_sql(sql)
    connection.commit()


def changed(connection: Connection, statements: Sequence[str]) -> list[Difference]:
    """What differs after the statements."""
    before = snapshot(connection)
    run(connection, statements)
    return before.diff(snapshot(connection))


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(rich: Connection, change: str) -> None:
    """Each counts, but for the few that are only notes."""
    found = changed(rich, CHANGES[change])

    assert [] != found
    assert (change not in NOTES) == any(each.counts for each in found), found


@pytest.mark.parametrize("noise", NOISE)
def test_what_is_no_change_does_not_count(rich: Connection, noise: str) -> None:
    """Positions, rows, statistics and spelling."""
    found = changed(rich, NOISE[noise])

    assert [] == [str(each) for each in found if each.counts]
