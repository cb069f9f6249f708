"""Whole transactions run again when the database says that it may help."""

from __future__ import annotations

import functools
import inspect
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from pytest_asyncdb.backends._errors import ERRORS
from pytest_asyncdb.concurrency._attempts import Policy, Transaction
from pytest_asyncdb.errors import RetryRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator

    from sqlalchemy.ext.asyncio import async_sessionmaker

__all__ = ["retry_transaction", "retrying"]

T = TypeVar("T")
P = ParamSpec("P")

_TRANSIENT: Final = frozenset(
    condition.name
    for errors in ERRORS.values()
    for condition in errors.conditions.values()
    if condition.transient
)


async def retry_transaction(
    sessionmaker: async_sessionmaker[AsyncSession],
    fn: Callable[[AsyncSession], Awaitable[T]],
    *,
    attempts: int = 5,
    within: float | None = 30.0,
    delay: float = 0.02,
    max_delay: float = 1.0,
    on: Collection[str] | None = None,
    stale: bool = False,
    was_applied: Callable[[AsyncSession], Awaitable[bool]] | None = None,
) -> T:
    """Run `fn` in a transaction of a new session, and again where that may help.

    `fn` is given the session, and must not commit; its result is returned once its
    transaction is committed. It is run again, as a whole and from the start, after an
    error that `classify` calls transient, at any statement or at the COMMIT: at most
    `attempts` times, none of them begun later than `within` seconds after the first
    (None: whenever). Between them lies a random time below `delay` seconds, which
    doubles up to `max_delay`.

    `on` names the conditions after which it is repeated; all transient ones by default.
    `stale`: also after SQLAlchemy's StaleDataError. Where nobody can know whether a
    COMMIT has arrived, nothing is repeated, unless `was_applied` says in another new
    session that it has not; if it has, the result of `fn` is returned.

    Raises the last error, and `RetryRefused` for what cannot be repeated.
    """
    _check_callable(fn)
    for session in _sessions((sessionmaker,)):
        raise RetryRefused.session(begun=session.in_transaction())
    policy = Policy(attempts, within, delay, max_delay, _names(on), stale)
    results: list[T] = []

    async def once() -> T:
        async with sessionmaker() as session:
            _check_fresh(session)
            async with session.begin():
                results[:] = [_complete(await fn(session))]
        return results[0]

    async def applied() -> bool:
        assert was_applied is not None
        async with sessionmaker() as session:
            return await was_applied(session)

    asked = applied if was_applied else None
    return await policy.run(Transaction(once, asked, lambda: results[0]))


def retrying(
    *,
    attempts: int = 5,
    within: float | None = 30.0,
    delay: float = 0.02,
    max_delay: float = 1.0,
    on: Collection[str] | None = None,
    stale: bool = False,
    was_applied: Callable[..., Awaitable[bool]] | None = None,
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """A decorator for a coroutine function that is one whole transaction.

    The options are those of `retry_transaction`; `was_applied` is called with the
    function's own arguments, and where it says yes, the function, which has not come to
    its end, is taken to have returned None. An `AsyncSession` among the arguments is
    closed, and so as good as new, before the function is run again.

    Raises `RetryRefused` for a generator, and where a session or connection among the
    arguments is in a transaction already, whose first half nobody would repeat.
    """
    policy = Policy(attempts, within, delay, max_delay, _names(on), stale)

    def decorate(fn: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        _check_callable(fn)

        @functools.wraps(fn)
        async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            sessions = [*_sessions((*args, *kwargs.values()))]

            async def once() -> T:
                for session in sessions:
                    if isinstance(session, AsyncSession):
                        await session.close()
                return _complete(await fn(*args, **kwargs))

            async def applied() -> bool:
                assert was_applied is not None
                return await was_applied(*args, **kwargs)

            asked = applied if was_applied else None
            return await policy.run(Transaction(once, asked, _nothing))

        return wrapper

    return decorate


def _nothing() -> Any:
    return None


# --------------------------------------------------------------------- what is refused
def _check_callable(fn: Callable[..., object]) -> None:
    if inspect.isasyncgenfunction(fn) or inspect.isgeneratorfunction(fn):
        raise RetryRefused.generator(getattr(fn, "__qualname__", repr(fn)))
    if not callable(fn):
        raise RetryRefused.not_callable(fn)


def _complete(result: T) -> T:
    """Refuse a result that runs statements only when somebody asks it for more."""
    if inspect.isasyncgen(result) or inspect.isgenerator(result):
        raise RetryRefused.generator(result.__qualname__)
    return result


def _check_fresh(session: AsyncSession) -> None:
    bind = session.bind
    inside = isinstance(bind, AsyncConnection) and bind.in_transaction()
    if inside or session.in_transaction():
        raise RetryRefused.session(begun=True)


def _sessions(values: tuple[object, ...]) -> Iterator[AsyncSession | AsyncConnection]:
    for value in values:
        if isinstance(value, AsyncSession | AsyncConnection):
            if value.in_transaction():
                raise RetryRefused.session(begun=True)
            yield value


def _names(on: Collection[str] | None) -> frozenset[str]:
    if on is None:
        return _TRANSIENT
    names = {on} if isinstance(on, str) else set(on)
    for name in sorted(names - _TRANSIENT):
        near = get_close_matches(name, _TRANSIENT)
        raise RetryRefused.condition(name, near, sorted(_TRANSIENT))
    return frozenset(names)
