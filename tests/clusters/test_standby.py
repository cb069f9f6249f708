"""A hot standby: refused where tests write, and read as the test's own database."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import URL

from pytest_asyncdb.errors import DatabaseRefused
from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.settings import parse_target
from tests.faults.conftest import ended
from tests.provisioning.conftest import Build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clusters.standby import Pair
    from tests.faults.conftest import Site


def word(url: URL, **changes: Any) -> str:
    """A URL as a user would give it."""
    return url.set(**changes).render_as_string(hide_password=False)


@pytest.fixture
def after(pair: Pair) -> Iterator[None]:
    """Nothing of ours is there any more."""
    yield

    assert [] == [name for name in pair.databases() if "asyncdbt_" not in name]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_a_standby_is_refused(pair: Pair, driver: str) -> None:
    """Before anything is asked of it that it would refuse in its own words."""
    run = Run(parse_target(word(pair.standby, drivername=f"postgresql+{driver}")))
    with pytest.raises(DatabaseRefused) as refused:
        run.database(Build("CREATE TABLE note (id integer)"))
    run.close()

    assert f"127.0.0.1:{pair.ports[1]}/postgres takes no writes" in str(refused.value)
    assert "give the URL of the primary" in str(refused.value)


@pytest.mark.usefixtures("after")
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_the_primary_is_found_among_several_hosts(pair: Pair, driver: str) -> None:
    """Drivers would ask the standby for a database of which it does not know yet."""
    hosts = tuple(f"127.0.0.1:{port}" for port in reversed(pair.ports))
    plain = URL.create(f"postgresql+{driver}", "tester", database="postgres")
    run = Run(parse_target(word(plain, query={"host": hosts})))
    try:
        database = run.database(Build("CREATE TABLE note (id integer)"))
        assert pair.ports[0] == database.url.port
        assert database.url == run.url
    finally:
        run.close()


@pytest.mark.usefixtures("after")
def test_an_engine_for_the_replica_reads_what_the_test_wrote(
    pair: Pair, site: Site
) -> None:
    """It joins where the project says so; the real standby would know nothing of it."""
    code = f"""
        from models import User
        from sqlalchemy import func, insert, select
        from sqlalchemy.ext.asyncio import create_async_engine

        primary = create_async_engine("{word(pair.primary)}")
        replica = create_async_engine("{word(pair.standby)}")

        async def test_it(db_session):
            async with primary.begin() as connection:
                await connection.execute(insert(User).values(name="ann"))
            async with replica.connect() as connection:
                found = await connection.scalar(select(func.count()).select_from(User))
            assert 1 == found
    """
    (site.folder / "test_it.py").write_text(textwrap.dedent(code))
    joins = "def joins(engine):\n    return True\n"
    (site.folder / "capture.py").write_text(joins)
    primary = f"--asyncdb={word(pair.primary)}"
    refused = ended(site.start(primary))
    joined = ended(site.start(primary, "-o", "asyncdb_capture=capture:joins"))

    assert "asyncdb_capture" in refused
    assert "1 passed" in joined, joined
