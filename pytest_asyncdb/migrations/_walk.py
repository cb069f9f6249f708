"""The whole history in one execution of env.py: each revision up, down and up again.

Alembic takes the steps of a plan one at a time, so between two of them the schema is
read on env.py's own connection. Where what a step left behind is in the way of the
next ones, the walk goes on from an empty database.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import AsyncDBError, RevisionFailed
from pytest_asyncdb.migrations._environment import execute, failed
from pytest_asyncdb.migrations._findings import Finding, Report, Result
from pytest_asyncdb.migrations._history import IRREVERSIBLE, Revision, in_order
from pytest_asyncdb.migrations._rules import Rules
from pytest_asyncdb.migrations._snapshot import cluster
from pytest_asyncdb.migrations._steps import Attempt, Eyes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Sequence

    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script import Script, ScriptDirectory
    from sqlalchemy import URL

    from pytest_asyncdb.migrations._diff import Difference
    from pytest_asyncdb.migrations._schema import Schema

__all__ = ["Walk"]

_EVERY: Final = 2.0
"""Seconds after which it is said again how far the walk is."""


@dataclass
class Walk:
    """One walk; `run` gives its report.

    `reset` empties the database; without it, nothing is checked that follows what
    cannot be undone. `say` is told how far the walk is.
    """

    config: Config
    url: URL
    declared: Collection[str] = ()
    ignore: Collection[str] = ()
    rules: Rules = field(default_factory=Rules)
    reset: Callable[[], None] | None = None
    say: Callable[[str], None] | None = None
    report: Report = field(default_factory=Report)
    _done: int = 0
    """So many revisions need no look any more."""
    _again: bool = False
    """Whether to go on from an empty database."""
    _spoilt: bool = False
    """Whether there is something that an earlier finding has left."""
    _empty: Schema | None = None
    _cluster: frozenset[str] = frozenset()
    _said: float = 0.0

    def run(self) -> Report:
        """Walk; blocks. Raises what prevents the first step."""
        self._said = time.monotonic()
        while True:
            self._again = self._spoilt = False
            try:
                execute(self.config, self._plan, url=self.url)
            except AsyncDBError as error:
                if not (self._again or self._is_told(error)):
                    if not self._done:
                        raise
                    self.report.stopped = error.cause  # on the way back to where it was
            if not self._again:
                return self.report
            if self.reset is None:
                self.report.stopped = "nothing empties the database to go on"
                return self.report
            self.reset()

    def _is_told(self, error: AsyncDBError) -> bool:
        """Whether it is a finding of a revision's already."""
        return isinstance(error, RevisionFailed) and self.report.stopped is not None

    # --------------------------------------------------------------------- the plan
    def _plan(
        self, context: MigrationContext, script: ScriptDirectory
    ) -> Iterator[RevisionStep]:
        scripts = in_order(script)
        eyes = Eyes(context, script, self.ignore)
        if not self.report.results:
            self._begin(eyes, scripts)
        for each in scripts[: self._done]:
            yield eyes.up(each)
        before = eyes.look()
        for each in scripts[self._done :]:
            result = self.report.results[each.revision]
            after = yield from self._visit(eyes, each, result, before)
            if after is None:
                return
            before = after
            self._tell(len(scripts))
        self.report.head = before
        yield from self._back_to_base(eyes, scripts)
        new = cluster(eyes.connection) - self._cluster
        self.report.cluster = sorted(new)

    def _begin(self, eyes: Eyes, scripts: Sequence[Script]) -> None:
        self._empty = eyes.look()
        self._cluster = cluster(eyes.connection)
        self.report.heads = tuple(eyes.script.get_heads())
        for each in scripts:
            revision = Revision.of(each, self.declared)
            self.report.results[revision.id] = Result(
                revision, irreversible=revision.irreversible
            )

    def _tell(self, total: int) -> None:
        now = time.monotonic()
        if self.say is not None and now - self._said > _EVERY:
            self._said = now
            self.say(f"migrations: {self._done} of {total} revisions")

    # ----------------------------------------------------------------- one revision
    def _visit(
        self, eyes: Eyes, script: Script, result: Result, before: Schema
    ) -> Generator[RevisionStep, None, Schema | None]:
        """Its schema when it is up; None where the walk has to begin anew."""
        yield self._watched(eyes.up(script), result, "upgrade")
        after = eyes.look()
        self._done += 1
        if result.irreversible is not None:
            return after
        attempt = Attempt(eyes, script)
        yield self._attempted(attempt, result)
        if attempt.error is not None:
            yield eyes.up(script, nothing=True)
            return after if eyes.transactional else self._unharmed(eyes, after)
        result.down = attempt.seconds
        self._compare(_stays(result.revision), before.diff(eyes.look()), result, "down")
        yield self._watched(eyes.up(script), result, "second")
        again = eyes.look()
        what = f"a second upgrade() of {result.revision.title} differs from the first"
        self._compare(what, after.diff(again), result, "up")
        return again

    def _compare(
        self, what: str, found: list[Difference], result: Result, way: str
    ) -> None:
        differences = self.rules.apply(found)
        if not differences:
            return
        fails = any(each.counts for each in differences)
        self._spoilt = self._spoilt or fails
        script = "downgrade()" if way == "down" else "a second upgrade()"
        lacks = f"{script} of {result.revision.id}"
        result.findings.append(Finding(what, tuple(differences), lacks, fails=fails))

    def _unharmed(self, eyes: Eyes, after: Schema) -> Schema | None:
        """Where DDL is not undone: go on only if the failed step has left nothing."""
        self._again = eyes.look() != after
        return None if self._again else after

    def _watched(self, step: RevisionStep, result: Result, which: str) -> RevisionStep:
        """An upgrade whose time is taken, and whose failure ends the execution."""
        run = step.migration_fn

        def migration_fn(**options: Any) -> None:  # noqa: ANN401  (of env.py's)
            began = time.perf_counter()
            try:
                run(**options)
            except Exception as error:
                told = failed(result.revision.id, "upgrade", error)
                self._upgrade_failed(result, told, which)
                raise told from error
            if which == "upgrade":
                result.up = time.perf_counter() - began

        step.migration_fn = migration_fn
        return step

    def _upgrade_failed(self, result: Result, error: AsyncDBError, which: str) -> None:
        if which == "second":
            what = f"{error}\n  on the way up again, after its downgrade()"
            result.findings.append(Finding(what))
            self._again = True
        elif self._spoilt and self.reset is not None:
            self._again = True
        else:
            result.findings.append(Finding(str(error)))
            self.report.stopped = error.cause

    def _attempted(self, attempt: Attempt, result: Result) -> RevisionStep:
        """A downgrade whose failure is undone, so that the walk goes on."""
        step = attempt.step
        run = step.migration_fn

        def migration_fn(**options: Any) -> None:  # noqa: ANN401  (of env.py's)
            attempt.run(lambda: run(**options))
            error = attempt.error
            if isinstance(error, NotImplementedError):
                result.irreversible = str(error) or "raises NotImplementedError"
            elif error is not None:
                told = failed(result.revision.id, "downgrade", error)
                result.findings.append(Finding(str(told)))
            if error is not None and attempt.is_lost:
                self._again = True
                raise failed(result.revision.id, "downgrade", error) from error

        step.migration_fn = migration_fn
        return step

    # -------------------------------------------------------------------- the way back
    def _back_to_base(
        self, eyes: Eyes, scripts: Sequence[Script]
    ) -> Iterator[RevisionStep]:
        for each in self.report.results.values():
            if each.down is None and self.report.base_skipped is None:
                self.report.base_skipped = (
                    f"there is no way back from {each.revision.id}"
                )
        if self.report.base_skipped is not None or self._empty is None:
            return
        for script in reversed(scripts):
            yield self._on_the_way_back(eyes.down(script), script.revision)
        left = self.rules.apply(self._empty.diff(eyes.look()))
        if left:
            fails = any(each.counts for each in left)
            what = "a downgrade from head to base is not the end of it:"
            finding = Finding(what, tuple(left), "the way back", fails=fails)
            self.report.base.append(finding)

    def _on_the_way_back(self, step: RevisionStep, revision: str) -> RevisionStep:
        run = step.migration_fn

        def migration_fn(**options: Any) -> None:  # noqa: ANN401  (of env.py's)
            try:
                run(**options)
            except Exception as error:
                told = failed(revision, "downgrade", error)
                what = f"{told}\n  on the way from head to base"
                self.report.base.append(Finding(what))
                self.report.stopped = self.report.stopped or told.cause
                raise told from error

        step.migration_fn = migration_fn
        return step


def _stays(revision: Revision) -> str:
    if "downgrade" not in revision.empty:
        return f"downgrade() of {revision.title} does not lead back to before"
    return (
        f"downgrade() of {revision.title} does nothing, so what upgrade() does stays;"
        f" if there is no way back, say so in the file: {IRREVERSIBLE} = 'why'"
    )
