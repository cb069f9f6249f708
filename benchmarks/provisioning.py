"""Time to the first query of an embedded PostgreSQL: cached, against initdb and start.

The cache is filled before the first round, so ours is what a second run sees. Both end
with a query on a database that has the same ten tables.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from asyncpg import PostgresError
from sqlalchemy import URL, Column, Integer, MetaData, String, Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from benchmarks._harness import Contender, arguments, measure
from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.provisioning._account import Account
from pytest_asyncdb.provisioning._wheel import find
from pytest_asyncdb.settings import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["contenders", "main"]

_TABLES: Final = 10
_POLL: Final = 0.01


class _Build:
    """Ten tables."""

    key = None

    def __init__(self) -> None:
        self.metadata = MetaData()
        for number in range(_TABLES):
            identity = Column("id", Integer, primary_key=True)
            Table(f"t{number}", self.metadata, identity, Column("name", String(50)))

    async def __call__(self, connection: AsyncConnection, /) -> None:
        await connection.run_sync(self.metadata.create_all)


def contenders(version: str) -> list[Contender]:
    """Both ways for one version of the server."""
    work = f"first query, PostgreSQL {version}"
    return [
        Contender(work, "initdb+start", lambda: _initdb_and_start(version)),
        Contender(work, "ours, cached", lambda: _ours(version), ours=True),
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Fill the cache, then measure."""
    options = arguments(__doc__ or "", rounds=7).parse_args(words)
    versions = ("16", "18")
    for version in versions:
        _ours(version)
    chosen = [each for version in versions for each in contenders(version)]
    measure(chosen, options, title="Provisioning")


def _ours(version: str) -> float:
    began = time.perf_counter()
    run = Run(Target("postgresql", version, "embedded"))
    try:
        url = run.database(_Build()).url
        asyncio.run(_query(url))
        return 1000 * (time.perf_counter() - began)
    finally:
        run.close()


def _initdb_and_start(version: str) -> float:
    account, installation = Account.current(), find(version)
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as name:
        room = Path(name)
        account.own(room)
        server = installation.reachable(account, room)
        began = time.perf_counter()
        initdb = str(server.program.with_name("initdb"))
        account.run([initdb, "-D", f"{room}/data", "-U", "asyncdb"])
        process = subprocess.Popen(
            [server.program, "-D", room / "data", "-k", room, "-h", "", "-F"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **account.switches,
        )
        try:
            asyncio.run(_first_query(room))
            return 1000 * (time.perf_counter() - began)
        finally:
            process.terminate()
            process.wait()
            shutil.rmtree(room / "data")


async def _first_query(room: Path) -> None:
    url = URL.create(
        "postgresql+asyncpg", "asyncdb", database="postgres", query={"host": str(room)}
    )
    while not await _answers(url):  # noqa: ASYNC110 - a server sends no event
        await asyncio.sleep(_POLL)
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text("CREATE DATABASE app"))
    await engine.dispose()
    url = url.set(database="app")
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        await _Build()(connection)
    await engine.dispose()
    await _query(url)


async def _answers(url: URL) -> bool:
    try:
        await _query(url, "SELECT 1")
    except (OSError, DBAPIError, PostgresError):
        return False
    return True


async def _query(url: URL, sql: str = "SELECT count(*) FROM t0") -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.execute(text(sql))
    finally:
        await engine.dispose()


if __name__ == "__main__":
    main()
