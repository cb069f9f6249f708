"""The running test, as the plugin gives it: its session, and room for examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pytest_asyncdb.errors import StrategyRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

__all__ = ["Counterpart", "Host", "host_of_test", "offer_host", "session_of_test"]

T = TypeVar("T")


class Counterpart(Protocol):
    """Databases of another run, which hold what those of the test's run do."""

    @property
    def name(self) -> str:
        """The word that they were asked for by, without a password."""

    def fresh(self) -> AbstractAsyncContextManager[async_sessionmaker[AsyncSession]]:
        """Sessions on one that is new, and gone afterwards; one of them at a time."""


class Host(Protocol):
    """A test that uses our fixtures."""

    @property
    def session(self) -> AsyncSession:
        """Its session."""

    def run(self, fn: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """The result of a coroutine function, for sync code."""

    def settle(self) -> None:
        """Before the first of several examples: what fixtures wrote is their start."""

    def example(self) -> AbstractContextManager[None]:
        """Around one example: what it writes vanishes."""

    def counterparts(self, words: Sequence[str]) -> Sequence[Counterpart]:
        """Other databases; raises what their names deserve, and starts nothing."""


_offered: Callable[[], Host | None] | None = None


def offer_host(find: Callable[[], Host | None]) -> None:
    """Let strategies use what `find` gives, which is None between tests."""
    global _offered  # noqa: PLW0603
    _offered = find


def host_of_test(
    refusal: Callable[[], StrategyRefused] = StrategyRefused.no_session,
) -> Host:
    """The running test. Raises StrategyRefused where none runs that is ours."""
    host = _offered() if _offered is not None else None
    if host is None:
        raise refusal()
    return host


def session_of_test() -> AsyncSession:
    """The running test's. Raises StrategyRefused where none runs."""
    return host_of_test().session
