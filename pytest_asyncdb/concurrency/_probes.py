"""Probes of servers, by SQL; and which probe a connection gets."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import DBAPIError

from pytest_asyncdb.backends import get_backend
from pytest_asyncdb.concurrency._file_probe import FileProbe
from pytest_asyncdb.concurrency._probe import SOMEBODY, Deadlocks
from pytest_asyncdb.errors import ProbeRefused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy import Dialect
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pytest_asyncdb.backends import ServerBackend
    from pytest_asyncdb.backends._waits import Pair, Query, Waits
    from pytest_asyncdb.concurrency._probe import Probe
    from pytest_asyncdb.concurrency._trace import Kind

__all__ = ["ServerProbe", "open_probe", "product_of"]

_TRIES: Final = 5


def product_of(dialect: Dialect) -> str:
    """The product that a dialect, which has connected once, speaks with."""
    return "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name


async def open_probe(connection: AsyncConnection) -> Probe:
    """A probe on a connection that nobody else uses, and that it closes.

    Raises `ProbeRefused` where the role may not see who waits, and for SQLite in
    memory, where there is one connection only.
    """
    dialect = connection.dialect
    if dialect.name == "sqlite":
        return await _file_probe(connection)
    backend: Any = get_backend(product_of(dialect))
    if backend.waits is None:
        raise ProbeRefused.unknown(backend.name)
    connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
    probe = ServerProbe(connection, backend, backend.waits)
    try:
        await probe.open()
    except BaseException:
        await probe.close()
        raise
    return probe


async def _file_probe(connection: AsyncConnection) -> FileProbe:
    journal = await connection.exec_driver_sql("PRAGMA journal_mode")
    mode = journal.scalar_one()
    found = await connection.exec_driver_sql("PRAGMA database_list")
    path = next(row.file for row in found if row.name == "main")
    await connection.close()
    if not path:
        raise ProbeRefused.in_memory()
    return FileProbe(wal=mode == "wal")


class ServerProbe:
    """Asks a server by the SQL that its backend has for it."""

    foretells = False

    def __init__(
        self, connection: AsyncConnection, backend: ServerBackend, waits: Waits
    ) -> None:
        self.deadlocks = Deadlocks(hurry=None, settle=0.0)
        self._connection = connection
        self._backend = backend
        self._waits = waits
        self._asked = 0.0
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Ask for nobody, so that what is denied is denied now."""
        waits = self._waits
        try:
            for query in (*waits.live, *([waits.slow] if waits.slow else ())):
                await self._ask(query, [0])
        except DBAPIError as error:
            if not self._backend.denied & _codes(error):
                raise
            raise ProbeRefused.denied(self._backend.name, str(error.orig)) from error
        self._asked = time.monotonic()
        self.deadlocks = await self._timing(waits)

    async def _timing(self, waits: Waits) -> Deadlocks:
        if waits.hurry is None:
            return Deadlocks(hurry=None, settle=0.0)
        try:
            await self._connection.exec_driver_sql(waits.hurry)
        except DBAPIError as error:
            if not self._backend.denied & _codes(error):
                raise
            found = await self._connection.exec_driver_sql(waits.patience)
            return Deadlocks(hurry=None, settle=float(found.scalar_one()), slow=True)
        return Deadlocks(hurry=waits.hurry, settle=waits.settle)

    def session(self, driver_connection: object) -> int:
        """The server's number for it, as the driver knows it since it connected."""
        driver: Any = driver_connection
        if hasattr(driver, "get_server_pid"):  # asyncpg
            return int(driver.get_server_pid())
        if hasattr(driver, "thread_id"):  # aiomysql, asyncmy
            return int(driver.thread_id())
        return int(driver.info.backend_pid)  # psycopg

    def sent(self, session: int, kind: Kind, sql: str) -> None:
        """Nothing to keep in mind: the server is asked."""

    def answered(self, session: int) -> None:
        """Nothing to keep in mind: the server is asked."""

    def foretell(self, session: int, kind: Kind, sql: str) -> frozenset[int]:
        """Nobody: only the server knows."""
        del session, kind, sql
        return frozenset()

    async def blocking(
        self, sessions: Collection[int], *, exact: bool = False
    ) -> Mapping[int, frozenset[int]]:
        """Those of the sessions that wait for a lock, each with those it waits for."""
        if not sessions:
            return {}
        async with self._lock:
            found = await self._live(sessions)
            if exact and any(SOMEBODY in each for each in found.values()):
                await self._name(found)
        return {number: frozenset(each) for number, each in found.items()}

    async def _live(self, sessions: Collection[int]) -> dict[int, set[int]]:
        found: dict[int, set[int]] = {}
        for query in self._waits.live:
            _add(found, await self._ask(query, sessions), sessions)
            if len(found) == len(sessions):
                break
        return found

    async def _name(self, found: dict[int, set[int]]) -> None:
        """Put names in the place of `SOMEBODY`, as far as the slow question has any."""
        if self._waits.slow is None:
            return
        for _ in range(_TRIES):
            await asyncio.sleep(self._asked + self._waits.rest - time.monotonic())
            pairs = await self._ask(self._waits.slow, ())
            self._asked = time.monotonic()
            named: dict[int, set[int]] = {}
            _add(named, pairs, found)
            found |= named
            if not any(SOMEBODY in each for each in found.values()):
                return
            waiting = await self._live(tuple(found))  # some may have been let go
            for number in found.keys() - waiting.keys():
                del found[number]

    async def _ask(self, query: Query, sessions: Iterable[int]) -> Iterable[Pair]:
        numbers = ",".join(map(str, sessions))
        sql = query.sql.replace("{}", numbers)
        return query.read((await self._connection.exec_driver_sql(sql)).all())

    async def close(self) -> None:
        """Close the probe's connection."""
        await self._connection.close()


def _add(
    found: dict[int, set[int]], pairs: Iterable[Pair], sessions: Collection[int]
) -> None:
    for waiting, holder in pairs:
        if waiting in sessions:
            found.setdefault(waiting, set()).add(SOMEBODY if holder is None else holder)


def _codes(error: DBAPIError) -> set[str]:
    """PostgreSQL's SQLSTATE, or MySQL's number, of a driver's error."""
    found = [getattr(error.orig, "sqlstate", None), *getattr(error.orig, "args", ())]
    return set(map(str, found))
