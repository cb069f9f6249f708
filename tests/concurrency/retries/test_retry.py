"""What is run again, what never is, and what cannot be."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm.exc import StaleDataError

from pytest_asyncdb.concurrency import classify, retry_transaction, retrying
from pytest_asyncdb.errors import RetryRefused
from tests.concurrency.retries.bank import Account
from tests.concurrency.retries.provoked import PROVOKED, end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine

Sessions = async_sessionmaker[AsyncSession]
one_driver = pytest.mark.parametrize("driver", ["asyncpg"])


class Failing:
    """Takes 10 from the first account, and fails so often, each time afresh."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.sessions: list[AsyncSession] = []

    async def __call__(self, session: AsyncSession) -> str:
        """Write first, then fail."""
        self.sessions.append(session)
        await session.execute(_take(10))
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def _take(amount: int) -> Any:
    rows = update(Account).where(Account.id == 1)
    return rows.values(balance=Account.balance - amount)


async def _balance(sessionmaker: Sessions) -> int:
    async with sessionmaker() as session:
        found = await session.scalar(select(Account.balance).where(Account.id == 1))
    assert found is not None
    return found


async def _error(engine: AsyncEngine, case: str) -> DBAPIError:
    return (await PROVOKED[engine.dialect.driver][case](engine)).error


