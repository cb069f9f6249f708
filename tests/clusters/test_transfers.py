"""Transfers on all nodes of a Galera cluster, whose conflicts appear at COMMIT."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy import event, insert, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from pytest_asyncdb.concurrency import classify, retry_transaction
from tests.concurrency.retries.bank import (
    ACCOUNTS,
    TRANSFERS,
    Account,
    Base,
    check_transfers,
    transfers,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.clusters.galera import Cluster


async def _bank(cluster: Cluster) -> list[AsyncEngine]:
    """An engine on each node, on ten accounts of 1000."""
    urls = [node.url.set(database="bank") for node in cluster.nodes]
    first = create_async_engine(cluster.nodes[0].url)
    async with first.begin() as connection:
        await connection.execute(text("CREATE DATABASE bank"))
    await first.dispose()
    opening = {"init_command": "SET SESSION wsrep_sync_wait = 1"}
    engines = [create_async_engine(url, connect_args=opening) for url in urls]
    async with engines[0].begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        rows = [{"id": number, "balance": 1000} for number in ACCOUNTS]
        await connection.execute(insert(Account), rows)
    return engines


async def test_transfers_on_three_nodes(cluster: Cluster) -> None:
    """Each task is on a node of its own; each transfer is applied once."""
    engines = await _bank(cluster)
    at_commit: list[str] = []

    def note(context: ExceptionContext) -> None:
        condition = classify(context.original_exception)
        if context.statement is None and condition is not None:
            at_commit.append(condition.name)

    async def task(number: int) -> None:
        sessionmaker = async_sessionmaker(engines[number])
        for transfer in transfers()[number::3]:
            await retry_transaction(sessionmaker, transfer, attempts=50, within=None)

    for engine in engines:
        event.listen(engine.sync_engine, "handle_error", note)
    await asyncio.gather(*map(task, range(3)))
    counted = await check_transfers(engines[1])
    for engine in engines:
        await engine.dispose()

    assert TRANSFERS == counted
    assert "deadlock_detected" in at_commit
