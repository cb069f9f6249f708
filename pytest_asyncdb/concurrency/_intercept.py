"""Where actors stop: SQLAlchemy's events, and the run that listens to them now.

The handlers run inside SQLAlchemy's greenlet, in the actor's own task, so an actor can
be kept waiting in the middle of code that knows nothing of it.
"""

from __future__ import annotations

import contextlib
import contextvars
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool
from sqlalchemy.util.concurrency import in_greenlet

from pytest_asyncdb.concurrency._trace import Kind
from pytest_asyncdb.errors import ExplorationRefused

try:
    from sqlalchemy.util.concurrency import await_
except ImportError:  # SQLAlchemy 2.0
    from sqlalchemy.util.concurrency import await_only as await_

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from sqlalchemy import Connection, ExceptionContext

__all__ = ["Listener", "Slot", "actor_number", "listening"]

actor_number: contextvars.ContextVar[int | None] = contextvars.ContextVar(
    "asyncdb_actor", default=None
)
"""The actor in whose task the code runs; tasks hand it down to theirs."""


class Listener(Protocol):
    """A run, told of what its actors are about to do."""

    def wants(self, connection: Connection) -> bool:
        """Whether the connection is one of those that are watched."""

    def statement(
        self, actor: int, connection: Connection, sql: str, parameters: object
    ) -> Coroutine[Any, Any, None] | None:
        """A statement is about to be sent: what to wait for before."""

    def end(
        self, actor: int, connection: Connection, kind: Kind
    ) -> Coroutine[Any, Any, None] | None:
        """A transaction is about to end, or a part of it: what to wait for before."""

    def answered(self, actor: int, connection: object, rows: int | None) -> None:
        """The statement on a DBAPI connection has succeeded."""

    def failed(self, actor: int, connection: object, error: BaseException) -> None:
        """What was sent has failed."""

    def driver_begins(self, actor: int) -> None:
        """A driver is about to connect, to reset, or to send what is no step."""

    def driver_ends(self, actor: int) -> None:
        """It has done so, or could not."""

    def returned(self, actor: int, connection: object) -> None:
        """A DBAPI connection goes back to its pool."""

    def began(self, actor: int, session: Session) -> None:
        """A session has begun a transaction."""

    def connected(self, actor: int, connection: Connection) -> None:
        """A connection of SQLAlchemy's was made for an actor."""

    def unseen(self, sql: str) -> None:
        """A statement was sent where nobody can be kept waiting."""


class Slot:
    """The run that is told of everything now; there is one for the process."""

    listener: Listener | None = None
    taken = False


_slot: Final = Slot()


def _of_actor() -> tuple[int, Listener] | None:
    actor, listener = actor_number.get(), _slot.listener
    return None if actor is None or listener is None else (actor, listener)


def _wait(found: Coroutine[Any, Any, None] | None) -> None:
    if found is not None:
        await_(found)


def _before(
    connection: Connection, _cursor: object, sql: str, parameters: object, *_: object
) -> None:
    known = _of_actor()
    if known is None:
        return
    actor, listener = known
    # Such as what a dialect asks when it first connects, or BEGIN as text.
    if not connection.in_transaction():
        listener.driver_begins(actor)
        return
    if not listener.wants(connection) or not in_greenlet():
        listener.unseen(sql)
        return
    _wait(listener.statement(actor, connection, sql, parameters))


def _after(connection: Connection, cursor: Any, *_: object) -> None:
    known = _of_actor()
    if known is None:
        return
    actor, listener = known
    if not connection.in_transaction():
        listener.driver_ends(actor)
        return
    driver = connection.connection.dbapi_connection
    listener.answered(actor, driver, cursor.rowcount)


def _failed(context: ExceptionContext) -> None:
    known = _of_actor()
    if known is None:
        return
    if context.connection is None or not context.connection.in_transaction():
        known[1].driver_ends(known[0])
    else:
        with contextlib.suppress(Exception):  # the connection may be gone
            connection = context.connection.connection.dbapi_connection
            known[1].failed(known[0], connection, context.original_exception)


def _ending(kind: Kind) -> Callable[..., None]:
    def handle(connection: Connection, *_: object) -> None:
        known = _of_actor()
        if known is not None and known[1].wants(connection) and in_greenlet():
            _wait(known[1].end(known[0], connection, kind))

    return handle


def _checkout(*_: object) -> None:
    known = _of_actor()
    if known is not None:
        known[1].driver_ends(known[0])


def _checkin(driver: object, _: object) -> None:
    known = _of_actor()
    if known is None:
        return
    actor, listener = known
    listener.driver_ends(actor)
    if driver is not None:
        listener.returned(actor, driver)


def _began(session: Session, *_: object) -> None:
    known = _of_actor()
    if known is not None:
        known[1].began(known[0], session)


def _connected(connection: Connection) -> None:
    known = _of_actor()
    if known is not None:
        known[1].connected(known[0], connection)


def _works(*_: object) -> None:
    known = _of_actor()
    if known is not None:
        known[1].driver_begins(known[0])


_EVENTS: Final[tuple[tuple[Any, str, Callable[..., None]], ...]] = (
    (Engine, "before_cursor_execute", _before),
    (Engine, "after_cursor_execute", _after),
    (Engine, "handle_error", _failed),
    (Engine, "commit", _ending(Kind.COMMIT)),
    (Engine, "rollback", _ending(Kind.ROLLBACK)),
    (Engine, "rollback_savepoint", _ending(Kind.ROLLBACK_TO)),
    (Engine, "engine_connect", _connected),
    (Engine, "do_connect", _works),
    (Pool, "checkout", _checkout),
    (Pool, "reset", _works),
    (Pool, "checkin", _checkin),
    (Session, "after_begin", _began),
)


@contextlib.contextmanager
def listening() -> Iterator[Slot]:
    """Listen to all engines on behalf of the slot's listener; nothing stays on them.

    Raises `ExplorationRefused` inside of another such block.
    """
    if _slot.taken:
        raise ExplorationRefused.nested()
    _slot.taken = True
    for target, name, handle in _EVENTS:
        # Of those for do_connect none is asked behind the one that connects.
        event.listen(target, name, handle, insert=name == "do_connect")
    try:
        yield _slot
    finally:
        for target, name, handle in _EVENTS:
            event.remove(target, name, handle)
        _slot.taken, _slot.listener = False, None
