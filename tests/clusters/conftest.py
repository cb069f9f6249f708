"""Clusters for the tests, each started once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_asyncdb.provisioning import _search
from tests.clusters.galera import PROVIDER, Cluster
from tests.clusters.standby import Pair
from tests.faults.conftest import namespace, site

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["namespace", "site"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path that the servers' account may enter."""
    with tempfile.TemporaryDirectory(prefix="asyncdbtest-", dir="/tmp") as place:
        Path(place).chmod(0o755)
        yield Path(place)


@pytest.fixture
def cluster(folder: Path) -> Iterator[Cluster]:
    """Three nodes of Galera, of which a test may kill some."""
    found = _search.available("mariadb")
    if not PROVIDER.is_file() or not found:
        pytest.skip("no galera library or no mariadb server is installed")
    made = Cluster(folder, found[-1].program)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """A PostgreSQL server, and one that follows it."""
    found = [each for each in _search.available("postgresql") if Pair.fits(each.root)]
    if not found:
        pytest.skip("no PostgreSQL with pg_basebackup is installed")
    with tempfile.TemporaryDirectory(prefix="asyncdbtest-", dir="/tmp") as place:
        Path(place).chmod(0o755)
        made = Pair(Path(place), found[-1].root)
        try:
            made.start()
            yield made
        finally:
            made.stop()
