"""Two writers on one version of a row: exactly one may win."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import inspect, select
from sqlalchemy.orm.exc import StaleDataError

from pytest_asyncdb.concurrency._classify import classify
from pytest_asyncdb.concurrency._meeting import Meeting, names
from pytest_asyncdb.concurrency._offered import offered
from pytest_asyncdb.concurrency._rows import Rows, differences
from pytest_asyncdb.concurrency._values import Clock
from pytest_asyncdb.errors import CheckFailed, CheckRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
    from sqlalchemy.orm import Mapper

    from pytest_asyncdb.concurrency._meeting import Outcome
    from pytest_asyncdb.concurrency._rows import Contents

__all__ = ["check_optimistic_lock"]

M = TypeVar("M")

_CONFLICTS = frozenset({409, 412})
_FAILS = 400


async def check_optimistic_lock(
    model: type[M],
    *,
    update: Callable[[AsyncSession, M, int], Awaitable[object]],
    sessionmaker: async_sessionmaker[AsyncSession] | None = None,
    delete: Callable[[AsyncSession, Sequence[M]], Awaitable[object]] | None = None,
    conflict: type[BaseException] | Callable[[object], bool] | None = None,
    volatile: Collection[str] = (),
    patience: float = 0.5,
) -> None:
    """Have two writers update one version of a row, one after the other and at once.

    `update(session, seen, number)` does what the application does for a client who has
    seen the object `seen`, which is detached, and is writer 1 or 2; what is open in the
    new `session` is committed afterwards. One of the two has to win, and the other to
    be told: by SQLAlchemy's StaleDataError, an error that is transient, or a
    `status_code` of 409 or 412 of what is raised or returned; or by a `conflict` of the
    application's, the class of an error or a function of what is raised or returned.
    `delete(session, seen)` deletes two rows that have been updated meanwhile, which has
    to be told, too.

    Sessions are the running test's, which has to ask for `db_concurrency` or
    `db_faults`, or `sessionmaker`'s. The table has to have a row, for `delete` two;
    they are put back. `volatile` names columns that differ each time. A writer who
    waits for the other's lock is waited for `patience` seconds. Raises `CheckFailed`
    for each mistake with its own message, and `CheckRefused` where nothing can be
    checked.
    """
    sessionmaker = sessionmaker or offered("sessionmaker", "sessionmaker")
    bind: Any = sessionmaker.kw.get("bind")
    if bind is None:
        raise CheckRefused.unbound()
    rows = Rows(bind, volatile=volatile, clock=Clock())
    lock = _Lock(model, update, sessionmaker, rows, _told_by(conflict))
    lock.start = await rows.read()
    try:
        await lock.in_turn(patience)
        await rows.put_back(lock.start)
        await lock.at_once(patience)
        if delete is not None:
            await rows.put_back(lock.start)
            await lock.against(delete)
    finally:
        await rows.put_back(lock.start)


class _Lock:
    def __init__(
        self,
        model: type[Any],
        update: Callable[[AsyncSession, Any, int], Awaitable[object]],
        sessionmaker: async_sessionmaker[AsyncSession],
        rows: Rows,
        conflict: Callable[[object], bool],
    ) -> None:
        mapper: Mapper[Any] = inspect(model)
        self.start: Contents = {}
        self._rows = rows
        self._model = model
        self._update = update
        self._sessionmaker = sessionmaker
        self._conflict = conflict
        self._table = str(mapper.local_table.name)  # type: ignore[attr-defined]
        self._version = mapper.version_id_col

    async def at_once(self, patience: float) -> None:
        """Both have read the row before either of them writes."""
        meeting = Meeting(patience=patience)
        seen = [*await self._seen(1), *await self._seen(1)]
        outcomes = await meeting.at_once(
            lambda number: self._write(seen[number - 1], number)
        )
        both = self._winners(outcomes) == [1, 2]
        if both and meeting.met:
            raise self._lost(meeting, at_once=True)
        if both:  # one has waited for the other's lock, and read afterwards
            return
        await self._check_winner(outcomes)

    async def in_turn(self, patience: float) -> None:
        """The second one writes what it has seen before the first one has written."""
        meeting = Meeting(patience=patience)
        seen = [*await self._seen(1), *await self._seen(1)]
        outcomes = await meeting.in_turn(
            lambda number: self._write(seen[number - 1], number)
        )
        if self._winners(outcomes) == [1, 2]:
            raise self._lost(meeting, at_once=False)
        await self._check_winner(outcomes)

    async def against(
        self, delete: Callable[[AsyncSession, Sequence[Any]], Awaitable[object]]
    ) -> None:
        """Two rows are deleted as they were before somebody has updated them."""
        seen = await self._seen(2)
        for each in await self._seen(2):
            await self._write(each, 1)
        before = await self._rows.read()
        try:
            async with self._sessionmaker() as session:
                result = await delete(session, seen)
                await session.commit()
        except Exception as error:
            if not self._conflict(error):
                raise
            return
        if self._conflict(result):
            return
        if await self._rows.read() == before:
            raise CheckFailed.delete_ignored(self._model.__name__)
        raise CheckFailed.delete_won(self._model.__name__)

    async def _seen(self, count: int) -> list[Any]:
        query = select(self._model).limit(count)
        async with self._sessionmaker(expire_on_commit=False) as session:
            found = [*(await session.scalars(query)).unique()]
            session.expunge_all()
        if len(found) < count:
            raise CheckRefused.no_rows(self._model.__name__, count)
        return found

    async def _write(self, seen: object, number: int) -> object:
        async with self._sessionmaker() as session:
            result = await self._update(session, seen, number)
            await session.commit()
        return result

    # ---------------------------------------------------------------------- verdicts
    def _winners(self, outcomes: Sequence[Outcome]) -> list[int]:
        """Who has won; raises CheckRefused for one that failed in any other way."""
        found = []
        for number, (result, error) in enumerate(outcomes, start=1):
            if self._conflict(result if error is None else error):
                continue
            if error is not None or getattr(result, "status_code", 0) >= _FAILS:
                raise CheckRefused.failed(number, error or result) from error
            found.append(number)
        return found

    async def _check_winner(self, outcomes: Sequence[Outcome]) -> None:
        """One has won: the rows have to be what it alone would have made of them."""
        winners = self._winners(outcomes)
        if not winners:
            raise CheckFailed.nobody(self._model.__name__)
        found = self._rows.comparable(await self._rows.read(), self.start)
        await self._rows.put_back(self.start)
        await self._write((await self._seen(1))[0], winners[0])
        alone = self._rows.comparable(await self._rows.read(), self.start)
        lines = differences(alone, found)
        if lines:
            raise CheckFailed.half(self._model.__name__, lines)

    def _lost(self, meeting: Meeting, *, at_once: bool) -> CheckFailed:
        """Both have won: by which mistake."""
        name, second = self._model.__name__, meeting.writes[2]
        own = [each for each in second if names([each], self._table)]
        if not own:
            return CheckFailed.other_tables(name, second)
        if self._version is None:
            return CheckFailed.in_python(name) if at_once else CheckFailed.older(name)
        wheres = [each.upper().partition(" WHERE ")[2] for each in own]
        if not names(wheres, self._version.name.upper()):
            return CheckFailed.bypassed(name, own[0], self._version.name)
        return CheckFailed.not_carried(name)


def _told_by(
    conflict: type[BaseException] | Callable[[object], bool] | None,
) -> Callable[[object], bool]:
    if isinstance(conflict, type):
        return lambda outcome: isinstance(outcome, conflict)
    return conflict or _is_conflict


def _is_conflict(outcome: object) -> bool:
    status = getattr(outcome, "status_code", None)
    if status in _CONFLICTS:
        return True
    if not isinstance(outcome, BaseException):
        return False
    link: BaseException | None = outcome
    while link is not None:
        if isinstance(link, StaleDataError):
            return True
        link = link.__cause__
    condition = classify(outcome)
    return condition is not None and condition.transient
