"""The schema of a project whose migrations say what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_asyncdb.migrations._config import fingerprint, load
from pytest_asyncdb.migrations._runner import Runner

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["UpgradeHead"]


@dataclass(frozen=True)
class UpgradeHead:
    """Upgrades an empty database to all heads."""

    config: Any
    """Of Alembic; a template is made of all files in its folder."""

    @classmethod
    def of(cls, given: object, root: Path) -> Self:
        """What `asyncdb_alembic_config` names; raises `AlembicConfigRefused`."""
        return cls(load(given, root))

    async def __call__(self, connection: AsyncConnection) -> None:
        """Let env.py connect to the connection's database, and migrate it."""
        await Runner(self.config, connection.engine.url).upgrade("heads")

    def material(self, drivername: str) -> str | None:
        """The migrations' files."""
        return f"{drivername}\n{fingerprint(self.config)}"
