"""A session on each product, with a shop's tables, and what a strategy draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from sqlalchemy import NullPool, StaticPool, event
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from pytest_asyncdb.errors import SourceUnavailable
from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.settings import parse_target
from tests.strategies.shop import Base

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from hypothesis.strategies import SearchStrategy
    from sqlalchemy.ext.asyncio import AsyncConnection

KINDS: Final = {
    "sqlite": "",
    "postgresql": "postgresql+asyncpg:18@embedded",
    "mariadb": "mariadb+asyncmy@local",
}


def minimal(
    strategy: SearchStrategy[Any], condition: Callable[[Any], bool] = lambda _: True
) -> Any:
    """The simplest value that meets the condition, the same one in each run."""
    same = settings(database=None, deadline=None, derandomize=True)
    return find(strategy, condition, settings=same)


def drawn(strategy: SearchStrategy[Any], count: int = 50) -> list[Any]:
    """What the strategy gives in so many examples, the same ones in each run."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


class _Tables:
    """Builds the shop's tables."""

    key = None

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Create them."""
        await connection.run_sync(Base.metadata.create_all)


@pytest.fixture(scope="session")
def urls() -> Iterator[dict[str, Any]]:
    """URLs of the databases that have been asked for so far."""
    known: dict[str, Any] = {}
    runs: list[Run] = known.setdefault("runs", [])
    yield known
    for run in runs:
        run.close()


@pytest.fixture(params=list(KINDS))
async def session(
    request: pytest.FixtureRequest, urls: dict[str, Any]
) -> AsyncIterator[AsyncSession]:
    """A session on an empty shop, rolled back in the end."""
    if request.param == "sqlite":
        engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
        event.listen(engine.sync_engine, "connect", _connect)
        event.listen(engine.sync_engine, "begin", _begin)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
    else:
        url = _url(request.param, urls)
        engine = create_async_engine(url, poolclass=NullPool)
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()


def _connect(connection: Any, _: object) -> None:
    """SQLite begins its transactions when it is told to, with foreign keys."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")


def _url(kind: str, urls: dict[str, Any]) -> Any:
    if kind not in urls:
        run = Run(parse_target(KINDS[kind]))
        urls["runs"].append(run)
        try:
            urls[kind] = run.database(_Tables()).url
        except SourceUnavailable as error:
            pytest.skip(error.cause)
    return urls[kind]
