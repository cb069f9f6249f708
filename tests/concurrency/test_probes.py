"""Who waits for whom, as the server says, and as it is foretold for files."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asyncdb.concurrency._probe import SOMEBODY
from pytest_asyncdb.concurrency._probes import open_probe, product_of
from pytest_asyncdb.concurrency._trace import Kind
from pytest_asyncdb.errors import ProbeRefused
from tests.concurrency.bank import Setup
from tests.concurrency.conftest import server_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from pytest_asyncdb.concurrency._probe import Probe
    from tests.databases import Databases

_UPDATE = "UPDATE account SET value = value + 1 WHERE id = 1"


@pytest.fixture
async def probe(engine: AsyncEngine) -> AsyncIterator[Probe]:
    """A probe on a connection of its own."""
    made = await open_probe(await engine.connect())
    yield made
    await made.close()


async def _session(probe: Probe, connection: AsyncConnection) -> int:
    raw = await connection.get_raw_connection()
    return probe.session(raw.driver_connection)


@contextlib.asynccontextmanager
async def _waiting(connection: AsyncConnection, sql: str) -> AsyncIterator[None]:
    """While the statement waits; at the end it has been answered."""
    task = asyncio.ensure_future(connection.execute(text(sql)))
    yield
    await asyncio.wait_for(task, 10)
    await connection.rollback()


async def _asked(probe: Probe, *sessions: int) -> Mapping[int, frozenset[int]]:
    """The first answer in which somebody waits."""
    async with asyncio.timeout(10):
        while not (found := await probe.blocking(sessions, exact=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    return found


async def test_nobody_waits_while_nothing_is_locked(
    engine: AsyncEngine, probe: Probe
) -> None:
    """A session with an open transaction waits for nothing by itself."""
    async with engine.connect() as one:
        number = await _session(probe, one)
        await one.execute(text(_UPDATE))

        assert {} == await probe.blocking([number], exact=True)


async def test_who_waits_for_a_row_is_told_with_who_has_it(
    engine: AsyncEngine, probe: Probe
) -> None:
    """An update of a row that another transaction has updated waits for that one."""
    async with engine.connect() as one, engine.connect() as two:
        first, second = await _session(probe, one), await _session(probe, two)
        await one.execute(text(_UPDATE))
        async with _waiting(two, _UPDATE):
            found = await _asked(probe, first, second)
            await one.rollback()

        assert {second: {first}} == found
        assert {} == await probe.blocking([first, second])


async def test_one_that_waits_behind_others_is_told_with_them(
    engine: AsyncEngine, probe: Probe
) -> None:
    """Of several transactions with locks the right ones are named."""
    async with (
        engine.connect() as bystander,
        engine.connect() as one,
        engine.connect() as two,
    ):
        first, second = await _session(probe, one), await _session(probe, two)
        await bystander.execute(text(_UPDATE.replace("id = 1", "id = 2")))
        await one.execute(text(_UPDATE))
        async with _waiting(two, _UPDATE):
            found = await _asked(probe, second)
            await one.rollback()

        assert {second: {first}} == found


async def test_a_holder_that_is_not_asked_about_is_told_too(
    engine: AsyncEngine, probe: Probe
) -> None:
    """Another program's lock is seen as what it is."""
    async with engine.connect() as stranger, engine.connect() as two:
        second = await _session(probe, two)
        await stranger.execute(text(_UPDATE))
        async with _waiting(two, _UPDATE):
            found = await _asked(probe, second)
            await stranger.rollback()

        assert {await _session(probe, stranger)} == found[second]


_LOCKS = {
    "postgresql": ("SELECT pg_advisory_lock(7)", "SELECT pg_advisory_unlock(7)"),
    "mariadb": ("SELECT GET_LOCK('seven', 30)", "SELECT RELEASE_LOCK('seven')"),
}


async def test_locks_that_belong_to_no_row_are_seen(
    engine: AsyncEngine, probe: Probe
) -> None:
    """Advisory locks, and MariaDB's user locks, are waited for as well."""
    lock, unlock = _LOCKS[product_of(engine.dialect)]
    async with engine.connect() as one, engine.connect() as two:
        first, second = await _session(probe, one), await _session(probe, two)
        await one.execute(text(lock))
        async with _waiting(two, lock):
            found = await _asked(probe, first, second)
            await one.execute(text(unlock))
        await two.execute(text(unlock))

        holder = first if engine.dialect.name == "postgresql" else SOMEBODY
        assert {second: {holder}} == found


