"""Protocols and aliases that users and the packages share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

__all__ = ["SchemaBuilder", "SchemaFunction", "Seed"]

SchemaFunction: TypeAlias = "Callable[[AsyncConnection], Awaitable[None]]"
"""What `asyncdb_schema` gives: a coroutine function that builds the schema."""

Seed: TypeAlias = "Callable[[AsyncSession], Awaitable[None]]"
"""What `asyncdb_seed` gives: a coroutine function that adds the first rows."""


class SchemaBuilder(Protocol):
    """Builds the schema and the seed rows of a template."""

    @property
    def key(self) -> str | None:
        """Hash material of all that is built; None where it cannot be known."""

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Build on `connection`, inside a transaction that the caller commits."""
