"""Where the application finds its database."""

from __future__ import annotations

import os
from dataclasses import dataclass

DEVELOPMENT_URL = "sqlite+aiosqlite:///blog.db"


@dataclass(frozen=True)
class Settings:
    """What differs between a laptop and production."""

    database_url: str

    @classmethod
    def from_environment(cls) -> Settings:
        """Read DATABASE_URL, or fall back to a developer's file."""
        return cls(os.environ.get("DATABASE_URL", DEVELOPMENT_URL))
