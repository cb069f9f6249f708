"""A suite with nothing installed but what the package requires, and aiosqlite."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

METADATA = MetaData()
NOTE = Table(
    "note", METADATA, Column("id", Integer, primary_key=True), Column("text", String)
)


@pytest.fixture(scope="session")
def asyncdb_metadata() -> MetaData:
    """One table."""
    return METADATA


@pytest.fixture
def note() -> Table:
    """The table."""
    return NOTE
