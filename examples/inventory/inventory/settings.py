"""Where the database is; in production the variable is not set."""

from __future__ import annotations

import os

PRODUCTION = "postgresql+asyncpg://inventory:secret@db.internal/inventory"


def database_url() -> str:
    return os.environ.get("INVENTORY_DATABASE_URL", PRODUCTION)


def audit_schema() -> str | None:
    """Only PostgreSQL has schemas inside of a database."""
    return "audit" if database_url().startswith("postgresql") else None
