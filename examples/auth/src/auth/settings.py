"""What differs between a laptop and production."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Settings:
    """Where the database is, and what tokens are signed with."""

    database_url: str = "sqlite+aiosqlite:///auth.db"
    secret: str = "for development only, as everybody can read it here"  # noqa: S105
    lifetime: timedelta = timedelta(minutes=30)

    @classmethod
    def from_environment(cls) -> Settings:
        """Read AUTH_DATABASE_URL and AUTH_SECRET, where they are set."""
        return cls(
            database_url=os.environ.get("AUTH_DATABASE_URL", cls.database_url),
            secret=os.environ.get("AUTH_SECRET", cls.secret),
        )
