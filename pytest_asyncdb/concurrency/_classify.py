"""What an exception says of the database: its condition, by code, never by class."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError, TimeoutError as PoolTimeout

from pytest_asyncdb.backends._condition import EXHAUSTED, LOST, UNREACHABLE
from pytest_asyncdb.backends._errors import condition_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

    from pytest_asyncdb.backends._condition import Condition

__all__ = ["classify", "leaves"]

_COMMITS: Final = frozenset({"_commit_impl", "_commit_twophase_impl"})
_CONNECTS: Final = frozenset({"__connect"})
_DRIVERS: Final = frozenset({"aiomysql", "asyncmy", "asyncpg", "psycopg", "pymysql"})
_ENGINE: Final = "sqlalchemy.engine.base"
_POOL: Final = "sqlalchemy.pool.base"
_NO_SAVEPOINT: Final = 1305
_POOL_TIMEOUT: Final = "3o7r"
"""SQLAlchemy's own code for a pool that had no connection in time."""


def classify(error: BaseException) -> Condition | None:
    """The condition that an exception tells of; None where it is not the database's.

    Found by the driver's code: SQLSTATE, MySQL's number, SQLite's result code. Looks
    through SQLAlchemy's wrapping, `__cause__` and exception groups; of several
    conditions in a group it is the gravest one: first an unknown outcome, then what
    cannot be repeated. A deadlock that took a savepoint along is one although MySQL's
    last word is that the savepoint does not exist.
    """
    found = [each for leaf in leaves(error) if (each := _of_chain(leaf)) is not None]
    return min(found, key=_ease, default=None)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in groups, however deep; of any other one, itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error


def _ease(condition: Condition) -> int:
    return 0 if condition.outcome_unknown else 2 if condition.transient else 1


def _of_chain(error: BaseException) -> Condition | None:
    """What the exception says, or the first one of those that caused it."""
    seen = set[int]()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        found = _of_group(link) or _of_one(link)
        if found is not None:
            return found
        link = link.__context__ if _hides(link) else link.__cause__
    return None


def _hides(error: BaseException) -> bool:
    """Whether MySQL says that a savepoint is gone: what took it along came before."""
    original = error.orig if isinstance(error, DBAPIError) else None
    return (
        original is not None
        and _is_of_driver(original)
        and original.args[:1] == (_NO_SAVEPOINT,)
        and "SAVEPOINT" in str(original)
    )


def _of_group(error: BaseException) -> Condition | None:
    """A group may be a cause, too."""
    return classify(error) if isinstance(error, BaseExceptionGroup) else None


def _of_one(error: BaseException) -> Condition | None:
    if isinstance(error, DBAPIError):
        return _of_wrapped(error)
    if isinstance(error, PoolTimeout) and error.code == _POOL_TIMEOUT:
        return EXHAUSTED
    found = condition_of(error)
    if found is None and _is_of_driver(error):
        return _of_passage(error)
    return found


def _is_of_driver(error: BaseException) -> bool:
    """Whether a driver may have let it through to SQLAlchemy, and that to us."""
    package = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or package in _DRIVERS


def _of_passage(error: BaseException) -> Condition | None:
    """What an error without a code means, by what was going on."""
    if error.__traceback__ is None:
        return None
    if _passed(error, connecting=True):
        return UNREACHABLE
    return _unknown(LOST) if _passed(error, connecting=False) else None


def _of_wrapped(error: DBAPIError) -> Condition | None:
    """SQLAlchemy says besides whether it has given the connection up."""
    found = _of_causes(error.orig)
    gone = error.connection_invalidated or (found is not None and found.disconnected)
    if not gone:
        return found or _of_passage(error)
    if error.statement is None and _passed(error, connecting=False):
        return _unknown(found or LOST)
    if found is None or found.disconnected:
        return found or LOST
    return replace(found, disconnected=True, rolled_back="transaction")


def _of_causes(error: BaseException | None) -> Condition | None:
    """What the driver's error says, or the one that SQLAlchemy's adapter was given."""
    while error is not None:
        found = condition_of(error)
        if found is not None:
            return found
        error = error.__cause__
    return None


def _unknown(condition: Condition) -> Condition:
    return replace(
        condition,
        transient=False,
        rolled_back=None,
        disconnected=True,
        outcome_unknown=True,
    )


def _passed(error: BaseException, *, connecting: bool) -> bool:
    """Whether SQLAlchemy was connecting, or else committing, when it was raised.

    An exception without a traceback, as one from another process, may be a COMMIT's.
    """
    module, names = (_POOL, _CONNECTS) if connecting else (_ENGINE, _COMMITS)
    if error.__traceback__ is None:
        return not connecting
    return any(
        frame.f_code.co_name in names and frame.f_globals.get("__name__") == module
        for frame in _frames(error.__traceback__)
    )


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next