async def test_a_table_that_is_being_read_is_waited_for(
    engine: AsyncEngine, probe: Probe
) -> None:
    """ALTER TABLE waits for a transaction that has only read."""
    async with engine.connect() as one, engine.connect() as two:
        second = await _session(probe, two)
        await one.execute(text("SELECT * FROM account"))
        async with _waiting(two, "ALTER TABLE account ADD COLUMN more INTEGER"):
            found = await _asked(probe, second)
            await one.rollback()
        if engine.dialect.name != "postgresql":
            await two.execute(text("ALTER TABLE account DROP COLUMN more"))

        assert {second} == found.keys()


@pytest.mark.parametrize("server", ["postgresql+asyncpg", "postgresql+psycopg"])
async def test_a_role_that_may_not_ask_is_told_what_it_lacks(
    engine: AsyncEngine, databases: Databases, server: str
) -> None:
    """Without the right to call pg_blocking_pids there is no probe."""
    asked = "FUNCTION pg_blocking_pids(int)"
    async with engine.begin() as connection:
        await connection.execute(text("CREATE ROLE blind LOGIN"))
        await connection.execute(text(f"REVOKE EXECUTE ON {asked} FROM PUBLIC"))
    try:
        other = await server_engine(databases, server)
        blind = create_async_engine(other.url.set(username="blind"))
        with pytest.raises(ProbeRefused, match="GRANT EXECUTE ON FUNCTION"):
            await open_probe(await blind.connect())
        await blind.dispose()
    finally:
        async with engine.begin() as connection:
            await connection.execute(text(f"GRANT EXECUTE ON {asked} TO PUBLIC"))
            await connection.execute(text("DROP ROLE blind"))


@pytest.mark.parametrize("server", ["mariadb+asyncmy", "mariadb+aiomysql"])
async def test_a_user_without_process_is_told_what_is_lacking(
    engine: AsyncEngine,
) -> None:
    """MariaDB shows its locks to who has PROCESS only."""
    async with engine.connect() as connection:
        await connection.execute(text("CREATE USER blind@localhost"))
        await connection.execute(
            text(f"GRANT ALL ON {engine.url.database}.* TO blind@localhost")
        )
    try:
        blind = create_async_engine(engine.url.set(username="blind"))
        with pytest.raises(ProbeRefused, match="GRANT PROCESS"):
            await open_probe(await blind.connect())
        await blind.dispose()
    finally:
        async with engine.connect() as connection:
            await connection.execute(text("DROP USER blind@localhost"))


async def test_deadlocks_are_hurried_where_that_may_be_done(
    engine: AsyncEngine, probe: Probe
) -> None:
    """PostgreSQL is told to look after 10 ms; InnoDB looks at once."""
    expected = 0.012 if engine.dialect.name == "postgresql" else 0.0

    assert expected == probe.deadlocks.settle
    assert [] == probe.deadlocks.remarks


@pytest.mark.parametrize("server", ["postgresql+asyncpg", "postgresql+psycopg"])
async def test_where_deadlocks_cannot_be_hurried_the_server_s_own_time_is_taken(
    engine: AsyncEngine,
) -> None:
    """A role without the right has to wait for deadlock_timeout, and knows it."""
    async with engine.begin() as connection:
        await connection.execute(text("CREATE ROLE plain LOGIN"))
    try:
        plain = create_async_engine(engine.url.set(username="plain"))
        probe = await open_probe(await plain.connect())
        found = probe.deadlocks
        await probe.close()
        await plain.dispose()
    finally:
        async with engine.begin() as connection:
            await connection.execute(text("DROP ROLE plain"))

    assert (None, 1.0, True) == (found.hurry, found.settle, found.slow)
    assert ["each deadlock takes 1 s"] == [
        each.partition(":")[0] for each in found.remarks
    ]


# ------------------------------------------------------------------ SQLite's files
_WRITE = (Kind.WRITE, _UPDATE)
_READ = (Kind.READ, "SELECT * FROM account")


