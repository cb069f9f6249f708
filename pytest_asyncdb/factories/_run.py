"""One awaited call: what it has made, when that is written, and how it is undone."""

from __future__ import annotations

import asyncio
import contextlib
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import inspect
from sqlalchemy.exc import InvalidRequestError, SQLAlchemyError

from pytest_asyncdb.errors import FactoryRefused
from pytest_asyncdb.factories._fresh import (
    Loaded,
    load_expired,
    loaded_of,
    mark_empty,
    reload,
)
from pytest_asyncdb.factories._greenlets import wait_for_flush
from pytest_asyncdb.factories._measuring import measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session, SessionTransaction

__all__ = ["Run", "current_run", "perform"]

T = TypeVar("T")

_current: Final[ContextVar[Run | None]] = ContextVar("asyncdb_factories", default=None)
_LOCK: Final = "pytest_asyncdb.factories"


@dataclass(eq=False)
class Run:
    """A call of `create` or `create_batch` that is going on.

    `persistence` is "commit", "flush" or None, `flush_policy` "coalesce" or "each".
    """

    async_session: AsyncSession
    session: Session
    persistence: str | None = "commit"
    flush_policy: str = "coalesce"
    outer: Run | None = None
    """The call whose async hook awaits this one."""
    known: Sequence[Loaded] = ()
    """Objects that the caller has given, with what was loaded of them."""
    found: dict[object, Any] = field(default_factory=dict)
    """What `get_or_create` found or made, by model and key."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """What was said, when it was called, of the object that is made now."""
    passing: dict[object, list[Mapping[str, Any]]] = field(default_factory=dict)
    """Values that checks let pass, and that no object has taken yet."""
    made: list[object] = field(default_factory=list)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_active: bool = True

    @property
    def lock(self) -> asyncio.Lock:
        """Held by one call of an async hook at a time."""
        return self._lock

    # ---------------------------------------------------------------------- objects
    def add(self, instance: object) -> None:
        """Take a new object into the session."""
        mark_empty(instance)
        self.session.add(instance)
        self.made.append(instance)
        if self.flush_policy == "each":
            self.flush()

    def settle(self) -> None:
        """Go on when all that was added has been written."""
        wait_for_flush(self.flush)

    def flush(self) -> None:
        """Write what was added, unless the factory leaves that to the test."""
        if self.persistence is not None:
            self.session.flush()

    # ------------------------------------------------------------------ all or nothing
    @contextlib.contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Keep all that is made inside; after an error or a cancellation, nothing."""
        if self.persistence is None:
            with self._taken_back():
                yield
            return
        savepoint = _savepoint(self.session)
        try:
            yield
            self.flush()
            load_expired(self.session, self.made)
        except BaseException:
            _undo(self.session, savepoint)
            reload(self.session, self.known)
            raise
        savepoint.commit()

    @contextlib.contextmanager
    def _taken_back(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            for instance in self.made:
                if inspect(instance).pending:
                    self.session.expunge(instance)
            raise

    def commit(self) -> None:
        """End the transaction, if the factory is to; nothing that is loaded expires."""
        session = self.session
        if self.persistence != "commit" or self.outer is not None:
            return
        expires, session.expire_on_commit = session.expire_on_commit, False
        try:
            session.commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.expire_on_commit = expires


def _savepoint(session: Session) -> SessionTransaction:
    try:
        return session.begin_nested()
    except InvalidRequestError as error:
        if "permanently closed" in str(error):
            raise FactoryRefused.closed_session() from error
        raise


def _undo(session: Session, savepoint: SessionTransaction) -> None:
    """Go back to the savepoint, or to no transaction where the connection is gone.

    A statement that is cancelled takes its connection with it, and all that was not
    committed on it; without a rollback the session would know no other one.
    """
    try:
        savepoint.rollback()
        lost = session.in_transaction() and session.connection().invalidated
    except SQLAlchemyError:
        lost = True
    if lost:
        session.rollback()


def current_run() -> Run | None:
    """The call that this code is part of."""
    run = _current.get()
    return run if run is not None and run.is_active else None


async def perform(
    session: AsyncSession,
    work: Callable[[Run], T],
    attributes: Mapping[str, Any],
    *,
    name: str,
    persistence: str | None,
    flush_policy: str,
) -> T:
    """Do `work` on `session`, as one savepoint; one call at a time on one session.

    `name` is that of the factory, `attributes` what it was given. Inside of an async
    hook it is part of the hook's own call.
    """
    outer = current_run()
    if outer is not None and outer.session is not session.sync_session:
        outer = None

    def go(sync_session: Session) -> T:
        found = {} if outer is None else dict(outer.found)
        known = loaded_of(attributes.values())
        run = Run(session, sync_session, persistence, flush_policy, outer, known, found)
        token = _current.set(run)
        try:
            with measured(sync_session, name, run.made):
                with run.all_or_nothing():
                    result = work(run)
                run.commit()
            if outer is not None:
                outer.found |= run.found
            return result
        finally:
            run.is_active = False
            _current.reset(token)

    async with outer.lock if outer is not None else _lock_of(session):
        return await session.run_sync(go)


def _lock_of(session: AsyncSession) -> asyncio.Lock:
    """The session's lock on the loop that runs; a lock belongs to one loop."""
    loop = asyncio.get_running_loop()
    before, lock = session.info.get(_LOCK, (None, None))
    if before is not loop:
        lock = asyncio.Lock()
        session.info[_LOCK] = (loop, lock)
    held: asyncio.Lock = lock
    return held
