"""Sync tests, which need no async plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Table, func, insert, select

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session


@pytest.mark.parametrize("time", ["first", "second"])
def test_a_committed_row_is_gone_in_the_next_test(
    db_sync_session: Session, note: Table, time: str
) -> None:
    """Whichever test comes first, the other one finds the table empty."""
    db_sync_session.execute(insert(note).values(text=time))
    db_sync_session.commit()

    assert [time] == list(db_sync_session.scalars(select(note.c.text)))


def test_a_coroutine_function_runs_in_the_same_transaction(
    db_session: AsyncSession,
    db_sync_session: Session,
    db_run: Callable[..., Any],
    note: Table,
) -> None:
    """What the sync session has committed is there for the async one."""

    async def count(session: AsyncSession) -> int | None:
        return await session.scalar(select(func.count()).select_from(note))

    db_sync_session.execute(insert(note).values(text="sync"))
    db_sync_session.commit()

    assert 1 == db_run(count, db_session)
