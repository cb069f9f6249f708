"""A pool like an engine's own, whose connections are the test's."""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.pool import (
    AsyncAdaptedQueuePool,
    Pool,
    QueuePool,
    SingletonThreadPool,
    StaticPool,
    base,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.isolation._strategy import EnclosedConnection

__all__ = [
    "Request",
    "ask_creator",
    "has_own_creator",
    "requested",
    "retire",
    "shadow_of",
    "silence",
]

_SHARED_POOLS: Final = (StaticPool, SingletonThreadPool)
_QUEUES: Final = (QueuePool, AsyncAdaptedQueuePool)


class Request:
    """A connection that a shadow pool is making."""

    def __init__(self, connection: EnclosedConnection) -> None:
        self.connection = connection


_making: contextvars.ContextVar[Request | None] = contextvars.ContextVar(
    "asyncdb_making", default=None
)


def requested() -> Request | None:
    """The connection that a shadow pool is making right now."""
    return _making.get()


def shadow_of(pool: Pool, create: Callable[[Any], EnclosedConnection]) -> Pool:
    """A pool like that one, but none that shares one connection among sessions."""
    if isinstance(pool, _SHARED_POOLS):
        is_async = pool._dialect.is_async
        kind = AsyncAdaptedQueuePool if is_async else QueuePool
        shadow: Pool = kind(pool._creator, pool_size=0, dialect=pool._dialect)
    elif type(pool) in _QUEUES:
        shadow = _empty_queue(pool)
    else:
        shadow = pool.recreate()
    shadow.dispatch = pool.dispatch
    shadow._invoke_creator = create  # type: ignore[assignment]
    return shadow


def _empty_queue(pool: Any) -> Pool:
    """As `recreate` makes it, in a fifth of the time: most tests make one."""
    shadow: Any = object.__new__(type(pool))
    queue = pool._pool
    vars(shadow).update(vars(pool))
    shadow._pool = type(queue)(queue.maxsize, use_lifo=queue.use_lifo)
    shadow._overflow = -queue.maxsize
    shadow._overflow_lock = threading.Lock()
    return shadow  # type: ignore[no-any-return]


def retire(shadow: Any) -> None:
    """Forget its connections, which refer to it, and so to each other."""
    if type(shadow) in _QUEUES:
        queue = shadow._pool
        shadow._pool = type(queue)(queue.maxsize, use_lifo=queue.use_lifo)


def has_own_creator(pool: Pool) -> bool:
    creator = pool._creator
    return getattr(creator, "__module__", None) != "sqlalchemy.engine.create"


def ask_creator(pool: Pool, record: Any, request: Request) -> None:
    """Have the pool's creator tell with what it would connect."""
    token = _making.set(request)
    try:
        pool._invoke_creator(record)
    finally:
        _making.reset(token)


def silence(fairy: Any) -> None:
    """Keep the garbage collector from warning of a connection, in another test."""
    finalizer = getattr(fairy, "_finalizer", None)
    if finalizer is not None:
        finalizer.detach()
        return
    record = fairy._connection_record  # SQLAlchemy 2.0
    records = base._strong_ref_connection_records  # type: ignore[attr-defined]
    records.pop(record.fairy_ref, None)
    record.fairy_ref = None
