"""Six ways to retry a transfer, swept by a fault at each statement and COMMIT."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest
import tenacity
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from pytest_asyncdb.concurrency import Faults, classify, retry_transaction
from pytest_asyncdb.errors import FaultRefused, SweepFailed
from tests.concurrency.retries.bank import Account, Receipt
from tests.concurrency.retries.conftest import DRIVERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pytest_asyncdb.concurrency import Sweep

Sessions = async_sessionmaker[AsyncSession]


class Helper(Protocol):
    """One way to do a transfer."""

    async def __call__(self, sessionmaker: Sessions) -> None:
        """Do it."""


async def _transfer(session: AsyncSession) -> None:
    """Two statements to read and, at the flush, one or two to write."""
    first = (await session.scalars(select(Account).where(Account.id == 1))).one()
    second = (await session.scalars(select(Account).where(Account.id == 2))).one()
    first.balance -= 10
    second.balance += 10


def _is_transient(error: BaseException) -> bool:
    condition = classify(error)
    return condition is not None and condition.transient


async def none(sessionmaker: Sessions) -> None:
    """No retry at all."""
    async with sessionmaker.begin() as session:
        await _transfer(session)


async def whole(sessionmaker: Sessions) -> None:
    """Tenacity around the whole transaction, by code."""

    @tenacity.retry(
        retry=tenacity.retry_if_exception(_is_transient),
        stop=tenacity.stop_after_attempt(3),
        reraise=True,
    )
    async def once() -> None:
        await none(sessionmaker)

    await once()


async def by_class(sessionmaker: Sessions) -> None:
    """The same, by SQLAlchemy's class."""

    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(OperationalError),
        stop=tenacity.stop_after_attempt(3),
        reraise=True,
    )
    async def once() -> None:
        await none(sessionmaker)

    await once()


async def inside(sessionmaker: Sessions) -> None:
    """Again and again in the same transaction."""
    async with sessionmaker() as session:
        for attempt in range(3):
            try:
                await _transfer(session)
                await session.commit()
            except DBAPIError as error:
                if not _is_transient(error) or attempt == 2:
                    raise
            else:
                return


async def not_the_commit(sessionmaker: Sessions) -> None:
    """The body, but not its COMMIT."""
    async with sessionmaker() as session:
        for attempt in range(3):
            try:
                await _transfer(session)
                await session.flush()
            except DBAPIError as error:
                if not _is_transient(error) or attempt == 2:
                    raise
                await session.rollback()
            else:
                break
        await session.commit()


async def two_commits(sessionmaker: Sessions) -> None:
    """All of it, which is two transactions."""
    for attempt in range(3):
        try:
            async with sessionmaker() as session:
                (await session.get_one(Account, 1)).balance -= 10
                await session.commit()
                (await session.get_one(Account, 2)).balance += 10
                await session.commit()
        except DBAPIError as error:
            if not _is_transient(error) or attempt == 2:
                raise
        else:
            return


async def ours(sessionmaker: Sessions) -> None:
    """`retry_transaction`."""
    await retry_transaction(sessionmaker, _transfer)


LOSSES: Final = [
    *((driver, "connection_failure") for driver in DRIVERS if driver != "aiosqlite"),
    ("asyncpg", "admin_shutdown"),
    ("psycopg", "admin_shutdown"),
]
CLEAN: Final = "failed cleanly"


@pytest.fixture
def faults(engine: AsyncEngine) -> Iterator[Faults]:
    """Faults on the bank's engine."""
    made = Faults(engine)
    yield made
    made.close()


async def _swept(
    faults: Faults, sessionmaker: Sessions, helper: Helper, **options: Any
) -> Sweep:
    said: dict[str, Any] = {"condition": "deadlock_detected", "check": False}
    sweep = faults.sweep(**said | options)
    async for fault in sweep:
        async with fault:
            await helper(sessionmaker)
    return sweep


@pytest.mark.parametrize("helper", [none, whole, ours, by_class, not_the_commit])
async def test_one_transaction(
    faults: Faults, sessionmaker: Sessions, helper: Helper, driver: str
) -> None:
    """What retries all of it is right at each of the four positions."""
    sweep = await _swept(faults, sessionmaker, helper)
    never = helper is none or (helper is by_class and driver == "asyncpg")
    expected = [CLEAN] * 4 if never else ["ok"] * 4
    if helper is not_the_commit:
        expected[3] = CLEAN

    assert expected == sweep.verdicts
    assert "COMMIT" in str(sweep.positions[3])


async def test_retrying_inside_of_the_transaction(
    faults: Faults, sessionmaker: Sessions, driver: str
) -> None:
    """Where the server has ended it, nothing works in it any more."""
    sweep = await _swept(faults, sessionmaker, inside)
    server = driver in {"asyncpg", "psycopg"}

    assert [CLEAN] * 2 == sweep.verdicts[2:]
    assert [CLEAN if server else "ok"] * 2 == sweep.verdicts[:2]


async def test_retrying_two_transactions(
    faults: Faults, sessionmaker: Sessions, driver: str
) -> None:
    """After the first COMMIT, money is taken twice; the table says from whom."""
    sweep = await _swept(faults, sessionmaker, two_commits)

    assert ["ok"] * 3 + ["wrong state"] * 3 == sweep.verdicts
    assert sweep.failed
    assert "accounts: id=1 balance=80 code=None is there instead" in str(sweep)


