"""PostgreSQL: every small change is seen, and nothing else."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from pytest_asyncdb.migrations import snapshot
from tests.migrations.changes_postgresql import BASE, CHANGES, NOISE, NOTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from pytest_asyncdb.migrations import Difference
    from tests.migrations.conftest import Databases

SERVERS: Final = ("postgresql:18@embedded", "postgresql:15@local")


@pytest.fixture(scope="module")
def rich_ones(databases: Databases) -> Iterator[Callable[[str], Connection]]:
    """Connections to databases with the rich schema, one on each server."""
    with ExitStack() as stack:
        yield cache(lambda word: stack.enter_context(_rich(word, databases)))


@contextmanager
def _rich(word: str, databases: Databases) -> Iterator[Connection]:
    url = databases.empty(word).url.set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        run(connection, "SET allow_in_place_tablespaces = on")
        run(connection, "CREATE TABLESPACE elsewhere LOCATION ''")
        run(connection, BASE)
    with engine.connect() as connection:
        yield connection


@pytest.fixture(params=SERVERS)
def rich(
    request: pytest.FixtureRequest, rich_ones: Callable[[str], Connection]
) -> Connection:
    """A connection to a database with the rich schema."""
    return rich_ones(request.param)


def run(connection: Connection, sql: str) -> None:
    """Run statements."""
    connection.exec_driver_sql(sql, None, {"no_parameters": True})


def changed(connection: Connection, sql: str) -> list[Difference]:
    """What differs after the statements, which are undone."""
    try:
        before = snapshot(connection)
        run(connection, sql)
        return before.diff(snapshot(connection))
    finally:
        connection.rollback()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(rich: Connection, change: str) -> None:
    """Each counts, but for the few that are only notes."""
    if change == "extension" and not _has_hstore(rich):
        pytest.skip("this server has no contrib extensions")
    found = changed(rich, CHANGES[change])

    assert [] != found
    assert (change not in NOTES) == any(each.counts for each in found), found


@pytest.mark.parametrize("noise", NOISE)
def test_what_is_no_change_does_not_count(rich: Connection, noise: str) -> None:
    """Object identifiers, positions of sequences, rows and spelling."""
    found = changed(rich, NOISE[noise])

    assert [] == [str(each) for each in found if each.counts]


def test_the_search_path_is_as_it_was(rich: Connection) -> None:
    """The connection may be env.py's own, which has set it."""
    run(rich, "SET search_path = 'it''s', public")
    snapshot(rich)
    path = rich.exec_driver_sql("SHOW search_path").scalar()
    rich.rollback()

    assert '"it\'s", public' == path


def test_a_snapshot_needs_nothing_of_the_last_one(rich: Connection) -> None:
    """The query is prepared again where somebody has discarded it; `jit` stays."""
    run(rich, "SET jit = on")
    before = snapshot(rich)
    run(rich, "DEALLOCATE ALL")
    after = snapshot(rich)
    jit = rich.exec_driver_sql("SHOW jit").scalar()
    rich.rollback()

    assert [] == before.diff(after)
    assert "on" == jit


def _has_hstore(connection: Connection) -> bool:
    sql = "SELECT count(*) FROM pg_available_extensions WHERE name = 'hstore'"
    found: Any = connection.exec_driver_sql(sql).scalar()
    connection.rollback()
    return bool(found)