@pytest.fixture
async def untouched(engine: AsyncEngine) -> AsyncIterator[None]:
    """Afterwards the first account holds what it has held."""
    yield
    assert 100 == await _balance(async_sessionmaker(engine))


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "aiomysql", "asyncmy"])
async def test_a_transaction_is_run_again_as_a_whole(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """In a new session each time, applied once, with its result."""
    error = await _error(engine, "deadlock_detected")
    before = await _balance(sessionmaker)
    failing = Failing(error, error)
    result = await retry_transaction(sessionmaker, failing)

    assert "done" == result
    assert 3 == len({id(session) for session in failing.sessions})
    assert before - 10 == await _balance(sessionmaker)


@one_driver
async def test_attempts_have_a_limit(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """The last error is raised, and nothing is applied."""
    error = await _error(engine, "lock_not_available")
    failing = Failing(*[error] * 9)
    with pytest.raises(DBAPIError) as caught:
        await retry_transaction(sessionmaker, failing, attempts=3)

    assert error is caught.value
    assert 3 == len(failing.sessions)
    assert 100 == await _balance(sessionmaker)


@one_driver
async def test_no_attempt_begins_when_time_is_up(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """The pause before it counts, too."""
    failing = Failing(*[await _error(engine, "lock_not_available")] * 9)
    with pytest.raises(DBAPIError):
        await retry_transaction(sessionmaker, failing, within=1e-9)

    assert 1 == len(failing.sessions)


@one_driver
@pytest.mark.usefixtures("untouched")
async def test_what_would_come_again_is_not_retried(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """A violated constraint, a condition that was left out, an application's error."""
    unique = Failing(await _error(engine, "unique_violation"))
    with pytest.raises(IntegrityError):
        await retry_transaction(sessionmaker, unique)
    other = Failing(await _error(engine, "lock_not_available"))
    with pytest.raises(DBAPIError):
        await retry_transaction(sessionmaker, other, on={"deadlock_detected"})
    own = Failing(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await retry_transaction(sessionmaker, own)

    assert [1, 1, 1] == [len(each.sessions) for each in (unique, other, own)]


@one_driver
async def test_an_error_in_a_group(engine: AsyncEngine, sessionmaker: Sessions) -> None:
    """It is retried where everything in the group may pass."""
    error = await _error(engine, "serialization_failure")
    failing = Failing(ExceptionGroup("", [error, error]))
    await retry_transaction(sessionmaker, failing)
    mixed = Failing(ExceptionGroup("", [error, ValueError("no")]))
    with pytest.raises(ExceptionGroup):
        await retry_transaction(sessionmaker, mixed)

    assert [2, 1] == [len(failing.sessions), len(mixed.sessions)]


@one_driver
async def test_stale_data_is_retried_on_request(sessionmaker: Sessions) -> None:
    """Somebody else's version was newer: read again, and write."""
    asked, unasked = Failing(StaleDataError("old")), Failing(StaleDataError("old"))
    await retry_transaction(sessionmaker, asked, stale=True)
    with pytest.raises(StaleDataError):
        await retry_transaction(sessionmaker, unasked)

    assert [2, 1] == [len(asked.sessions), len(unasked.sessions)]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "aiomysql", "asyncmy"])
async def test_nothing_is_repeated_after_an_unknown_commit(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """It may have arrived; the error says what to give."""
    attempts = 0

    async def take(session: AsyncSession) -> None:
        nonlocal attempts
        attempts += 1
        await session.execute(_take(10))
        await _kill(engine, session)

    with pytest.raises(DBAPIError) as caught:
        await retry_transaction(sessionmaker, take)
    condition = classify(caught.value)

    assert condition is not None
    assert condition.outcome_unknown
    assert 1 == attempts
    assert "was_applied=" in caught.value.__notes__[0]


async def _kill(engine: AsyncEngine, session: AsyncSession) -> None:
    """Let the server end the session, which its next statement will notice."""
    await end(engine, await session.connection())


@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "aiomysql", "asyncmy"])
async def test_after_an_unknown_commit_the_application_is_asked(
    engine: AsyncEngine, sessionmaker: Sessions, attempts: int
) -> None:
    """It is repeated if it was not applied; otherwise its result is returned."""
    asked: list[int] = []
    runs = 0

    async def take(session: AsyncSession) -> str:
        nonlocal runs
        runs += 1
        await session.execute(_take(10))
        if runs == 1:
            await _kill(engine, session)
        return f"run {runs}"

    async def was_applied(session: AsyncSession) -> bool:
        balance = await session.scalar(select(Account.balance).where(Account.id == 1))
        asked.append(balance or 0)
        return balance == 90

    work = retry_transaction(
        sessionmaker, take, attempts=attempts, was_applied=was_applied
    )
    if attempts == 1:  # known not to be applied, and no attempt is left
        with pytest.raises(DBAPIError):
            await work
    else:
        assert "run 2" == await work

    assert [100] == asked
    assert 110 - 10 * attempts == await _balance(sessionmaker)


@one_driver
@pytest.mark.usefixtures("untouched")
async def test_cancellation_is_not_lost(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """Not between attempts, nor where the transaction answers it by another error."""
    error = await _error(engine, "deadlock_detected")
    begun = asyncio.Event()

    async def stubborn(session: AsyncSession) -> None:
        await session.execute(_take(10))
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise error from None

    async def pausing(session: AsyncSession) -> None:
        await session.execute(_take(10))
        begun.set()
        raise error

    for body, delay in ((stubborn, 0.0), (pausing, 60.0)):
        begun.clear()
        work = retry_transaction(
            sessionmaker, body, delay=delay, max_delay=60, within=None
        )
        task = asyncio.create_task(work)
        await begun.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert task.cancelled()


@one_driver
@pytest.mark.usefixtures("untouched")
async def test_time_outs_stay_time_outs(sessionmaker: Sessions) -> None:
    """`asyncio.timeout` around it ends it, as it would any other code."""

    async def slow(session: AsyncSession) -> None:
        await session.execute(_take(10))
        await session.execute(text("SELECT pg_sleep(60)"))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await retry_transaction(sessionmaker, slow)


# --------------------------------------------------------------------- the decorator
@one_driver
async def test_a_decorated_function(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """Its arguments are the same each time; it keeps its name and its type."""
    errors = [await _error(engine, "deadlock_detected")]

    @retrying(attempts=2)
    async def take(amount: int, *, of: str) -> str:
        """Take it."""
        async with sessionmaker.begin() as session:
            await session.execute(_take(amount))
            if errors:
                raise errors.pop()
        return f"{amount} {of}"

    before = await _balance(sessionmaker)
    result = await take(5, of="them")

    assert "5 them" == result
    assert "take" == take.__name__
    assert before - 5 == await _balance(sessionmaker)


@one_driver
async def test_a_session_among_the_arguments(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """It is as good as new for each attempt."""
    errors = [await _error(engine, "deadlock_detected")]

    @retrying()
    async def take(session: AsyncSession) -> None:
        account = await session.get(Account, 1)
        assert account is not None
        account.balance -= 10
        await session.flush()
        if errors:
            raise errors.pop()
        await session.commit()

    before = await _balance(sessionmaker)
    async with sessionmaker() as session:
        await take(session)

    assert before - 10 == await _balance(sessionmaker)


@one_driver
async def test_a_decorated_function_that_was_applied(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """It is asked by the same arguments; the function has never returned."""
    asked: list[int] = []

    async def was_applied(amount: int) -> bool:
        asked.append(amount)
        return True

    @retrying(was_applied=was_applied)
    async def take(amount: int) -> int:
        async with sessionmaker.begin() as session:
            await session.execute(_take(amount))
            await _kill(engine, session)
        return amount

    assert None is await take(5)
    assert [5] == asked


# ------------------------------------------------------------------------ bad input
@one_driver
async def test_a_transaction_that_has_begun_is_refused(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """Nobody would repeat its first half: a session, a connection, a bound maker."""

    @retrying()
    async def take(session: AsyncSession) -> None:
        await session.execute(_take(10))

    async with sessionmaker() as session, engine.connect() as connection:
        with pytest.raises(RetryRefused, match="takes an async_sessionmaker"):
            await retry_transaction(session, take)  # type: ignore[arg-type]
        await session.execute(text("SELECT 1"))
        await connection.execute(text("SELECT 1"))
        with pytest.raises(RetryRefused, match="in a transaction already"):
            await retry_transaction(session, take)  # type: ignore[arg-type]
        with pytest.raises(RetryRefused, match="in a transaction already"):
            await take(session)
        with pytest.raises(RetryRefused, match="in a transaction already"):
            await retry_transaction(async_sessionmaker(connection), Failing())


@one_driver
@pytest.mark.usefixtures("untouched")
async def test_generators_are_refused(sessionmaker: Sessions) -> None:
    """By the decorator, by the call, and as a result."""

    async def stream(session: AsyncSession) -> AsyncIterator[int]:
        await session.execute(_take(10))
        yield 1

    async def hands_out(session: AsyncSession) -> AsyncIterator[int]:
        return stream(session)

    with pytest.raises(RetryRefused, match="stream is a generator"):
        retrying()(stream)  # type: ignore[arg-type]
    with pytest.raises(RetryRefused, match="stream is a generator"):
        await retry_transaction(sessionmaker, stream)  # type: ignore[arg-type]
    with pytest.raises(RetryRefused, match="stream is a generator"):
        await retry_transaction(sessionmaker, hands_out)
    with pytest.raises(RetryRefused, match="cannot be called"):
        await retry_transaction(sessionmaker, "take")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attempts": 0}, "attempts=0 makes no sense"),
        ({"within": -1}, "within=-1 makes no sense"),
        ({"delay": 2.0}, "max_delay=1.0 makes no sense"),
        ({"on": {"deadlock"}}, "did you mean deadlock_detected"),
        ({"on": "unique_violation"}, "no condition that may pass"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    """When the function is decorated, not when it first fails."""
    with pytest.raises(RetryRefused, match=said):
        retrying(**options)


def test_it_needs_no_pytest() -> None:
    """Applications import it."""
    program = """
import sys
from pytest_asyncdb import classify, retry_transaction, retrying
assert not {"pytest", "_pytest", "hypothesis", "factory"} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert "" == done.stderr


def test_it_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine of attempts and pauses is tenacity."""
    monkeypatch.setitem(sys.modules, "tenacity", None)

    async def nothing() -> None:
        """Do nothing."""

    with pytest.raises(RetryRefused, match="tenacity is not installed"):
        asyncio.run(retrying()(nothing)())  # type: ignore[arg-type]