@pytest.mark.parametrize("condition", ["serialization_failure", "lock_not_available"])
async def test_ours_recovers_from_each_condition(
    faults: Faults, sessionmaker: Sessions, condition: str
) -> None:
    """At each statement and at the COMMIT, and twice in a row."""
    sweep = await _swept(
        faults, sessionmaker, ours, condition=condition, times=2, recovers=True
    )

    assert ["ok"] * 4 == sweep.verdicts


@pytest.mark.parametrize("moment", ["before", "during", "after"])
@pytest.mark.parametrize(("driver", "condition"), LOSSES)
async def test_ours_recovers_from_lost_connections(
    faults: Faults, sessionmaker: Sessions, condition: str, moment: str
) -> None:
    """Also at the COMMIT, whatever became of it, where it can be looked up."""

    async def idempotent(sessionmaker: Sessions) -> None:
        async def transfer(session: AsyncSession) -> None:
            session.add(Receipt(name="a transfer"))
            await _transfer(session)

        async def was_applied(session: AsyncSession) -> bool:
            return await session.get(Receipt, "a transfer") is not None

        await retry_transaction(sessionmaker, transfer, was_applied=was_applied)

    sweep = await _swept(
        faults,
        sessionmaker,
        idempotent,
        condition=condition,
        at_commit=moment,
        recovers=True,
        check=True,
    )

    assert {"ok"} == set(sweep.verdicts)
    assert "COMMIT" in {each.statement for each in sweep.positions}


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "aiomysql", "asyncmy"])
async def test_without_a_way_to_look_it_up(
    faults: Faults, sessionmaker: Sessions
) -> None:
    """A lost answer is told as an error, and nothing is done twice."""
    sweep = await _swept(
        faults, sessionmaker, ours, condition="connection_failure", at_commit="after"
    )

    assert ["ok"] * 3 + ["applied, and said so not"] == sweep.verdicts
    assert not sweep.failed


async def test_what_is_wrong_fails_the_test(
    faults: Faults, sessionmaker: Sessions
) -> None:
    """With the table; a clean failure is wrong where the code is to recover."""
    with pytest.raises(SweepFailed, match="wrong state"):
        await _swept(faults, sessionmaker, two_commits, check=True)
    with pytest.raises(SweepFailed, match="failed cleanly"):
        await _swept(faults, sessionmaker, none, check=True, recovers=True)


@pytest.mark.parametrize("driver", ["aiosqlite"])
async def test_an_error_that_is_swallowed(
    faults: Faults, sessionmaker: Sessions
) -> None:
    """Nothing was done, and nobody was told."""

    async def silent(sessionmaker: Sessions) -> None:
        try:
            await none(sessionmaker)
        except DBAPIError:
            return

    sweep = await _swept(faults, sessionmaker, silent)

    assert ["lost"] * 4 == sweep.verdicts


@pytest.mark.parametrize("driver", ["aiosqlite", "asyncpg"])
async def test_times_of_the_present_are_the_same(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """Each run writes another one, and that is no difference."""

    async def stamp() -> None:
        async def work(session: AsyncSession) -> None:
            session.add(Receipt(name=datetime.now(UTC).isoformat()))

        await retry_transaction(sessionmaker, work)

    sweep = Faults(engine).sweep("serialization_failure", recovers=True)
    async for fault in sweep:
        async with fault:
            await stamp()

    assert {"ok"} == set(sweep.verdicts)


async def test_new_keys_and_volatile_columns_are_not_compared(
    faults: Faults, sessionmaker: Sessions
) -> None:
    """Sequences go on after a rollback; what else differs each time is named."""
    numbers = iter(range(100))

    async def receipt(sessionmaker: Sessions) -> None:
        async with sessionmaker.begin() as session:
            session.add(Receipt(name=f"receipt {next(numbers)}"))

    sweep = await _swept(faults, sessionmaker, receipt, volatile=["name"])

    assert [CLEAN] * 2 == sweep.verdicts


# ------------------------------------------------------------------------- bad input
@pytest.mark.parametrize("driver", ["aiosqlite"])
async def test_a_sweep_that_does_not_end(
    faults: Faults, sessionmaker: Sessions
) -> None:
    """There is always one more statement: it is said, and after how many."""
    with pytest.raises(FaultRefused, match="3 positions without coming to an end"):
        await _swept(faults, sessionmaker, ours, max_positions=3)


@pytest.mark.parametrize("driver", ["aiosqlite"])
async def test_a_loop_that_does_not_enter_its_fault(
    faults: Faults, sessionmaker: Sessions
) -> None:
    """Nothing would be tested."""
    rounds = aiter(faults.sweep("deadlock_detected"))
    await anext(rounds)
    await ours(sessionmaker)
    with pytest.raises(FaultRefused, match="has not entered its fault"):
        await anext(rounds)


@pytest.mark.parametrize("driver", ["aiosqlite"])
async def test_an_error_without_a_fault_is_the_test_s(
    faults: Faults, sessionmaker: Sessions
) -> None:
    """In the first round nothing fails but the code itself."""

    async def broken(sessionmaker: Sessions) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await _swept(faults, sessionmaker, broken)
