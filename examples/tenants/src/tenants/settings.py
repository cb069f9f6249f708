"""Where the two servers are; in production the variables are set by the platform."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The server that is written, and the one that follows it."""

    primary_url: str = "postgresql+asyncpg://app@primary.internal/app"
    replica_url: str = "postgresql+asyncpg://app@replica.internal/app"

    @classmethod
    def from_environment(cls) -> Settings:
        """Read PRIMARY_URL and REPLICA_URL."""
        return cls(
            os.environ.get("PRIMARY_URL", cls.primary_url),
            os.environ.get("REPLICA_URL", cls.replica_url),
        )
