"""A session on each product, with a shop's tables, and what a strategy draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from sqlalchemy.ext.asyncio import AsyncSession

from tests.databases import KINDS, Databases
from tests.strategies.shop import Base

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from hypothesis.strategies import SearchStrategy


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


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Those that have been asked for so far."""
    made = Databases(Base.metadata)
    yield made
    made.close()


@pytest.fixture(params=KINDS)
async def session(
    request: pytest.FixtureRequest, databases: Databases
) -> AsyncIterator[AsyncSession]:
    """A session on an empty shop, rolled back in the end."""
    engine = await databases.engine(request.param)
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()
