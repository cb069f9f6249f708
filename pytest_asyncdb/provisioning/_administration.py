"""One kept connection to a server, on which databases are made and dropped."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from pytest_asyncdb.errors import AsyncDBError, DatabaseFailed
from pytest_asyncdb.provisioning._failure import (
    Translated,
    code_of,
    said,
    unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pytest_asyncdb.backends import Script, ServerBackend
    from pytest_asyncdb.provisioning._thread import LoopThread

__all__ = ["Administration"]

_POLL: Final = 0.002
_PATIENCE: Final = 5.0


class Administration:
    """SQL outside of transactions, on the maintenance database of a server.

    The connection is made by the first statement and kept; `opening` is what each new
    one says first. Every method blocks.
    """

    def __init__(
        self,
        url: URL,
        backend: ServerBackend,
        thread: LoopThread,
        *,
        opening: Sequence[str] = (),
    ) -> None:
        self._url = url
        self.backend = backend
        self._thread = thread
        self._opening = opening
        self._engine = create_async_engine(
            url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            execution_options={"no_parameters": True},  # a % is a %
        )
        self._connection: AsyncConnection | None = None
        self._nodes = 0

    @property
    def version(self) -> tuple[int, ...]:
        """The server's version; a connection must have been made."""
        found = self._engine.dialect.server_version_info or ()
        return tuple(int(part) for part in found)

    @property
    def nodes(self) -> int:
        """Those of the cluster that the server is one of; 0: of none.

        A connection must have been made.
        """
        return self._nodes

    def probe(self) -> str | None:
        """None when a query succeeds within seconds, else what went wrong."""
        try:
            with self._telling("a query for administration"):
                self._thread.run(self._probe)
        except AsyncDBError as error:
            return "; ".join(error.tried)
        return None

    def scalar(self, sql: str) -> Any:  # noqa: ANN401 - whatever the SQL selects
        """The one value of a query."""
        with self._telling("a query for administration"):
            return self._thread.run(lambda: self._scalar(sql))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._telling("a query for administration"):
            return self._thread.run(lambda: self._rows(sql))

    def execute(self, what: str, *statements: str) -> None:
        """Run statements one after the other.

        Raises `DatabaseFailed` saying `what` failed when the server refuses one.
        """
        with self._telling(what):
            self._thread.run(lambda: self._execute(statements))

    def play(self, what: str, script: Script) -> None:
        """Run the statements of a script, answering each with its rows.

        Raises `DatabaseFailed` saying `what` failed when the server refuses one.
        """
        with self._telling(what):
            self._thread.run(lambda: self._play(script))

    def drop(self, database: str) -> None:
        """End the sessions on a database, then drop it; fine if it is not there.

        Raises `DatabaseFailed` when the server refuses.
        """
        with self._telling(f"dropping database {database!r}"):
            self._thread.run(lambda: self._drop(database))

    def create(self, database: str, *, durable: bool) -> None:
        """Make an empty database; raises `DatabaseFailed` when the server refuses."""
        with self._telling(f"creating database {database!r}"):
            self._thread.run(lambda: self._create(database, durable=durable))

    def clone(self, template: str, database: str, *, durable: bool) -> None:
        """Make a database from a template; raises `DatabaseFailed`."""
        with self._telling(f"creating database {database!r} from its template"):
            self._thread.run(lambda: self._clone(template, database, durable=durable))

    def freeze(self, database: str) -> None:
        """Turn a database into a template, and wait until nobody is connected."""
        with self._telling(f"making {database!r} a template"):
            self._thread.run(lambda: self._freeze(database))

    def close(self) -> None:
        """Close the connection; the next statement makes another."""
        self._thread.run(self._close)

    def _telling(self, what: str) -> Translated:
        def failed(error: Exception) -> DatabaseFailed:
            found = getattr(error, "orig", None) or error
            return DatabaseFailed.of(what, said(found, self._url), code_of(found))

        return Translated(failed, stripped=True)

    async def _connected(self) -> AsyncConnection:
        kept = self._connection
        if kept is None or kept.closed or kept.invalidated:
            kept = await self._connect()
            self._nodes = await self._counted(kept)
            joining = self.backend.cluster_opening if self._nodes else ()
            for statement in (*joining, *self._opening):
                await kept.exec_driver_sql(statement)
            self._connection = kept
        return kept

    async def _connect(self) -> AsyncConnection:
        with Translated(lambda error: unreachable(error, self._url), stripped=True):
            return await self._engine.connect()

    async def _counted(self, connection: AsyncConnection) -> int:
        asked = self.backend.cluster_size
        if asked is None:
            return 0
        found = await connection.exec_driver_sql(asked)
        return sum(int(row.Value) for row in found)

    async def _probe(self) -> None:
        async with asyncio.timeout(_PATIENCE):
            await self._scalar("SELECT 1")

    async def _scalar(self, sql: str) -> Any:  # noqa: ANN401
        connection = await self._connected()
        return (await connection.exec_driver_sql(sql)).scalar()

    async def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        connection = await self._connected()
        found = await connection.exec_driver_sql(sql)
        return [tuple(row) for row in found.all()]

    async def _execute(self, statements: Sequence[str]) -> None:
        connection = await self._connected()
        for statement in statements:
            await connection.exec_driver_sql(statement)

    async def _drop(self, database: str) -> None:
        if await self._scalar(self.backend.exists(database)):
            await self._end_sessions(database)
            await self._execute([self.backend.drop(database)])

    async def _play(self, script: Script) -> None:
        """A script that fails may leave the session anyhow, so it is ended."""
        connection = await self._connected()
        try:
            statement = next(script)
            while True:
                try:
                    answer = await _answer(connection, statement)
                except DBAPIError as error:
                    statement = script.throw(error)
                else:
                    statement = script.send(answer)
        except StopIteration:
            return
        except Exception:
            await self._close()
            raise

    async def _create(self, database: str, *, durable: bool) -> None:
        await self._connected()
        version = self.version
        sql = self.backend.create(database, durable=durable, version=version)
        await self._execute([sql])

    async def _clone(self, template: str, database: str, *, durable: bool) -> None:
        await self._connected()
        await self._play(
            self.backend.copy(template, database, durable=durable, version=self.version)
        )

    async def _freeze(self, database: str) -> None:
        await self._play(self.backend.freeze(database))
        await self._end_sessions(database)

    async def _end_sessions(self, database: str) -> None:
        """Wait until they are gone: the server itself would look every 100 ms only."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE
        await self._play(self.backend.terminate(database))
        while await self._scalar(self.backend.sessions(database)):
            if loop.time() > deadline:
                return
            await asyncio.sleep(_POLL)

    async def _close(self) -> None:
        kept, self._connection = self._connection, None
        if kept is not None:
            with suppress(DBAPIError, OSError):  # the server may be gone
                await kept.close()
        await self._engine.dispose()


async def _answer(
    connection: AsyncConnection, statement: str | tuple[str, ...]
) -> list[tuple[Any, ...]]:
    """Rows of a statement; several are sent in one packet, which only drivers can."""
    if isinstance(statement, str):
        found = await connection.exec_driver_sql(statement)
        return [tuple(row) for row in found.all()] if found.returns_rows else []
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    async with driver.cursor() as cursor:
        await cursor.execute(";\n".join(statement))
        while await cursor.nextset():
            pass
    return []
