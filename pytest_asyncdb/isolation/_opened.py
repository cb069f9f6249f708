"""What is known of connections when an error comes of them: where they were taken."""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import TimeoutError as PoolTimeout

from pytest_asyncdb.isolation._places import Place, here

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Engine, PoolProxiedConnection
    from sqlalchemy.pool import Pool

__all__ = ["Opened", "held_at", "telling_who_holds"]

_OPENED: Final = "asyncdb_opened"
_HELD: Final = "asyncdb_held"


class Opened:
    """Where engines that are not captured have opened their connections."""

    def __init__(self) -> None:
        self._places: weakref.WeakKeyDictionary[Engine, list[tuple[Place, str]]] = (
            weakref.WeakKeyDictionary()
        )
        self._sessions: dict[int, Place] = {}

    def note(self, engine: Engine, fairy: PoolProxiedConnection, test: str) -> None:
        """A connection was taken; it may have been opened for that."""
        info, place = fairy.info, here()
        if _OPENED not in info:
            info[_OPENED] = True
            self._places.setdefault(engine, []).append((place, test))
        number = _session(fairy.driver_connection)
        if number is not None:
            self._sessions[number] = place

    def of(self, engine: Engine) -> Sequence[tuple[Place, str]]:
        """Where, and in which test."""
        return self._places.get(engine, ())

    def taken_at(self, session: int) -> Place | None:
        """Where that session of PostgreSQL's was taken last; None if it is unknown."""
        return self._sessions.get(session)


def _session(driver: Any) -> int | None:
    """The number by which PostgreSQL knows a driver's connection; None elsewhere."""
    if hasattr(driver, "get_server_pid"):  # asyncpg
        return int(driver.get_server_pid())
    number = getattr(getattr(driver, "info", None), "backend_pid", None)  # psycopg
    return None if number is None else int(number)


@contextlib.contextmanager
def telling_who_holds(
    pool: Pool, checkouts: Iterable[tuple[weakref.ref[Any], Place, str]]
) -> Iterator[None]:
    """Where the pool has no connection left: note in the error where they are."""
    try:
        yield
    except PoolTimeout as error:
        held = [
            place
            for reference, place, _ in checkouts
            if (fairy := reference()) is not None
            and fairy.is_valid
            and fairy._pool is pool  # noqa: SLF001
        ]
        setattr(error, _HELD, held)
        raise


def held_at(error: BaseException) -> Sequence[Place]:
    """Where the connections had been taken that a pool was waiting for."""
    held: Sequence[Place] = getattr(error, _HELD, ())
    return held