class _Teller:
    """Sends steps to files and tells the probe of them."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    async def does(self, connection: AsyncConnection, kind: Kind, sql: str) -> int:
        number = await _session(self._probe, connection)
        self._probe.sent(number, kind, sql)
        if kind is Kind.COMMIT:
            await connection.commit()
        else:
            await connection.execute(text(sql))
        self._probe.answered(number)
        return number


@pytest.fixture
async def teller(file_engine: AsyncEngine) -> Any:
    """A probe of the file, and who tells it."""
    probe = await open_probe(await file_engine.connect())
    return probe, _Teller(probe)


async def test_a_second_writer_waits_for_the_first(
    file_engine: AsyncEngine, teller: Any
) -> None:
    """There is one write lock for a file, until the COMMIT."""
    probe, tells = teller
    async with file_engine.connect() as one, file_engine.connect() as two:
        first = await tells.does(one, *_WRITE)
        second = await _session(probe, two)
        waits = probe.foretell(second, *_WRITE)
        await tells.does(one, Kind.COMMIT, "COMMIT")

        assert {first} == waits
        assert frozenset() == probe.foretell(second, *_WRITE)


async def test_a_writer_that_has_read_fails_instead_of_waiting(
    file_engine: AsyncEngine, teller: Any
) -> None:
    """SQLite gives it SQLITE_BUSY at once, however long it was ready to wait."""
    probe, tells = teller
    async with file_engine.connect() as one, file_engine.connect() as two:
        await tells.does(one, *_WRITE)
        second = await tells.does(two, *_READ)

        assert frozenset() == probe.foretell(second, *_WRITE)


async def test_begin_immediate_waits_itself(
    file_engine: AsyncEngine, teller: Any
) -> None:
    """It takes the write lock, where BEGIN takes none."""
    probe, tells = teller
    async with file_engine.connect() as one, file_engine.connect() as two:
        first = await tells.does(one, *_WRITE)
        second = await _session(probe, two)

        assert {first} == probe.foretell(second, Kind.WRITE, "BEGIN IMMEDIATE")
        assert frozenset() == probe.foretell(second, Kind.READ, "BEGIN")


async def test_a_wait_that_was_foretold_is_over_with_the_transaction(
    file_engine: AsyncEngine, teller: Any
) -> None:
    """What is asked of a step on its way is what was foretold of it."""
    probe, tells = teller
    async with file_engine.connect() as one, file_engine.connect() as two:
        first = await tells.does(one, *_WRITE)
        second = await _session(probe, two)
        probe.sent(second, *_WRITE)
        before = await probe.blocking([first, second])
        await one.rollback()

        assert {second: {first}} == before
        assert {} == await probe.blocking([first, second])


@pytest.mark.parametrize("file_engine", [Setup(wal=False)], indirect=True)
async def test_without_wal_a_commit_waits_for_those_who_read(
    file_engine: AsyncEngine, teller: Any
) -> None:
    """And while it waits nobody else begins to read."""
    probe, tells = teller
    async with (
        file_engine.connect() as one,
        file_engine.connect() as two,
        file_engine.connect() as three,
    ):
        reader = await tells.does(two, *_READ)
        writer = await tells.does(one, *_WRITE)
        newcomer = await _session(probe, three)
        before = probe.foretell(newcomer, *_READ)
        probe.sent(writer, Kind.COMMIT, "COMMIT")

        assert {writer: {reader}} == await probe.blocking([writer])
        assert frozenset() == before
        assert {writer} == probe.foretell(newcomer, *_READ)


@pytest.mark.parametrize("file_engine", [Setup("", wal=False)], indirect=True)
async def test_without_wal_an_exclusive_transaction_keeps_readers_away(
    file_engine: AsyncEngine, teller: Any
) -> None:
    """And waits itself for those that read already."""
    probe, tells = teller
    exclusive = (Kind.WRITE, "BEGIN EXCLUSIVE")
    async with file_engine.connect() as one, file_engine.connect() as two:
        second = await _session(probe, two)
        first = await tells.does(one, *exclusive)
        reading = probe.foretell(second, *_READ)
        await one.rollback()
        await tells.does(two, Kind.READ, "BEGIN")
        await tells.does(two, *_READ)

        assert {first} == reading
        assert {second} == probe.foretell(first, *exclusive)


async def test_a_database_in_memory_has_no_probe() -> None:
    """There is one connection, so nobody waits."""
    engine = create_async_engine("sqlite+aiosqlite://")
    with pytest.raises(ProbeRefused, match="a file"):
        await open_probe(await engine.connect())
    await engine.dispose()
