"""The session of the running test, as the plugin gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.errors import StrategyRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["offer_session", "session_of_test"]

_offered: Callable[[], AsyncSession | None] | None = None


def offer_session(find: Callable[[], AsyncSession | None]) -> None:
    """Let `db_persist` use what `find` gives, which is None between tests."""
    global _offered  # noqa: PLW0603
    _offered = find


def session_of_test() -> AsyncSession:
    """The running test's. Raises StrategyRefused where none runs."""
    session = _offered() if _offered is not None else None
    if session is None:
        raise StrategyRefused.no_session()
    return session
