"""The application's migrations, on a database that is there for them alone."""

from __future__ import annotations

import difflib
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from pytest_asyncdb.errors import HistoryRefused
from pytest_asyncdb.migrations import _config
from pytest_asyncdb.migrations._environment import execute, render_sql
from pytest_asyncdb.migrations._history import read_history
from pytest_asyncdb.migrations._snapshot import VERSION_TABLE, snapshot
from pytest_asyncdb.migrations._thread import block, in_thread
from pytest_asyncdb.migrations._walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from contextlib import AbstractContextManager

    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script import ScriptDirectory
    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pytest_asyncdb.migrations._findings import Report
    from pytest_asyncdb.migrations._history import History
    from pytest_asyncdb.migrations._schema import Schema

__all__ = ["Runner"]

_WORDS = ("head", "heads", "base")


class Runner:
    """Runs the application's Alembic, with its unmodified env.py, on one database.

    `config` is the path of alembic.ini (or pyproject.toml, or `alembic.ini:section`),
    relative to `root`, or a Config. `url` is the database, which should be empty and is
    nobody else's, through an async driver; whatever env.py connects to leads there.
    `reset` empties it. `around` makes the context in which the runner connects.

    Raises `AlembicConfigRefused` for a configuration that is none. Every coroutine
    raises `EnvironmentFailed` for an env.py that cannot be run, `HistoryRefused` for
    revisions that cannot be read or do not exist, `RevisionFailed` for a migration that
    fails and `RedirectRefused` for a connection that would lead elsewhere.
    """

    def __init__(
        self,
        config: str | Path | Config,
        url: str | URL,
        *,
        root: Path | None = None,
        reset: Callable[[], None] | None = None,
        around: Callable[[], AbstractContextManager[None]] | None = None,
        irreversible: Collection[str] = (),
        ignore: Collection[str] = (VERSION_TABLE,),
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.config = _config.load(config, root or Path.cwd())
        self.url = make_url(url)
        self._reset = reset
        self._around = around
        self._irreversible = irreversible
        self._ignore = ignore
        self._say = say
        self._report: Report | None = None

    def __repr__(self) -> str:
        return f"<Runner of {self.config.config_file_name or 'a Config'}>"

    # ------------------------------------------------------------------ the files
    @cached_property
    def history(self) -> History:
        """The revision files, the oldest first, and what is wrong with them."""
        return read_history(self.config, self._irreversible)

    @property
    def revisions(self) -> tuple[str, ...]:
        """Identifiers of all revisions, each after those that it follows."""
        return tuple(each.id for each in self.history.revisions)

    @property
    def heads(self) -> tuple[str, ...]:
        """Identifiers of the revisions that nothing follows."""
        return self.history.heads

    # --------------------------------------------------------------- the database
    @cached_property
    def engine(self) -> AsyncEngine:
        """An engine of the database, for the test's own statements."""
        engine = create_async_engine(self.url, poolclass=NullPool)
        if self._around is not None:
            self._guard(engine, self._around)
        return engine

    @staticmethod
    def _guard(
        engine: AsyncEngine, around: Callable[[], AbstractContextManager[None]]
    ) -> None:
        sync = engine.sync_engine
        connect = type(sync).raw_connection

        def raw_connection() -> Any:  # noqa: ANN401  (what SQLAlchemy gives)
            with around():
                return getattr(type(sync), "raw_connection", connect)(sync)

        sync.raw_connection = raw_connection  # type: ignore[method-assign]

    async def upgrade(self, revision: str = "head") -> None:
        """Upgrade to a revision, as `alembic upgrade` does; "+1" is a step."""
        self._check(revision)
        await self._execute(
            lambda heads, script: script._upgrade_revs(revision, heads), revision
        )

    async def downgrade(self, revision: str) -> None:
        """Downgrade to a revision, as `alembic downgrade` does; "-1" is a step."""
        self._check(revision)
        await self._execute(
            lambda heads, script: script._downgrade_revs(revision, heads), revision
        )

    async def stamp(self, revision: str) -> None:
        """Let the database say that it is at a revision; nothing is migrated."""
        self._check(revision)
        await self._execute(
            lambda heads, script: script._stamp_revs(revision, heads), revision
        )

    async def current(self) -> str | None:
        """The revision of the database; None for none.

        Raises `HistoryRefused` where there are several: see `current_heads`.
        """
        found = await self.current_heads()
        if len(found) > 1:
            raise HistoryRefused.several(found)
        return found[0] if found else None

    async def current_heads(self) -> tuple[str, ...]:
        """The revisions of a database whose branches are not merged yet."""
        found: list[str] = []

        def note(heads: Any, _: object) -> Iterable[RevisionStep]:  # noqa: ANN401
            found.extend(heads)
            return ()

        await self._execute(note, "heads")
        return tuple(found)

    async def snapshot(self) -> Schema:
        """Every object of the database, without Alembic's own table."""
        read = partial(snapshot, ignore=self._ignore)
        async with self.engine.connect() as connection:
            return await connection.run_sync(read)

    async def sql(self, revision: str = "heads") -> str:
        """What `alembic upgrade --sql` renders, from the base to `revision`."""
        self._check(revision)
        work = partial(render_sql, self.config, url=self.url, revisions=revision)
        return await in_thread(self._inside(work))

    async def walk(self) -> Report:
        """Take each revision up, down and up again; the database should be empty.

        The first call walks, every later one gives the same report.
        """
        if self._report is not None:
            return self._report
        walk = Walk(
            self.config,
            self.url,
            declared=self._irreversible,
            ignore=self._ignore,
            reset=self._reset,
            say=self._say,
        )
        report: Report = await in_thread(self._inside(walk.run))
        self._report = report
        return report

    def report(self) -> Report:
        """The same for sync code; blocks."""
        return self._report or block(self.walk)

    async def _execute(
        self,
        steps: Callable[[Any, ScriptDirectory], Iterable[Any]],
        destination: str,
    ) -> None:
        def plan(
            context: MigrationContext, script: ScriptDirectory
        ) -> Iterable[RevisionStep]:
            return steps(context.get_current_heads(), script)

        work = partial(
            execute,
            self.config,
            plan,
            url=self.url,
            each_alone=False,
            destination=destination,
        )
        await in_thread(self._inside(work))

    def _inside(self, work: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:  # noqa: ANN401  (what the work gives)
            if self._around is None:
                return work()
            with self._around():
                return work()

        return run

    def _check(self, revision: str) -> None:
        """Refuse a name that there is not; steps and labels are Alembic's to read."""
        plain = revision.isalnum() or revision.replace("_", "").isalnum()
        if revision in _WORDS or not plain:
            return
        known = self.revisions
        labels = [each for each in known if each.startswith(revision)]
        if labels or revision in self.history.labels:
            return
        near = difflib.get_close_matches(revision, known, cutoff=0.4)
        raise HistoryRefused.unknown(revision, near)
