"""What is wrong is found, and what is right is not, on the real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_asyncdb.concurrency import explore
from tests.concurrency.explore.conftest import FILES, SERVERS
from tests.concurrency.explore.shop import SCENARIOS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

    from tests.concurrency.explore.shop import Scenario

# What the product does about it. SQLite knows no FOR UPDATE and one isolation level; a
# transaction begun by BEGIN is refused where it would be wrong (SQLITE_BUSY_SNAPSHOT).
_RIGHT: dict[str, set[str | None]] = {
    **{word: {"update", "lock", "constraint", "level", None} for word in FILES[:3]},
    "wal, the driver": {"update", "constraint"},
}
_SERVER: set[str | None] = {"update", "lock", "constraint", "level"}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
@pytest.mark.parametrize("server", [*SERVERS, *FILES], indirect=True)
async def test_the_verdict_of_each_scenario(
    scenario: Scenario,
    server: str,
    engine: AsyncEngine,
    sessions: async_sessionmaker[AsyncSession],
) -> None:
    """Without an invariant; the reduced search ends as the full one does."""
    result = await explore(
        engine,
        scenario.functions(sessions),
        preemption_bound=None,
        isolation=None if server in FILES else scenario.level,
        check=False,
        self_check=len(scenario.functions(sessions)) == 2,
    )

    is_right = scenario.needs in _RIGHT.get(server, _SERVER)
    assert is_right is (result.anomaly is None), str(result)
    assert result.anomaly is not None or result.complete, str(result)
    assert result.anomaly is not None or result.bound is None
