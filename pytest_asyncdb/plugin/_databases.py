"""The databases of a run, as one process of it sees them: one is in use at a time."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_asyncdb.errors import NotPlanned, ProvisioningError
from pytest_asyncdb.isolation import Announced, Isolation
from pytest_asyncdb.provisioning import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import URL, Engine

    from pytest_asyncdb.isolation import Changes, Finding
    from pytest_asyncdb.provisioning import Database
    from pytest_asyncdb.settings import Settings, Target
    from pytest_asyncdb.typing import SchemaBuilder

__all__ = ["Databases", "Plan", "WorkerDatabase"]

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What the override fixtures say of a database."""

    build: SchemaBuilder
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    session_options: Mapping[str, Any] = field(default_factory=dict)
    joins: Callable[[Engine], bool | None] | None = None


class WorkerDatabase:
    """A target's database for this process, from its name to its isolation."""

    def __init__(
        self, target: Target, run: Run, settings: Settings, *, first: URL | None
    ) -> None:
        self.target = target
        self.run = run
        self.settings = settings
        self._announced = Announced(settings.env, first)
        self.made: Database | None = None
        self.bridge = settings.bridge
        """What leads to the connection: "guest" or "thread", once it is known."""
        self._plan: Plan | None = None
        self._isolation: Isolation | None = None
        self._failure: ProvisioningError | None = None

    @property
    def _planned(self) -> Plan:
        if self._plan is None:
            raise NotPlanned.yet()
        return self._plan

    @property
    def is_planned(self) -> bool:
        """Whether it is known what the database holds."""
        return self._plan is not None

    @property
    def session_options(self) -> Mapping[str, Any]:
        """What the project says of its sessions."""
        return self._planned.session_options

    def plan(self, plan: Plan) -> None:
        """Say what it holds; of several plans the first one counts."""
        self._plan = self._plan or plan

    @property
    def isolation(self) -> Isolation:
        """How tests on it are isolated; `plan` must have been called."""
        if self._isolation is None:
            self._isolation = self._isolated()
            self.bridge = self._isolation.bridge
        return self._isolation

    def _isolated(self) -> Isolation:
        plan = self._planned
        return Isolation(
            self.ready,
            product=self.target.product,
            driver=self.run.driver,
            url=self._had(lambda: self.run.url),
            engine_options=plan.engine_options,
            session_options=plan.session_options,
            joins=plan.joins,
            sqlite_direct=self.settings.sqlite_direct,
            bridge=self.settings.bridge,
            announced=self._announced,
        )

    def uninstall(self) -> None:
        """Let engines be; whoever comes back to this database gets a new isolation."""
        self.isolation.uninstall()
        self._isolation = None

    def ready(self) -> Database:
        """The database itself, which the first call makes.

        Raises what provisioning raises. `plan` must have been called.
        """
        if self.made is None:
            self.made = self._had(lambda: self.build(self.run))
        return self.made

    def _had(self, work: Callable[[], T]) -> T:
        """What provisioning gives.

        Raises what it raises, at each call the same: what cannot be had is not tried
        again for each of a thousand tests.
        """
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        try:
            return work()
        except ProvisioningError as error:
            self._failure = error
            raise

    @property
    def is_lost(self) -> bool:
        """Whether it is known that it cannot be had."""
        return self._failure is not None

    def build(self, run: Run) -> Database:
        """A database that holds the same, on another run's server."""
        plan = self._planned
        return run.database(plan.build, engine_options=plan.engine_options)


@dataclass
class _Test:
    """The test that runs: its database, and whether its isolation is open yet."""

    name: str
    database: WorkerDatabase
    joins: Callable[[Engine], bool | None] | None
    mode: str
    began: Callable[[], None]
    """Told once, when it is isolated."""
    ends: Callable[[], None]
    """Told once, before it is undone."""
    is_open: bool = False
    is_known: bool = False
    is_over: bool = False
    findings: list[Finding] = field(default_factory=list)
    took: dict[str, float] = field(default_factory=lambda: {"setup": 0.0, "reset": 0.0})
    """Seconds to open and to close its isolation."""

    @contextlib.contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add what the block takes."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.took[part] += time.perf_counter() - began

    def pause(self) -> bool:
        """Close the isolation; whether it was open."""
        if not self.is_open:
            return False
        if not self.is_over:
            self.is_over = True
            self.ends()
        self.is_open = False
        with self.timed("reset"):
            self.findings += self.database.isolation.close()
        return True


