"""Results of queries, until what they have read is changed by a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import event
from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.orm import ORMExecuteState, UOWTransaction

T = TypeVar("T")


class Cache:
    """Results by name; each says which tables it has read.

    A table is written in a flush or by a bulk statement, and counts at the commit: what
    is rolled back has changed nothing.
    """

    def __init__(self) -> None:
        self._results: dict[str, tuple[frozenset[str], Any]] = {}
        event.listen(Session, "after_flush", self._flushed)
        event.listen(Session, "do_orm_execute", self._executed)
        event.listen(Session, "after_commit", self._committed)
        event.listen(Session, "after_soft_rollback", self._rolled_back)

    def close(self) -> None:
        """Listen no more."""
        event.remove(Session, "after_flush", self._flushed)
        event.remove(Session, "do_orm_execute", self._executed)
        event.remove(Session, "after_commit", self._committed)
        event.remove(Session, "after_soft_rollback", self._rolled_back)

    async def get(
        self, name: str, tables: set[str], load: Callable[[], Awaitable[T]]
    ) -> T:
        """The result of that name, loaded if nobody has since the last change."""
        if name not in self._results:
            self._results[name] = frozenset(tables), await load()
        result: T = self._results[name][1]
        return result

    def _flushed(self, session: Session, _: UOWTransaction) -> None:
        for each in (*session.new, *session.dirty, *session.deleted):
            self._written(session).add(each.__table__.name)

    def _executed(self, state: ORMExecuteState) -> None:
        if state.is_insert or state.is_update or state.is_delete:
            mapper = state.bind_mapper
            if mapper is not None:
                self._written(state.session).update(t.name for t in mapper.tables)

    def _committed(self, session: Session) -> None:
        written = self._written(session)
        for name, (tables, _) in list(self._results.items()):
            if tables & written:
                del self._results[name]
        written.clear()

    def _rolled_back(self, session: Session, _: object) -> None:
        if not session.in_transaction():
            self._written(session).clear()

    def _written(self, session: Session) -> set[str]:
        tables: set[str] = session.info.setdefault(self, set())
        return tables
