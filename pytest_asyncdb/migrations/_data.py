"""Whether rows survive: each revision up, down and up again on tables that are filled.

Rows stay from one revision to the next, as they do in production. Where they are in the
way of a step, the walk goes on from an empty database behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_asyncdb.errors import AsyncDBError, DataRefused, RevisionFailed
from pytest_asyncdb.migrations._content import (
    lost_on_the_way,
    lost_on_the_way_back,
    read_content,
)
from pytest_asyncdb.migrations._environment import execute, failed
from pytest_asyncdb.migrations._fill import Filler, plain_checks, reflected
from pytest_asyncdb.migrations._findings import Finding
from pytest_asyncdb.migrations._history import in_order
from pytest_asyncdb.migrations._locks import Locks, accepts_locks, observed
from pytest_asyncdb.migrations._steps import Attempt, Eyes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Mapping

    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script import Script, ScriptDirectory
    from sqlalchemy import URL, Connection, MetaData

    from pytest_asyncdb.migrations._content import Change, Content
    from pytest_asyncdb.migrations._given import Given

__all__ = ["DataWalk"]


@dataclass
class DataWalk:
    """One walk with rows; `run` gives what was found, by revision.

    `two_way` are the revisions that lead back to the same schema when there are no
    rows, and `given` is what the project adds. `reset` empties the database.
    """

    config: Config
    url: URL
    two_way: Collection[str]
    given: Mapping[str, Given]
    accepted: Mapping[str, str]
    """Why findings of a revision are only notes."""
    ignore: Collection[str]
    reset: Callable[[], None] | None
    found: dict[str, list[Finding]] = field(default_factory=dict)
    watch_locks: bool = False
    """Whether to observe what a first upgrade locks; on PostgreSQL only."""
    locks: dict[str, Locks] = field(default_factory=dict)
    """What was observed, by revision."""
    _done: int = 0
    _again: bool = False
    _now: MetaData | None = None
    """The tables that there are, since the last step was taken."""

    def run(self) -> dict[str, list[Finding]]:
        """Walk; blocks. Revisions that were not reached are not in it."""
        while True:
            self._again = False
            try:
                execute(self.config, self._plan, url=self.url)
            except RevisionFailed:
                if not self._again:  # it fails without rows too
                    self.found.popitem()
                    return self.found
            if not self._again or self.reset is None:
                return self.found
            self.reset()

    # --------------------------------------------------------------------- the plan
    def _plan(
        self, context: MigrationContext, script: ScriptDirectory
    ) -> Generator[RevisionStep, None, None]:
        eyes = Eyes(context, script, self.ignore)
        scripts = in_order(script)
        filler = Filler()
        self._now = None
        for each in scripts[: self._done]:
            yield eyes.up(each)
        for each in scripts[self._done :]:
            self.found[each.revision] = []
            yield from self._visit(eyes, each, filler)
            if self._again:
                return
            self._done += 1

    def _visit(
        self, eyes: Eyes, script: Script, filler: Filler
    ) -> Generator[RevisionStep, None, None]:
        name = script.revision
        given = self.given.get(name)
        old = self._now or reflected(eyes.connection, eyes.ignored)
        before = self._filled(eyes, old, name, filler)
        step = self._watched(eyes.up(script), name, "upgrade()")
        yield self._observed(step, eyes, script)
        self._now = reflected(eyes.connection, eyes.ignored)
        after = _content(eyes, self._now)
        self._tell(name, "upgrade()", lost_on_the_way(before, after))
        if given is not None and given.after is not None:
            self._expect(eyes, name, given.after)
        if name not in self.two_way:
            return
        attempt = Attempt(eyes, script)
        yield self._attempted(attempt, name)
        if attempt.error is not None:
            yield eyes.up(script, nothing=True)
            return
        down = _content(eyes, old)
        changes = lost_on_the_way_back(before, after, down)
        self._tell(name, "downgrade()", changes)
        yield self._watched(eyes.up(script), name, "a second upgrade()")

    def _filled(
        self, eyes: Eyes, metadata: MetaData, name: str, filler: Filler
    ) -> Content:
        """Rows where there are none of a table's shape; all rows that there are."""
        connection, given = eyes.connection, self.given.get(name)
        plain_checks(metadata)
        filler.fill(connection, metadata)
        if given is not None and given.before is not None:
            self._prepare(connection, name, given.before)
        content = read_content(connection, metadata)
        eyes.commit()
        return content

    def _prepare(
        self, connection: Connection, name: str, before: Callable[[Any], None]
    ) -> None:
        try:
            with connection.begin_nested():
                before(connection)
        except Exception as error:  # noqa: BLE001 - whatever a project's own raises
            self.found[name].append(Finding(str(DataRefused.raised("before", error))))

    def _expect(self, eyes: Eyes, name: str, after: Callable[[Any], None]) -> None:
        try:
            after(eyes.connection)
        except Exception as error:  # noqa: BLE001 - whatever a project's own raises
            self.found[name].append(Finding(str(DataRefused.raised("after", error))))
        eyes.leave()

    # -------------------------------------------------------------------- the steps
    def _watched(self, step: RevisionStep, name: str, which: str) -> RevisionStep:
        """A step that must not fail for the rows."""
        run = step.migration_fn

        def migration_fn(**options: Any) -> None:  # noqa: ANN401  (of env.py's)
            try:
                run(**options)
            except Exception as error:
                told = failed(name, "upgrade", error)
                self._note(name, _in_the_way(name, which, told))
                self._begin_again()
                raise told from error

        step.migration_fn = migration_fn
        return step

    def _observed(self, step: RevisionStep, eyes: Eyes, script: Script) -> RevisionStep:
        """The same, whose statements are looked at where that is asked for."""
        if not self.watch_locks or eyes.connection.dialect.name != "postgresql":
            return step
        run = step.migration_fn

        def migration_fn(**options: Any) -> None:  # noqa: ANN401  (of env.py's)
            with observed(eyes.connection, eyes.ignored) as locks:
                run(**options)
            if accepts_locks(script.path):
                locks.dangers.clear()
            self.locks[script.revision] = locks

        step.migration_fn = migration_fn
        return step

    def _attempted(self, attempt: Attempt, name: str) -> RevisionStep:
        """A downgrade that is undone where it fails."""
        step = attempt.step
        run = step.migration_fn

        def migration_fn(**options: Any) -> None:  # noqa: ANN401  (of env.py's)
            attempt.run(lambda: run(**options))
            if attempt.error is None:
                return
            told = failed(name, "downgrade", attempt.error)
            self._note(name, _in_the_way(name, "downgrade()", told))
            if attempt.is_lost or not attempt.can_undo:
                self._begin_again()
                raise told from attempt.error

        step.migration_fn = migration_fn
        return step

    def _begin_again(self) -> None:
        """Behind the revision, whose rows are in the way."""
        self._again = True
        self._done += 1

    def _tell(self, name: str, which: str, changes: Iterable[Change]) -> None:
        for each in changes:
            what = f"{which} of {name}: {each.text}"
            self._note(name, Finding(what, fails=each.fails))

    def _note(self, name: str, finding: Finding) -> None:
        """What a revision file accepts is only noted."""
        why = self.accepted.get(name)
        if why is not None:
            finding = replace(finding, what=f"{finding.what} ({why})", fails=False)
        self.found[name].append(finding)


def _in_the_way(name: str, which: str, error: AsyncDBError) -> Finding:
    return Finding(f"{which} of {name} fails where tables have rows: {error}")


def _content(eyes: Eyes, metadata: MetaData) -> Content:
    content = read_content(eyes.connection, metadata)
    eyes.leave()
    return content