class Databases:
    """All of a run's databases; engines are captured for one of them at a time."""

    def __init__(
        self,
        settings: Settings,
        *,
        directories: Sequence[Path] | None = None,
        worker: str = "main",
        workers: int = 1,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._workers = workers
        self._say = say
        self._settings = settings
        self._directories = directories
        self._worker = worker
        self._made: dict[int, WorkerDatabase] = {}
        self._installed: WorkerDatabase | None = None
        self._test: _Test | None = None
        self.took: dict[str, float] = {}
        """Seconds to isolate the last test, and to undo it."""

    def __getitem__(self, index: int) -> WorkerDatabase:
        """The database of the index-th target; nothing is started."""
        if index not in self._made:
            target = self._settings.targets[index]
            directory = self._directories[index] if self._directories else None
            run = Run(
                target,
                directory=directory,
                worker=self._worker,
                keep=self._settings.keep,
                server=self._settings.server(target.product),
                reuse=self._settings.reuse,
                workers=self._workers,
                say=self._say,
            )
            first = self[0].run.url if index and self._settings.env else None
            self._made[index] = WorkerDatabase(target, run, self._settings, first=first)
        return self._made[index]

    @property
    def used(self) -> list[tuple[Database, str]]:
        """Those that have been made so far, each with the bridge that leads to it."""
        return [
            (each.made, each.bridge)
            for each in self._made.values()
            if each.made is not None
        ]

    @property
    def kept(self) -> list[str]:
        """URLs of databases that stay after the run, without passwords."""
        return [url for each in self._made.values() for url in each.run.kept]

    @property
    def clients(self) -> list[str]:
        """For each of these, a shell's line that opens it."""
        return [line for each in self._made.values() for line in each.run.clients]

    @property
    def current(self) -> WorkerDatabase | None:
        """The database that the running test is isolated on."""
        return self._test.database if self._test is not None else None

    # ---------------------------------------------------------------------- a test
    def begin(
        self,
        name: str,
        database: WorkerDatabase,
        joins: Callable[[Engine], bool | None] | None,
        *,
        mode: str,
        began: Callable[[], None],
        ends: Callable[[], None],
    ) -> None:
        """Isolate a test, at once or as soon as the database's plan is known."""
        self._test = _Test(name, database, joins, mode, began, ends)
        self.enter()

    def begin_unrequested(self, name: str) -> None:
        """A test runs that asks for no database: what it starts is no other test's."""
        if self._installed is not None:
            self._installed.isolation.open(name, requested=False)

    def enter(self) -> None:
        """Open the running test's isolation, unless it is open or cannot be yet."""
        test = self._test
        if test is None or test.is_open or not test.database.is_planned:
            return
        self._install(test.database)
        with test.timed("setup"):
            test.database.isolation.open(test.name, joins=test.joins, mode=test.mode)
        test.is_open = True
        if self._settings.show_changes or self._settings.audit:
            test.database.isolation.remember()
        if not test.is_known:
            test.is_known = True
            test.began()

    def failed(self) -> None:
        """The running test has failed."""
        if self._test is not None and self._test.is_open:
            self._test.database.isolation.failed = True

    def changes(self) -> Changes | None:
        """What the running test has changed so far, where it is isolated."""
        test = self._test
        if test is None or not test.is_open:
            return None
        isolation = test.database.isolation
        return isolation.run(isolation.changes)

    def end(self) -> list[Finding]:
        """Undo what the test did, and say what it left open."""
        test = self._test
        if test is None:
            return []
        try:
            test.pause()
        finally:
            self._test = None
            self.took = test.took
        return test.findings

    # --------------------------------------------------------------- wider fixtures
    @contextlib.contextmanager
    def before_tests(self, database: WorkerDatabase, what: str) -> Iterator[None]:
        """While a wider fixture on `database` is set up."""
        if not database.is_planned:
            yield
            return
        self._install(database)
        with database.isolation.outside(what):
            yield

    @contextlib.contextmanager
    def after_tests(self, database: WorkerDatabase, what: str) -> Iterator[None]:
        """While a wider fixture on `database` is torn down.

        All fixtures of the last test that used it are gone by then, so that test's
        isolation is closed before. The run may have come to another database since.
        Where there is none the tests have said so.
        """
        if database.is_lost and self._installed is not database:
            yield
            return
        was_open = self._test is not None and self._test.pause()
        try:
            with self.before_tests(database, what):
                yield
        finally:
            if was_open:
                self.enter()

    def _install(self, database: WorkerDatabase) -> None:
        if self._installed is not database:
            self._uninstall()
            database.isolation.install()
            self._installed = database

    def _uninstall(self) -> None:
        installed, self._installed = self._installed, None
        if installed is not None:
            installed.uninstall()

    # ---------------------------------------------------------------------- the end
    def release(self) -> None:
        """Let engines be, and give the connections back; databases stay."""
        self.end()
        self._uninstall()

    def close(self) -> None:
        """Remove every database, and what the run has started."""
        with contextlib.ExitStack() as stack:
            for each in self._made.values():
                stack.callback(each.run.close)
