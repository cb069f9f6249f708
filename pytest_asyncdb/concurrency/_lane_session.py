"""A lane's connection and its ORM session, as they are used in the lanes' thread."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from pytest_asyncdb.backends._text import classify as read_text
from pytest_asyncdb.concurrency._classify import classify
from pytest_asyncdb.concurrency._trace import Kind, Step
from pytest_asyncdb.errors import LanesRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pytest_asyncdb.concurrency._lane import Work
    from pytest_asyncdb.concurrency._probe import Probe

__all__ = ["LaneSession"]

_ENDS: Final = ("COMMIT", "ROLLBACK")
_TABLE: Final = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+[\"`]?(\w+)", re.IGNORECASE)
"""For the picture only, where a name that is missed does no harm."""
_EVENTS: Final = (
    ("commit", Kind.COMMIT, "COMMIT"),
    ("rollback", Kind.ROLLBACK, "ROLLBACK"),
    ("savepoint", Kind.SAVEPOINT, "SAVEPOINT"),
    ("release_savepoint", Kind.RELEASE, "RELEASE SAVEPOINT"),
    ("rollback_savepoint", Kind.ROLLBACK_TO, "ROLLBACK TO SAVEPOINT"),
)


class LaneSession:
    """Takes a lane's steps, and tells the probe and the log of each statement.

    `begin` is sent before the first statement of each transaction; None leaves that to
    the engine.
    """

    def __init__(
        self,
        name: str,
        connection: AsyncConnection,
        probe: Probe,
        log: list[Step],
        *,
        begin: str | None,
    ) -> None:
        self.connection = connection
        self.number = 0
        self._name, self._probe, self._log, self._begin = name, probe, log, begin
        self._orm: AsyncSession | None = None

    async def open(self) -> None:
        """Learn the session's number, and listen from here on."""
        raw = await self.connection.get_raw_connection()
        self.number = self._probe.session(raw.driver_connection)
        if self._begin is not None:
            await self.connection.run_sync(_leave_begin_to_us)
        listened = self.connection.sync_connection
        event.listen(listened, "before_cursor_execute", self._before)
        event.listen(listened, "after_cursor_execute", self._after)
        for name, kind, sql in _EVENTS:
            event.listen(listened, name, self._ending(kind, sql))

    async def do(self, work: Work, parameters: Any) -> Any:
        """One step to its end."""
        word = work.strip(" ;\n").upper() if isinstance(work, str) else None
        try:
            if word in _ENDS:
                return await self.end(word)
            return await self._run(work, parameters)
        except Exception as error:
            self._failed(error)
            raise
        finally:
            self._probe.answered(self.number)

    async def _run(self, work: Any, parameters: Any) -> Any:
        if self._begin is not None and not self.connection.in_transaction():
            await self.connection.begin()
            await self.connection.run_sync(_check_begin)
            await self.connection.exec_driver_sql(self._begin)
        if callable(work):
            return await self._in_session(work)
        statement = text(work) if isinstance(work, str) else work
        return await self.connection.execute(statement, parameters)

    async def _in_session(self, work: Callable[[AsyncSession], Any]) -> Any:
        if self._orm is None:
            self._orm = AsyncSession(
                self.connection,
                expire_on_commit=False,
                join_transaction_mode="control_fully",
            )
        made = work(self._orm)
        if not inspect.isawaitable(made):
            raise LanesRefused.step(work)
        result = await made
        await self._orm.flush()
        return result

    async def end(self, word: str) -> None:
        """COMMIT or ROLLBACK, of the session where it has begun, else without it."""
        for each in (self._orm, self.connection):
            if each is not None and each.in_transaction():
                await (each.commit() if word == "COMMIT" else each.rollback())

    async def close(self) -> None:
        """Roll back what is open, and give the connection back."""
        if self._orm is not None:
            await self._orm.close()
        await self.connection.close()

    def _failed(self, error: Exception) -> None:
        condition = classify(error)
        for step in self._latest():
            step.error = error
            step.outcome = condition.name if condition else type(error).__name__

    def _latest(self) -> list[Step]:
        """Its last step, if it has taken one."""
        return [each for each in self._log if each.actor == self._name][-1:]

    # ------------------------------------------------------------------------ events
    def _before(self, *arguments: Any) -> None:
        sql = str(arguments[2])
        mysql = self.connection.dialect.name in {"mysql", "mariadb"}
        reads = read_text(sql, mysql=mysql).reads
        self._note(Kind.READ if reads else Kind.WRITE, sql, arguments[3])

    def _after(self, *arguments: Any) -> None:
        self._probe.answered(self.number)
        rows = arguments[1].rowcount
        for step in self._latest():
            if rows >= 0:
                step.outcome = f"{rows} row{'' if rows == 1 else 's'}"

    def _ending(self, kind: Kind, sql: str) -> Callable[..., None]:
        def listener(*_: object) -> None:
            self._note(kind, sql)

        return listener

    def _note(self, kind: Kind, sql: str, parameters: object = None) -> None:
        self._probe.answered(self.number)
        tables = frozenset(_TABLE.findall(sql))
        step = Step(self._name, kind, sql, tables=tables, parameters=parameters)
        self._log.append(step)
        self._probe.sent(self.number, kind, sql)


def _leave_begin_to_us(connection: Any) -> None:
    """The driver of SQLite's sends no BEGIN of its own any more."""
    connection.connection.dbapi_connection.isolation_level = None


def _check_begin(connection: Any) -> None:
    if connection.connection.driver_connection.in_transaction:
        raise LanesRefused.begun()
