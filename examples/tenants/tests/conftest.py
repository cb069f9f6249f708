"""The tables of both bases."""

from __future__ import annotations

import pytest
from sqlalchemy import MetaData

from tenants.models import NAMES, Owned, Shared


@pytest.fixture(scope="session")
def asyncdb_metadata() -> MetaData:
    """In one, for the checks that compare models with what migrations make."""
    both = MetaData(naming_convention=NAMES)
    for metadata in (Shared.metadata, Owned.metadata):
        for table in metadata.tables.values():
            table.to_metadata(both)
    return both
