"""How the connections of engines are led into the sandbox of the running test.

While a test runs, `Engine.raw_connection` takes its connections from a shadow of the
engine's own pool: the same class, limits and events, but what it makes are transactions
of the sandbox. Engines may have been made before, at import, or in the test.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Engine, event

from pytest_asyncdb.errors import EngineRefused, FinishedTest
from pytest_asyncdb.isolation._bridge import check_blocking, in_greenlet
from pytest_asyncdb.isolation._opened import Opened, telling_who_holds
from pytest_asyncdb.isolation._places import current_task, here, running_loop
from pytest_asyncdb.isolation._shadow import (
    Request,
    ask_creator,
    has_own_creator,
    requested,
    retire,
    shadow_of,
    silence,
)
from pytest_asyncdb.isolation._turn import Mutex
from pytest_asyncdb.provisioning import is_unguarded, unguarded

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from sqlalchemy import PoolProxiedConnection
    from sqlalchemy.pool import Pool

    from pytest_asyncdb.isolation._link import Link
    from pytest_asyncdb.isolation._member import Member
    from pytest_asyncdb.isolation._membership import Membership
    from pytest_asyncdb.isolation._places import Place
    from pytest_asyncdb.isolation._strategy import EnclosedConnection, Enclosure

__all__ = ["Birth", "Capture", "birth"]


@dataclass(slots=True, eq=False)
class Birth:
    """A test, or with `outside` a fixture that is wider than one."""

    name: str
    outside: bool = False
    isolated: bool = True
    over: bool = False


# The test in which a task was born; tasks hand it down to theirs.
birth: contextvars.ContextVar[Birth | None] = contextvars.ContextVar(
    "asyncdb_birth", default=None
)


_Threads: TypeAlias = weakref.WeakKeyDictionary[threading.Thread, str]


class _Stage:
    """The pools and connections of one test, or of a fixture that is wider."""

    def __init__(self) -> None:
        self.shadows: dict[Pool, weakref.WeakKeyDictionary[Any, Pool]] = {}
        self.pools: list[Pool] = []
        self.checkouts: list[tuple[weakref.ref[Any], Place, str]] = []
        self.tasks: dict[int, weakref.ref[asyncio.Task[Any]]] = {}
        self.threads: dict[int, weakref.ref[threading.Thread]] = {}

    def retire(self) -> None:
        """Forget the connections."""
        for pool in self.pools:
            retire(pool)


class Capture:
    """Leads the connections of engines into the sandbox of the running test.

    `sandbox` is the current one; None lets every engine connect for real, and
    `unrequested` is told of it.
    """

    def __init__(self, link: Link, members: Membership) -> None:
        self.sandbox: Enclosure | None = None
        self.birth: Birth | None = None
        self.members = members
        self.opened = Opened()
        self.unrequested: Callable[[Any], None] | None = None
        self._link = link
        self._stage = _Stage()
        self._first = Mutex(link.lock)
        self._known: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        self._left = _Threads()
        self._between = _Threads()
        self._original: Any = None
        self._pid = os.getpid()

    # ----------------------------------------------------------------- installing
    def install(self) -> None:
        """Take over `Engine.raw_connection` for all engines of the process."""
        self._original = original = Engine.raw_connection
        capture = self

        def raw_connection(self: Engine) -> PoolProxiedConnection:
            return capture.checkout(self, original)

        Engine.raw_connection = raw_connection  # type: ignore[method-assign]
        event.listen(Engine, "do_connect", self._guard, insert=True)

    def uninstall(self) -> None:
        """Give it back."""
        Engine.raw_connection = self._original  # type: ignore[method-assign]
        event.remove(Engine, "do_connect", self._guard)

    # ------------------------------------------------------------------- checkout
    def checkout(
        self, engine: Engine, original: Callable[[Engine], PoolProxiedConnection]
    ) -> PoolProxiedConnection:
        """A connection of the engine: one of the sandbox, or a real one."""
        if is_unguarded():
            return original(engine)
        test = self.sandbox
        if test is None:
            self._refuse_leftovers()
            return original(engine)
        self._refuse_others()
        member = self.members.of(engine)
        if member is None:
            with unguarded():
                fairy = original(engine)
            self.opened.note(engine, fairy, test.name)
            return fairy
        return self._sandboxed(engine, member, test)

    def _refuse_others(self) -> None:
        """Refuse children of this process, and what a finished test has left."""
        if os.getpid() != self._pid:
            raise EngineRefused.forked()
        born = birth.get()
        if born is None:
            _refuse_thread(self._left)
        if born is not None and born is not self.birth and not born.outside:
            raise FinishedTest.named(born.name)

    def _refuse_leftovers(self) -> None:
        """Refuse what an isolated test has left: it would connect for real."""
        born = birth.get()
        if born is not None and born.isolated and born.over:
            raise FinishedTest.named(born.name)
        if born is None:
            _refuse_thread(self._left)
        if self.birth is None or self.birth.isolated:
            _refuse_thread(self._between)

    def _sandboxed(
        self, engine: Engine, member: Member, test: Enclosure
    ) -> PoolProxiedConnection:
        place, task, thread = here(), current_task(), threading.current_thread()
        if thread is not threading.main_thread():
            self._stage.threads[id(thread)] = weakref.ref(thread)
        if task is not None and birth.get() is self.birth:
            self._stage.tasks[id(task)] = weakref.ref(task)
        fairy = self._connect(engine, member)
        if test.over:  # meanwhile
            silence(fairy)
            raise FinishedTest.named(test.name)
        connection: Any = fairy.dbapi_connection
        if connection.connecting:
            connection.connected()
        connection.place = place
        self._stage.checkouts.append((weakref.ref(fairy), place, member.name))
        return fairy

    def _connect(self, engine: Engine, member: Member) -> PoolProxiedConnection:
        shadow = self._shadow(engine, member)
        if member.has_connected:
            return self._from(shadow, engine, member)
        check_blocking(allowed=member.blocking)  # SQLAlchemy 2.0 would lock first
        # SQLAlchemy's own lock for it belongs to one loop.
        with self._first, member.introspecting(engine.dialect):
            fairy = self._from(shadow, engine, member)
            member.has_connected = True
            return fairy

    def _from(
        self, shadow: Pool, engine: Engine, member: Member
    ) -> PoolProxiedConnection:
        blocks = member.blocking and engine.dialect.is_async and not in_greenlet()
        with telling_who_holds(shadow, self._stage.checkouts):
            if blocks:
                return self._link.bridge.block(shadow.connect)
            return shadow.connect()

    def current(self) -> Enclosure:
        """What encloses the running test; raises FinishedTest between tests."""
        if os.getpid() != self._pid:
            raise EngineRefused.forked()
        if self.sandbox is None:
            raise FinishedTest.named("the one before")
        return self.sandbox

    # -------------------------------------------------------------- the shadow pools
    def _shadow(self, engine: Engine, member: Member) -> Pool:
        """The shadow of the engine's pool, one for each loop: its queue is bound."""
        pool, loop = engine.pool, running_loop() or self
        shadows = self._stage.shadows.get(pool)
        if shadows is None:
            shadows = self._stage.shadows[pool] = weakref.WeakKeyDictionary()
        shadow = shadows.get(loop)
        if shadow is None:
            create = self._creator(engine, pool, member)
            shadow = shadows[loop] = shadow_of(pool, create)
            self._stage.pools.append(shadow)
        return shadow

    def _creator(
        self, engine: Engine, pool: Pool, member: Member
    ) -> Callable[[Any], EnclosedConnection]:
        product = engine.dialect.name

        def create(record: Any) -> EnclosedConnection:
            wide = self.birth is not None and self.birth.outside
            connection = self.current().connection(
                product, member, self.current, wide=wide
            )
            if has_own_creator(pool):
                connection.made_alone()
            else:
                ask_creator(pool, record, Request(connection))
            return connection

        return create

    def _guard(
        self, dialect: Any, _record: Any, arguments: Any, parameters: dict[str, Any]
    ) -> Any:
        """Every real connect comes past here, and those of the shadow pools too."""
        request = requested()
        if request is not None:
            request.connection.made_with(dialect, arguments, parameters)
            return request.connection
        if is_unguarded():
            return None
        if self.sandbox is not None:
            raise EngineRefused.bypass(f"an engine for {dialect.name}")
        if self.unrequested is not None:
            self.unrequested(dialect)
        return None

    # --------------------------------------------------------------- what is left
    def leaked(self) -> Iterator[tuple[str, Place]]:
        """The connections that nobody has given back: of which engine, taken where.

        Afterwards the garbage collector says nothing about them, in another test.
        """
        for reference, place, name in self._stage.checkouts:
            fairy = reference()
            if fairy is not None and fairy.is_valid:
                fairy.dbapi_connection.left_open()
                silence(fairy)
                yield name, place

    def running(self) -> list[asyncio.Task[Any]]:
        """The tasks born in this test that used the database and still run."""
        tasks = [reference() for reference in tuple(self._stage.tasks.values())]
        return [
            task
            for task in tasks
            if task is not None
            and not task.done()
            and task is not current_task()
            and not task.get_loop().is_closed()
        ]

    def know_threads(self) -> None:
        """Those that run now are none of the test's, which begins or goes on."""
        self._known = weakref.WeakSet(threading.enumerate())

    def threads(self) -> list[threading.Thread]:
        """The threads begun in this test that used the database and still run."""
        return [
            thread
            for thread in self._users()
            if thread not in self._known and not _is_pooled(thread)
        ]

    def _users(self) -> list[threading.Thread]:
        threads = [reference() for reference in tuple(self._stage.threads.values())]
        return [each for each in threads if each is not None and each.is_alive()]

    def leave(self) -> Enclosure | None:
        """The test is over: what goes on is refused from now on. Gives its sandbox.

        Threads of a pool take part in the next test again, and not before.
        """
        sandbox, born = self.sandbox, self.birth
        if sandbox is not None and born is not None:
            born.over = True
            self._left.update(dict.fromkeys(self.threads(), born.name))
            self._between.update(dict.fromkeys(self._users(), born.name))
            self.birth = None
            birth.set(None)
        self.sandbox = None
        return sandbox

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """While another sandbox stands: its pools and connections are its own."""
        before, self._stage = self._stage, _Stage()
        try:
            yield
        finally:
            self._stage = before

    def forget(self) -> None:
        """The test is over: its pools and connections are nobody's any more."""
        self._stage.retire()
        self._stage = _Stage()

    @contextlib.contextmanager
    def forgiving(self) -> Iterator[None]:
        """While the plugin closes what it opened: no rollback conflicts."""
        sandbox = self.sandbox
        if sandbox is None:
            yield
            return
        sandbox.forgiving = True
        try:
            yield
        finally:
            sandbox.forgiving = False


def _refuse_thread(refused: _Threads) -> None:
    name = refused.get(threading.current_thread())
    if name is not None:
        raise FinishedTest.named(name)


def _is_pooled(thread: threading.Thread) -> bool:
    """Whether it is one of a pool's, which outlive what they are used for."""
    target = getattr(thread, "_target", None)
    pooled = getattr(target, "__module__", None) == "concurrent.futures.thread"
    return pooled or type(thread) is not threading.Thread
