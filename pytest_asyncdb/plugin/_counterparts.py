"""Databases of other products, beside the running test's and with the same in them."""

from __future__ import annotations

import contextlib
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_asyncdb.plugin._statements import unrecorded
from pytest_asyncdb.plugin._suite import suite_of
from pytest_asyncdb.plugin._terminal import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

    from pytest_asyncdb.plugin._databases import Plan, WorkerDatabase
    from pytest_asyncdb.provisioning import Database, Run
    from pytest_asyncdb.settings import Target

__all__ = ["counterparts_of"]

_compared: ContextVar[AsyncEngine | None] = ContextVar("asyncdb_compared", default=None)


class Counterparts:
    """Servers beside those of the run, each started by the first test that needs it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._runs: dict[tuple[Target, Target], tuple[Run, Plan]] = {}
        """By what is named, and by the database of the test that names it."""
        self._lock = threading.Lock()
        self._stack = contextlib.ExitStack()
        config.add_cleanup(self._stack.close)

    def named(self, words: Sequence[str], worker: WorkerDatabase) -> list[Counterpart]:
        """Those that the words name; raises what `parse_target` raises."""
        from pytest_asyncdb.settings import parse_target

        targets = [parse_target(word) for word in words]
        return [Counterpart(target, self, worker) for target in targets]

    def clone(self, target: Target, worker: WorkerDatabase) -> tuple[Database, Plan]:
        """A new database, with the plan that it is filled by; blocks.

        Raises what provisioning raises, at each call the same.
        """
        with self._lock:
            run, plan = self._planned(target, worker)
            options = plan.engine_options
            return run.database(plan.build, engine_options=options).clone(), plan

    def _planned(self, target: Target, worker: WorkerDatabase) -> tuple[Run, Plan]:
        key = target, worker.target
        if key not in self._runs:
            from pytest_asyncdb.plugin._plan import plan_of
            from pytest_asyncdb.provisioning import Run

            run = Run(
                target.outside_of_memory(),
                server=worker.settings.server(target.product),
                say=lambda text: say(self._config, text),
            )
            self._stack.callback(run.close)
            said = self._said(same=target.product == worker.target.product)
            plan = plan_of(said, f"{target.product}+{run.driver}")
            self._runs[key] = run, plan
            self._build(run, plan, worker)
        return self._runs[key]

    def _build(self, run: Run, plan: Plan, worker: WorkerDatabase) -> None:
        """Migrations may look in a variable for where to connect."""
        suite = suite_of(self._config)
        suite.point_variables(run)
        try:
            run.database(plan.build, engine_options=plan.engine_options)
        finally:
            suite.point_variables(worker.run)

    def _said(self, *, same: bool) -> dict[str, Any]:
        """What the project says; how to connect holds for the `same` product only."""
        said: dict[str, Any] = {**suite_of(self._config).overrides}
        options = dict(said["asyncdb_engine_options"] or {})
        if not same:
            options.pop("connect_args", None)
        return {**said, "asyncdb_engine_options": options}


@dataclass(frozen=True)
class Counterpart:
    """The database of another run that holds what the test's does, by its word."""

    _target: Target
    _counterparts: Counterparts
    _worker: WorkerDatabase

    @property
    def name(self) -> str:
        """The word, without a password."""
        return self._target.word

    @contextlib.asynccontextmanager
    async def fresh(self) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
        """Sessions on a clone, on one connection of which capture knows nothing."""
        import asyncio

        from sqlalchemy.ext.asyncio import async_sessionmaker

        from pytest_asyncdb.provisioning import unguarded

        with unguarded():
            database, plan = await asyncio.to_thread(
                self._counterparts.clone, self._target, self._worker
            )
        engine = database.engine(plan.engine_options)
        options = {"expire_on_commit": False, **plan.session_options}
        try:
            with unrecorded():
                with unguarded(), database.connecting():
                    connection = await engine.connect()
                async with contextlib.aclosing(connection):
                    with _only(engine):
                        yield async_sessionmaker(connection, **options)
        finally:
            await engine.dispose()
            await asyncio.to_thread(database.drop)


@contextlib.contextmanager
def _only(engine: AsyncEngine) -> Iterator[None]:
    """Refuse what this task sends to others, which are the same on each product."""
    from sqlalchemy import Engine, event

    from pytest_asyncdb.errors import StrategyRefused

    def check(connection: Connection, *_: object) -> None:
        used = connection.engine
        if _compared.get() is engine and used.pool is not engine.sync_engine.pool:
            raise StrategyRefused.own_engine(used.url.render_as_string())

    token = _compared.set(engine)
    event.listen(Engine, "before_cursor_execute", check)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", check)
        _compared.reset(token)


_COUNTERPARTS: Final = pytest.StashKey[Counterparts]()


def counterparts_of(config: pytest.Config) -> Counterparts:
    """Those of a run; the first call makes them."""
    if _COUNTERPARTS not in config.stash:
        config.stash[_COUNTERPARTS] = Counterparts(config)
    return config.stash[_COUNTERPARTS]
