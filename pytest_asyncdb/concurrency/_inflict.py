"""How a fault is brought about: by the server or the driver itself, never by us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy.util import await_only

from pytest_asyncdb.backends._errors import ERRORS
from pytest_asyncdb.errors import FaultRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

__all__ = ["Moment", "at_commit", "at_statement", "check_name", "is_loss", "knows"]

Moment = Literal["before", "during", "after"]

_CUT: Final = "connection_failure"
_END: Final = "admin_shutdown"
_SLOW: Final = "slow_statement"
_ASKS: Final = "SELECT 1"


def check_name(name: str, product: str | None) -> None:
    """Raise `FaultRefused` for what nobody knows, or this product never says."""
    everything = sorted({each for known in map(_known, ERRORS) for each in known})
    if name not in everything:
        near = get_close_matches(name, everything)
        raise FaultRefused.condition(name, near, everything)
    if product is not None and name not in _known(product):
        raise FaultRefused.product(name, product, _known(product))


def knows(name: str, product: str) -> bool:
    """Whether that product has such a fault."""
    return name in _known(product)


def is_loss(name: str) -> bool:
    """Whether the connection is gone afterwards."""
    return name in {_CUT, _END}


def _known(product: str) -> list[str]:
    errors = ERRORS[product]
    cut = [_CUT] if errors.slow is not None else []
    end = [_END] if errors.end is not None else []
    return sorted([*errors.raisable, *cut, *end, _SLOW])


def at_statement(name: str, connection: Connection, seconds: float) -> None:
    """Have a statement fail: this raises, or the statement itself will."""
    dialect, errors = connection.dialect, ERRORS[connection.dialect.name]
    if name == _SLOW:
        _wait(connection, seconds)
    elif name == _CUT:
        _cut(connection.connection.driver_connection)
    elif name == _END and errors.end is not None:
        _run(connection, errors.end)
    elif errors.provoke is not None:
        for sql in errors.provoke(name):
            _run(connection, sql)
    elif errors.error is not None:
        raise errors.error(name, dialect.loaded_dbapi)


def at_commit(
    name: str,
    connection: Connection,
    moment: Moment,
    seconds: float,
    commit: Callable[[], None],
) -> None:
    """Have a COMMIT fail: not sent, not done, or done without an answer.

    `commit` sends it.
    """
    if is_loss(name):
        _lose_around(name, connection, moment, commit)
        return
    try:
        at_statement(name, connection, seconds)
    except Exception:
        if connection.dialect.name != "sqlite":  # whose transaction goes on
            connection.dialect.do_rollback(connection.connection)
        raise
    commit()


def _lose_around(
    name: str, connection: Connection, moment: Moment, commit: Callable[[], None]
) -> None:
    if moment == "before":
        with contextlib.suppress(Exception):
            await_only(_lost_and_noticed(name, connection))
    elif moment == "during":
        at_statement(name, connection, 0)
    commit()
    if moment == "after":
        at_statement(name, connection, 0)
        _run(connection, _ASKS)


async def _lost_and_noticed(name: str, connection: Connection) -> None:
    """The driver has noticed; SQLAlchemy's adapter, which it tells, has not."""
    driver_connection: Any = connection.connection.driver_connection
    ask = getattr(driver_connection, "execute", None) or driver_connection.query
    if name == _CUT:
        _cut(driver_connection)
        await ask(_ASKS)
    else:
        await ask(ERRORS[connection.dialect.name].end)


def _run(connection: Connection, sql: str) -> None:
    """One statement, on the application's connection but on a cursor of its own."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(sql, ())
    finally:
        cursor.close()


def _wait(connection: Connection, seconds: float) -> None:
    slow = ERRORS[connection.dialect.name].slow
    if slow is not None:
        _run(connection, slow(seconds))
    else:
        await_only(asyncio.sleep(seconds))


def _cut(driver_connection: Any) -> None:
    """Cut the connection's socket in two; the driver finds out by itself."""
    with socket.socket(fileno=os.dup(_file_number(driver_connection))) as copy:
        copy.shutdown(socket.SHUT_RDWR)


def _file_number(driver_connection: Any) -> int:
    libpq = getattr(driver_connection, "pgconn", None)
    if libpq is not None:
        return int(libpq.socket)
    writer = getattr(driver_connection, "_writer", None)  # aiomysql's
    holder = driver_connection if writer is None else writer
    transport = getattr(holder, "_transport", None) or holder.transport
    return int(transport.get_extra_info("socket").fileno())
