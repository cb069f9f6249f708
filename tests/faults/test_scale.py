"""Many workers, and several runs at once on one server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asyncdb.provisioning import Run, _search
from pytest_asyncdb.settings import parse_target
from tests.faults.conftest import ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tests.faults.conftest import Site


class Empty:
    """Builds nothing."""

    key = None

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Leave the database empty."""


@pytest.fixture(params=["postgresql", "mariadb"])
def word(request: pytest.FixtureRequest) -> str:
    """Each product that a server of our own can be started of."""
    if request.param == "mariadb" and not _search.available("mariadb"):
        pytest.skip("no mariadb server is installed")
    return str(request.param)


@pytest.fixture
def server(word: str) -> Iterator[URL]:
    """A server that the runs share."""
    with contextlib.closing(Run(parse_target(word))) as run:
        yield run.database(Empty()).url


async def databases_of_runs(url: URL) -> list[str]:
    """Names of those that are there besides the server's own."""
    table = "pg_database" if url.get_backend_name() == "postgresql" else None
    sql = (
        f"SELECT datname FROM {table}"
        if table
        else "SELECT schema_name FROM information_schema.schemata"
    )
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = [str(name) for (name,) in await connection.execute(text(sql))]
    await engine.dispose()
    family = str(url.database).rpartition("_")[0]
    return [
        name
        for name in found
        if name.startswith("asyncdb") and not name.startswith(family)
    ]


@pytest.mark.parametrize("distribution", ["load", "loadscope", "worksteal"])
def test_eight_workers_share_one_template(
    site: Site, word: str, distribution: str
) -> None:
    """On however few cores; none fails, and nothing stays."""
    run = site.start(
        *("-n8", f"--dist={distribution}", f"--asyncdb={word}"), tests=200, seconds=0
    )
    output = ended(run)

    assert "200 passed" in output
    assert 1 == site.builds
    assert [] == site.left()


def test_two_runs_at_once_on_one_server_never_meet(site: Site, server: URL) -> None:
    """Each with eight workers and databases of its own, which go with it."""
    word = f"--asyncdb={server.render_as_string(hide_password=False)}"
    runs = [site.start("-n8", word, tests=1000, seconds=0) for _ in range(2)]
    outputs = [ended(run) for run in runs]

    assert ["1000 passed"] * 2 == [
        "1000 passed" if "1000 passed" in each else each for each in outputs
    ]
    assert 2 == site.builds
    assert [] == asyncio.run(databases_of_runs(server))
