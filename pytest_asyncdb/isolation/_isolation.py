"""The isolation of a worker's tests: what the plugin drives."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from pytest_asyncdb.errors import ExamplesRefused, LoopRefused
from pytest_asyncdb.isolation._capture import Birth, Capture, birth
from pytest_asyncdb.isolation._changes import read
from pytest_asyncdb.isolation._checks import leaks, tasks, threads
from pytest_asyncdb.isolation._commit import RealCommits
from pytest_asyncdb.isolation._link import Link
from pytest_asyncdb.isolation._membership import Announced, Membership
from pytest_asyncdb.isolation._own import OwnPlace, own_isolations
from pytest_asyncdb.isolation._restore import Restorer
from pytest_asyncdb.isolation._sandbox import Sandbox, current_transaction
from pytest_asyncdb.isolation._stock import Stock
from pytest_asyncdb.provisioning import unguarded

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence

    from sqlalchemy import URL, Engine

    from pytest_asyncdb.isolation._changes import Changes, Contents
    from pytest_asyncdb.isolation._finding import Finding
    from pytest_asyncdb.isolation._places import Place
    from pytest_asyncdb.isolation._strategy import Enclosure
    from pytest_asyncdb.provisioning import Database

__all__ = ["Isolation"]

T = TypeVar("T")


class Isolation:
    """Undoes what a test writes, on one database that is kept.

    `database` is called when the first test opens; `url` is where it will be. `joins`
    says of an engine whether it shares the test's transaction (True), connects for
    real (False), or what the rules say (None). `announced` is for what a refusal says.
    """

    def __init__(
        self,
        database: Callable[[], Database],
        *,
        product: str,
        driver: str,
        url: URL,
        engine_options: Mapping[str, Any] | None = None,
        session_options: Mapping[str, Any] | None = None,
        joins: Callable[[Engine], bool | None] | None = None,
        sqlite_direct: bool = True,
        bridge: str = "auto",
        announced: Announced | None = None,
    ) -> None:
        in_memory = product == "sqlite" and url.database in (None, "", ":memory:")
        options = dict(engine_options or {})
        self._link = Link(
            database,
            driver=driver,
            engine_options=options,
            direct=in_memory and sqlite_direct,
            bridge=bridge,
        )
        self._joins = joins
        self._members = Membership(
            self._link,
            product=product,
            driver=driver,
            url=url,
            joins=joins,
            announced=announced or Announced(),
        )
        self._capture = Capture(self._link, self._members)
        self.engine: AsyncEngine = create_async_engine(url, **_with_pool(options))
        self.sync_engine: Engine = create_async_engine(
            url, **_with_pool(options)
        ).sync_engine
        self.sessionmaker: async_sessionmaker[AsyncSession] = async_sessionmaker(
            self.engine, **{"expire_on_commit": False, **(session_options or {})}
        )
        self._url = url
        self.failed = False
        """Whether the running test has failed; whoever knows it says so."""
        self._copy: Database | None = None
        self._stock = Stock(self._link, self._committed)
        self._restorer = Restorer(
            self._link, self._renew, self._capture.opened.taken_at
        )
        self._own: dict[str, OwnPlace] = {}
        self._untouched: Contents | None = None
        self._mode = "sandbox"
        self._lent: list[Any] = []
        self._members.adopt(self.engine.sync_engine, blocking=False)
        self._members.adopt(self.sync_engine, blocking=True)

    # ------------------------------------------------------------------- the run
    @property
    def bridge(self) -> str:
        """Which bridge leads to the connection: "guest" or "thread"."""
        return self._link.bridge_class.name

    @property
    def round_trips(self) -> int:
        """How many times something was sent to the server since the run began."""
        return self._link.round_trips

    @property
    def unrequested(self) -> Callable[[Any], None] | None:
        """Called when an engine connects in a test that asked for no database."""
        return self._capture.unrequested

    @unrequested.setter
    def unrequested(self, value: Callable[[Any], None] | None) -> None:
        self._capture.unrequested = value

    def opened(self, engine: Engine) -> Sequence[tuple[Place, str]]:
        """Where, and in which test, an engine that is not captured has connected."""
        return self._capture.opened.of(engine)

    def install(self) -> None:
        """Capture the engines of the process, from the next test on."""
        self._capture.install()

    def uninstall(self) -> None:
        """Let engines be, and close the kept connection."""
        self._capture.uninstall()
        self._restorer.forget()
        self._stock.clear()
        for place in self._own.values():
            place.close()
        self._link.close()
        if self._copy is not None:
            self._copy.drop()

    def let_through(self, url: URL) -> None:
        """Leave engines for another database be: its owner undoes what they write."""
        self._members.let_through(url)

    # -------------------------------------------------------------------- a test
    def open(
        self,
        name: str,
        *,
        requested: bool = True,
        joins: Callable[[Engine], bool | None] | None = None,
        mode: str = "sandbox",
    ) -> None:
        """Before any fixture of the test. Raises what provisioning raises.

        `mode` is "sandbox", "commit", "database" or the name of a strategy of the
        project's own.
        """
        if self._capture.sandbox is not None:  # its tear-down was never reached
            self.close()
        current_transaction.set(None)
        self.failed = False
        self._mode = mode
        self._members.ask(joins or self._joins)
        self._enter(Birth(name, isolated=requested), None)
        if requested:
            self._start()
            self._capture.know_threads()
            self._capture.sandbox = self._enclosed(mode, name)

    def _enclosed(self, mode: str, name: str) -> Enclosure:
        if mode == "commit":
            if self._link.database.worn:
                self._restorer.restore()
                self._link.database.worn = False
            self._restorer.prepare()
            return RealCommits(
                self._stock, name, self._restored, flush=self._restorer.flush
            )
        if mode == "database":
            own = self._link.database.clone()
            stock = Stock(self._link, lambda: own)
            return RealCommits(stock, name, self._dropped)
        if mode in own_isolations():
            return self._own_place(mode).enclose(name)
        return Sandbox(self._link, name)

    def _own_place(self, mode: str) -> OwnPlace:
        if mode not in self._own:
            self._own[mode] = OwnPlace(self._link, mode, self.run)
        return self._own[mode]

    def _committed(self) -> Database:
        """What tests commit to: the worker's database, or in memory a copy of it."""
        if not self._link.is_in_memory:
            return self._link.database
        if self._copy is None:
            self._copy = self._link.database.clone()
        return self._copy

    def _restored(self, test: RealCommits) -> list[Finding]:
        """Undo what was committed, unless the test has only read.

        Where the server counts changes, also what another process has committed.
        """
        if test.wrote or (test.connected and self._restorer.is_prepared):
            return self._restorer.restore(test)
        self._link.bridge.block(test.end)
        return []

    def _dropped(self, test: RealCommits) -> list[Finding]:
        """The database was the test's own; that of a failed one may be of interest."""
        self._link.bridge.block(test.end)
        test.stock.clear()
        database = test.stock.database
        (database.keep if self.failed else database.drop)()
        return []

    def _renew(self) -> None:
        """Make the database anew that tests commit to."""
        self._stock.clear()
        if self._copy is not None:
            self._copy.replace()
        else:
            self._link.replace_database()

    def close(self) -> list[Finding]:
        """After the test's last finaliser: roll back, and say what was left open."""
        capture = self._capture
        left = list(threads(capture.threads()))
        sandbox = capture.leave()
        current_transaction.set(None)
        if sandbox is None:
            return []
        left += [*leaks(capture.leaked()), *tasks(capture.running())]
        if sandbox.is_shared and sandbox.has_begun:
            self._link.database.worn = True
        findings = sandbox.close()
        capture.forget()
        return findings if sandbox.failure is not None else left + findings

    @property
    def commits(self) -> bool:
        """Whether the running test's sessions commit for real."""
        test = self._capture.sandbox
        return test is not None and not test.is_shared

    async def publish(self) -> None:
        """Commit what the sessions of fixtures have written, so that others see it."""
        for session in self._lent:
            if session.in_transaction():
                if isinstance(session, AsyncSession):
                    await session.commit()
                else:
                    session.commit()

    def another_engine(self) -> AsyncEngine:
        """An engine in the running test that has no pool, for the plugin's own use."""
        engine = create_async_engine(self._url, poolclass=NullPool)
        self._members.adopt(engine.sync_engine, blocking=False)
        return engine

    async def observe(self) -> AsyncConnection:
        """A connection on the running loop that is none of the test's.

        For asking the server about the test's own. SQLite's file has no server; there
        it is one of the test's.
        """
        if self._link.database.product == "sqlite":
            return await self.engine.connect()
        with unguarded(), self._link.database.connecting():
            return await self._link.engine.connect()

    # ------------------------------------------------------------------ examples
    def settle(self) -> None:
        """Before the first of several examples: what fixtures wrote is their start.

        Raises ExamplesRefused for connections of theirs that are still open, and where
        the test commits for real and they have written.
        """
        test = self._capture.sandbox
        for session in self._lent:
            if session.in_transaction():
                if isinstance(session, AsyncSession):
                    self.run(session.commit)
                else:
                    session.commit()
        self._close_lent()
        held = [
            f"{engine}, taken at {place}" for engine, place in self._capture.leaked()
        ]
        if held:
            raise ExamplesRefused.connections(held)
        if isinstance(test, RealCommits) and test.wrote:
            raise ExamplesRefused.real_commits(test.name)

    @contextlib.contextmanager
    def example(self, name: str) -> Iterator[list[Finding]]:
        """Around one example: what it writes vanishes, and the test goes on.

        Where the test commits for real, so does the example, and is put back.
        The list is filled when it ends.
        """
        test = self._capture.sandbox
        findings: list[Finding] = []
        inner: Enclosure
        if isinstance(test, RealCommits):
            inner = self._enclosed(self._mode, name)
        else:
            outer = test if isinstance(test, Sandbox) else None
            inner = Sandbox(self._link, name, inside=outer)
        current_transaction.set(None)
        with self._capture.aside():
            self._capture.sandbox = inner
            try:
                yield findings
            finally:
                self._close_lent()
                findings += leaks(self._capture.leaked())
                findings += tasks(self._capture.running())
                findings += inner.close()
                self._capture.forget()
                self._capture.sandbox = test
                current_transaction.set(None)

    def _close_lent(self) -> None:
        with self._capture.forgiving():
            for session in self._lent:
                getattr(session, "sync_session", session).close()

    @contextlib.contextmanager
    def outside(self, what: str) -> Iterator[None]:
        """While a fixture wider than a function is set up or torn down."""
        before = self._capture.birth, self._capture.sandbox
        token = current_transaction.set(None)
        try:
            with self._read_only(what) as sandbox, self._capture.aside():
                self._enter(Birth(what, outside=True), sandbox)
                yield
        finally:
            self._enter(*before)
            self._capture.know_threads()
            current_transaction.reset(token)

    @contextlib.contextmanager
    def _read_only(self, what: str) -> Iterator[Enclosure]:
        """A sandbox that refuses writes: the test's own, where it has begun already."""
        running = self._capture.sandbox
        if running is not None and running.has_begun:
            with running.restricted(what):
                yield running
            return
        sandbox = Sandbox(self._link, what, outside=True)
        try:
            yield sandbox
        finally:
            sandbox.close()

    def _enter(self, born: Birth | None, sandbox: Enclosure | None) -> None:
        self._capture.birth, self._capture.sandbox = born, sandbox
        birth.set(born)

    def _start(self) -> None:
        """Have a database, and know what its server answers to every new engine."""
        if self._link.is_open:
            return
        self._link.open()
        if not self._link.answers:
            with self.outside("the first connection"):
                self.run(self._learn)

    async def _learn(self) -> None:
        """Let the plugin's engines ask what every new engine asks the server."""
        engine = create_async_engine(self._url)
        self._members.adopt(engine.sync_engine, blocking=False, learning=True)
        for each in (engine, self.engine, AsyncEngine(self.sync_engine)):
            async with each.connect():
                pass

    # -------------------------------------------------------------------- changes
    def remember(self) -> None:
        """Read what every test starts with, for `changes`; once is enough."""
        if self._untouched is None:
            self._start()
            with self.outside("reading what every test starts with"):
                self._untouched = self.run(self._read)

    async def changes(self) -> Changes:
        """What the running test has changed: committed, or in its sandbox.

        `remember` must have been called before the test wrote anything.
        """
        assert self._untouched is not None
        return self._untouched.changed_to(await self._read())

    async def _read(self) -> Contents:
        async with self.engine.connect() as connection:
            return await connection.run_sync(read)

    # ------------------------------------------------------------------ sync code
    def run(self, fn: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run a coroutine function from sync code, on a loop of its own.

        Inside of a running loop it runs in a thread, which this one waits for. Raises
        LoopRefused for a coroutine.
        """
        given: object = fn
        if inspect.iscoroutine(given):
            given.close()
            raise LoopRefused.made_already(given.__name__)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return _run(fn, args)
        return _in_thread(fn, args)

    def lend(self, session: T) -> T:
        """A fixture's session; it is closed after each example, and can go on."""
        self._lent.append(session)
        return session

    def close_session(self, session: Any) -> None:
        """Close a fixture's session; uncommitted work in it is no leak."""
        self._lent = [each for each in self._lent if each is not session]
        sync_session = getattr(session, "sync_session", session)
        with self._capture.forgiving():
            sync_session.close()


def _run(fn: Callable[..., Coroutine[Any, Any, T]], args: tuple[Any, ...]) -> T:
    """As `asyncio.run`, but the thread's current loop stays what it was."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(fn(*args))


def _in_thread(fn: Callable[..., Coroutine[Any, Any, T]], args: tuple[Any, ...]) -> T:
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(_run(fn, args))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,))
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _with_pool(options: Mapping[str, Any]) -> dict[str, Any]:
    """A pool without a limit, where the project names none: it holds no connections."""
    if {"poolclass", "pool_size", "max_overflow"} & options.keys():
        return dict(options)
    from sqlalchemy.pool import AsyncAdaptedQueuePool

    return {**options, "poolclass": AsyncAdaptedQueuePool, "pool_size": 0}
