"""Columns that many tables have, and what fills them in."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import DateTime, String, event, func
from sqlalchemy.orm import (
    Mapped,
    ORMExecuteState,
    Session,
    mapped_column,
    with_loader_criteria,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import UOWTransaction

current_user: ContextVar[str] = ContextVar("current_user", default="system")


class Keyed:
    """A UUID that is known before the row is written."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)


class Timestamped:
    """When a row was made and when it was changed, by the database's clock."""

    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
    updated_at: Mapped[datetime | None] = mapped_column(
        DateTime(timezone=True), onupdate=func.now()
    )


class SoftDeleted:
    """A row that is hidden instead of deleted."""

    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    def hide(self) -> None:
        """No query finds it any more, unless it is asked to."""
        self.deleted_at = datetime.now(UTC)


class Audited:
    """Who made a row and who changed it last."""

    created_by: Mapped[str] = mapped_column(String(100))
    updated_by: Mapped[str | None] = mapped_column(String(100))


@event.listens_for(Session, "do_orm_execute")
def leave_out_hidden(state: ORMExecuteState) -> None:
    """Each SELECT, also of a relationship; `.execution_options(hidden=True)` asks."""
    if state.is_select and not state.execution_options.get("hidden", False):
        state.statement = state.statement.options(
            with_loader_criteria(
                SoftDeleted, lambda cls: cls.deleted_at.is_(None), include_aliases=True
            )
        )


@event.listens_for(Session, "before_flush")
def sign(session: Session, _: UOWTransaction, __: object) -> None:
    """Write down whose request it is."""
    for new in session.new:
        if isinstance(new, Audited):
            new.created_by = current_user.get()
    for changed in session.dirty:
        if isinstance(changed, Audited) and session.is_modified(changed):
            changed.updated_by = current_user.get()
