"""Time to the first query, on a database with the same ten tables each time.

An embedded PostgreSQL whose cache is filled, as a second run finds it, against initdb
and start; containers of ours against testcontainers' own, as documented; and a run that
finds its server and its template (--asyncdb-reuse) against the first one, with a
hundred tables. What this machine cannot have is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from asyncpg import PostgresError
from sqlalchemy import (
    URL,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    make_url,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from benchmarks._harness import Contender, arguments, measure
from pytest_asyncdb.errors import SourceUnavailable
from pytest_asyncdb.provisioning import Run, probe
from pytest_asyncdb.provisioning._account import Account
from pytest_asyncdb.provisioning._engine import connected
from pytest_asyncdb.provisioning._images import IMAGES
from pytest_asyncdb.provisioning._place import leftovers
from pytest_asyncdb.provisioning._server import stop_server
from pytest_asyncdb.provisioning._wheel import find
from pytest_asyncdb.settings import ServerOptions, parse_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["contenders", "main"]

_TABLES: Final = 10
_MANY: Final = 100
_POLL: Final = 0.01


class _Build:
    """Some tables."""

    def __init__(self, tables: int = _TABLES, key: str | None = None) -> None:
        self.key = key
        self.metadata = MetaData()
        for number in range(tables):
            Table(
                f"t{number}",
                self.metadata,
                Column("id", Integer, primary_key=True),
                Column("name", String(50), index=True),
                Column("parent", ForeignKey(f"t{max(number - 1, 0)}.id")),
            )

    async def __call__(self, connection: AsyncConnection, /) -> None:
        await connection.run_sync(self.metadata.create_all)


def contenders() -> Iterator[Contender]:
    """All that this machine can have."""
    for version in ("16", "18"):
        work = f"embedded PostgreSQL {version}"
        word = f"postgresql:{version}@embedded"
        yield Contender(work, "initdb + start", partial(_initdb_and_start, version))
        yield Contender(work, "ours, second run", partial(_ours, word), ours=True)
    for product, documented in (
        ("postgresql", _postgres_container),
        ("mariadb", _mysql_container),
    ):
        if image := _image(product):
            work = f"container of {image}"
            server = ServerOptions(image=image)
            ours = partial(_ours, f"{product}@container", server)
            yield Contender(work, "testcontainers", partial(documented, image))
            yield Contender(work, "ours", ours, ours=True)
    for word in ("postgresql@embedded", "mariadb@local"):
        if probes(word):
            work = f"{_MANY} tables, {word}"
            yield Contender(work, "first run", partial(_reusing, word, first=True))
            yield Contender(work, "second run", partial(_reusing, word), ours=True)


def main(words: Sequence[str] | None = None) -> None:
    """Fill the cache, then measure."""
    options = arguments(__doc__ or "", rounds=7).parse_args(words)
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # an image more to pull
    chosen = list(contenders())
    for each in chosen:
        if each.ours:
            each.run()
    with tempfile.TemporaryDirectory(prefix="asyncdbbench-", dir="/tmp") as place:
        Path(place).chmod(0o755)
        tempfile.tempdir = place  # servers that stay are found, and swept, there
        try:
            measure(chosen, options, title="Start")
        finally:
            _end_servers()


def probes(word: str) -> bool:
    """Whether this machine has it."""
    try:
        probe(parse_target(word))
    except SourceUnavailable:
        return False
    return True


def _image(product: str) -> str | None:
    """An image that need not be pulled."""
    try:
        with connected() as engine:
            name = IMAGES[product].named(None, engine.images())
            return name if engine.has(name) else None
    except SourceUnavailable:
        return None


def _ours(word: str, server: ServerOptions | None = None) -> float:
    build = _Build()
    began = time.perf_counter()
    with contextlib.closing(Run(parse_target(word), server=server)) as run:
        url = run.database(build).url
        asyncio.run(_query(url))
        return 1000 * (time.perf_counter() - began)


def _reusing(word: str, *, first: bool = False) -> float:
    if first:
        _end_servers()
    build = _Build(_MANY, "many")
    began = time.perf_counter()
    with contextlib.closing(Run(parse_target(word), reuse=True)) as run:
        url = run.database(build).url
        asyncio.run(_query(url))
        return 1000 * (time.perf_counter() - began)


def _end_servers() -> None:
    for place in leftovers():
        if place.kept:
            stop_server(place)
            place.remove()


def _postgres_container(image: str) -> float:
    from testcontainers.community.postgres import PostgresContainer

    began = time.perf_counter()
    with PostgresContainer(image, driver="asyncpg") as container:
        return _documented(container.get_connection_url(), began)


def _mysql_container(image: str) -> float:
    from testcontainers.community.mysql import MySqlContainer

    began = time.perf_counter()
    with MySqlContainer(image, dialect="asyncmy") as container:
        return _documented(container.get_connection_url(), began)


def _documented(text: str, began: float) -> float:
    """What a project does then: tables, and a query."""
    url = make_url(text)
    host = url.host if url.host != "localhost" else "127.0.0.1"
    asyncio.run(_built(url.set(host=host)))
    return 1000 * (time.perf_counter() - began)


async def _built(url: URL) -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        await _Build()(connection)
    await engine.dispose()
    await _query(url)


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
    await _built(url)


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
