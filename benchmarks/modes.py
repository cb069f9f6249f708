"""What a test costs that commits for real, on PostgreSQL, by the number of tables.

Two tables get a row each, 20 rows of seed are in every table. Against the sandbox, and
against what people do today: TRUNCATE and the seed again, or a clone for each test.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from benchmarks._harness import Contender, arguments, measure
from pytest_asyncdb.isolation import Isolation
from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.settings import parse_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_asyncdb.provisioning import Database

__all__ = ["main"]

_SEED: Final = 20
_BATCH: Final = 20


class _World:
    """A database of so many tables, in a chain of foreign keys, and its isolation."""

    key = None

    def __init__(self, tables: int, stack: ExitStack) -> None:
        self.metadata = MetaData()
        self.tables = [self._table(number) for number in range(tables)]
        run = Run(parse_target("postgresql+asyncpg@embedded"))
        stack.callback(run.close)
        self.database: Database = run.database(self)
        self.isolation = Isolation(
            lambda: self.database,
            product="postgresql",
            driver="asyncpg",
            url=self.database.url,
        )
        self.isolation.install()
        stack.callback(self.isolation.uninstall)
        self._loop = stack.enter_context(asyncio.Runner())
        self._own = stack.enter_context(asyncio.Runner())
        self._plain = create_async_engine(self.database.clone().url)
        stack.callback(lambda: self._own.run(self._plain.dispose()))
        self._numbers = itertools.count()

    def _table(self, number: int) -> Table:
        before = f"t{number - 1}.id" if number else "t0.id"
        return Table(
            f"t{number}",
            self.metadata,
            Column("id", Integer, primary_key=True),
            Column("before", ForeignKey(before)),
        )

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Create the tables and their rows."""
        await connection.run_sync(self.metadata.create_all)
        await self._seed(connection)

    async def _seed(self, connection: AsyncConnection) -> None:
        rows = [{"before": None} for _ in range(_SEED)]
        for table in self.tables:
            await connection.execute(insert(table), rows)

    async def work(self, engine: AsyncEngine) -> None:
        """What each test does: two rows in two tables, committed."""
        for table in self.tables[:2]:
            async with engine.begin() as connection:
                await connection.execute(insert(table).values(before=None))

    # --------------------------------------------------------------- contenders
    def isolated(self, mode: str) -> float:
        """Milliseconds per test of ours."""
        began = time.perf_counter()
        for number in range(_BATCH):
            self.isolation.open(f"test {number}", mode=mode)
            self._loop.run(self.work(self.isolation.engine))
            self.isolation.close()
        return 1000 * (time.perf_counter() - began) / _BATCH

    def truncated(self) -> float:
        """Milliseconds per test of TRUNCATE, on an engine that keeps connections."""
        return self._own.run(self._truncated())

    async def _truncated(self) -> float:
        names = ", ".join(table.name for table in self.tables)
        began = time.perf_counter()
        for _ in range(3):
            await self.work(self._plain)
            async with self._plain.begin() as connection:
                await connection.execute(
                    text(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
                )
                await self._seed(connection)
        return 1000 * (time.perf_counter() - began) / 3

    def cloned(self) -> float:
        """Milliseconds per test of a clone made, connected to, and dropped."""
        return self._own.run(self._cloned())

    async def _cloned(self) -> float:
        admin = create_async_engine(
            self.database.url.set(database="postgres"),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
        )
        async with admin.connect() as connection:
            began = time.perf_counter()
            for _ in range(5):
                await self._one_clone(connection)
            return 1000 * (time.perf_counter() - began) / 5

    async def _one_clone(self, connection: AsyncConnection) -> None:
        name = f"bare_{next(self._numbers)}"
        template = str(self.database.url.database).rpartition("_")[0] + "_template"
        await connection.execute(
            text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        )
        engine = create_async_engine(
            self.database.url.set(database=name), poolclass=NullPool
        )
        await self.work(engine)
        await connection.execute(text(f"DROP DATABASE {name}"))


def _contenders(stack: ExitStack, sizes: Sequence[int]) -> Iterator[Contender]:
    for size in sizes:
        world = _World(size, stack)
        work = f"commit, {size} tables"
        commit = partial(world.isolated, "commit")
        yield Contender(work, "ours: commit", commit, ours=True)
        yield Contender(work, "sandbox", partial(world.isolated, "sandbox"))
        yield Contender(work, "TRUNCATE all, seed", world.truncated)
        work = f"database, {size} tables"
        own = partial(world.isolated, "database")
        yield Contender(work, "ours: database", own, ours=True)
        yield Contender(work, "CREATE, connect, DROP", world.cloned)


def main(words: Sequence[str] | None = None) -> None:
    """Measure every way once per round."""
    options = arguments(__doc__ or "", rounds=9).parse_args(words)
    with ExitStack() as stack:
        chosen = list(_contenders(stack, [20] if options.quick else [20, 100]))
        for each in chosen:
            each.run()
        measure(chosen, options, title="ms per test")


if __name__ == "__main__":
    main()
