"""Steps of a history on env.py's own connection, and what is seen between them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_asyncdb.migrations._snapshot import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script import Script, ScriptDirectory
    from sqlalchemy import Connection

    from pytest_asyncdb.migrations._schema import Schema

__all__ = ["Attempt", "Eyes"]


@dataclass
class Eyes:
    """What is seen and stepped on env.py's own connection."""

    context: MigrationContext
    script: ScriptDirectory
    ignore: Collection[str]

    @property
    def connection(self) -> Connection:
        found = self.context.connection
        assert found is not None, "a plan runs online"  # noqa: S101
        return found

    @property
    def ignored(self) -> frozenset[str]:
        """Tables that are nobody's: what the project says, and Alembic's own."""
        return frozenset({*self.ignore, self.context.version_table})

    @property
    def _is_ours(self) -> bool:
        return not self.context._in_external_transaction

    @property
    def transactional(self) -> bool:
        """Whether a failed step can be undone."""
        return bool(self.context.impl.transactional_ddl)

    def look(self) -> Schema:
        """The schema between two steps."""
        self._forget_types()
        self.commit()
        try:
            return snapshot(self.connection, ignore=self.ignored)
        finally:
            self.leave()

    def commit(self) -> None:
        """End what was done between two steps, unless it is env.py's own to end."""
        if self._is_ours and self.connection.in_transaction():
            self.connection.commit()

    def leave(self) -> None:
        """End what was read between two steps."""
        if self._is_ours:
            self.connection.rollback()

    def up(self, script: Script, *, nothing: bool = False) -> RevisionStep:
        """An upgrade; with `nothing` only the version says so."""
        from alembic.runtime.migration import RevisionStep

        self._forget_types()
        step = RevisionStep.upgrade_from_script(self.script.revision_map, script)
        if nothing:
            step.migration_fn = lambda **_: None
        return step

    def down(self, script: Script) -> RevisionStep:
        """A downgrade."""
        from alembic.runtime.migration import RevisionStep

        self._forget_types()
        return RevisionStep.downgrade_from_script(self.script.revision_map, script)

    def _forget_types(self) -> None:
        """Alembic remembers for a whole run which types it has created."""
        self.context.impl.memo.clear()


class Attempt:
    """A downgrade inside of a SAVEPOINT, where DDL can be undone."""

    def __init__(self, eyes: Eyes, script: Script) -> None:
        self._eyes = eyes
        self.step = eyes.down(script)
        self.error: Exception | None = None
        self.seconds: float | None = None
        self.is_lost = False
        """Whether it failed after it had ended the transaction of its step."""

    @property
    def can_undo(self) -> bool:
        """Whether a failure leaves nothing behind."""
        return self._eyes.transactional

    def run(self, work: Callable[[], None]) -> None:
        """Do it, or undo all that it did."""
        from sqlalchemy.exc import SQLAlchemyError

        began = time.perf_counter()
        transactional = self._eyes.transactional
        savepoint = self._eyes.connection.begin_nested() if transactional else None
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever a script raises
            self.error = error
            if savepoint is None:
                return
            self.is_lost = not savepoint.is_active
            if not self.is_lost:
                savepoint.rollback()
            return
        self.seconds = time.perf_counter() - began
        if savepoint is not None and savepoint.is_active:
            with contextlib.suppress(SQLAlchemyError):  # it has committed by itself
                savepoint.commit()
