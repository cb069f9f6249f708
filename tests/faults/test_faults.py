"""What dies while tests run; the next run passes, and nothing of ours is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from pytest_asyncdb.errors import SourceUnavailable
from pytest_asyncdb.provisioning import _search
from pytest_asyncdb.provisioning._engine import connected
from tests.faults.conftest import PATIENCE, ended

if TYPE_CHECKING:
    from tests.faults.conftest import Door, Site

FILL = """
from sqlalchemy import text

async def test_fill(db_session):
    more = "SELECT md5(number::text) FROM generate_series(1, 10000000) number"
    await db_session.execute(text(f"CREATE TABLE filled AS {more}"))
"""


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> str:
    """Each product that a server of our own can be started of."""
    if request.param == "mariadb" and not _search.available("mariadb"):
        pytest.skip("no mariadb server is installed")
    return f"--asyncdb={request.param}"


def kill(pid: int) -> None:
    """Kill -9, and wait until nobody sees the process any more."""
    process = psutil.Process(pid)
    process.kill()
    process.wait(PATIENCE)


def test_a_worker_is_killed(site: Site, database: str) -> None:
    """Xdist starts another one; its run leaves nothing, the killed one's neither."""
    run = site.start("-n2", database)
    workers = site.wait_for(4)
    os.kill(workers[0], 9)
    output = ended(run)

    assert "1 failed, 39 passed" in output or "crashed" in output
    assert [] == site.left()
    site.passes("-n2", database)
    assert [] == site.left()


def test_the_controller_is_killed(site: Site, database: str) -> None:
    """Its workers end by themselves; what it owned goes with the next run."""
    run = site.start("-n2", database)
    workers = site.wait_for(4)
    run.kill()
    ended(run)
    for worker in workers:
        if psutil.pid_exists(worker):
            psutil.Process(worker).wait(PATIENCE)
    site.passes("-n2", database)

    assert [] == site.left()


def test_the_server_is_killed(site: Site, database: str) -> None:
    """The tests fail, each in its time; the run ends and leaves nothing."""
    run = site.start("-n2", database)
    site.wait_for(4)
    site.server.kill()
    output = ended(run)

    assert 1 == run.returncode
    assert "failed" in output
    assert [] == site.left()
    site.passes("-n2", database)
    assert [] == site.left()


@pytest.fixture
def container() -> str:
    """The word for a server in a container."""
    try:
        with connected() as engine:
            if not any("/postgres:" in f"/{name}" for name in engine.images()):
                pytest.skip("the engine has no image of postgres")
    except SourceUnavailable as error:
        pytest.skip(error.cause)
    return "--asyncdb=postgresql@container"


def kill_container(site: Site) -> str:
    """Kill the container of the only run; its name."""
    (record,) = site.place.glob("asyncdb-*/container.json")
    name = str(json.loads(record.read_text())["name"])
    with connected() as engine:
        container = engine.find(name)
        assert container is not None
        container.kill()
    return name


def is_there(name: str) -> bool:
    """Whether the engine knows a container, in whatever state."""
    with connected() as engine:
        return engine.find(name) is not None


def test_the_container_is_killed(site: Site, container: str) -> None:
    """As the server is; the container is removed though it has ended."""
    run = site.start("-n2", container)
    site.wait_for(4)
    name = kill_container(site)
    output = ended(run)

    assert 1 == run.returncode
    assert "failed" in output
    assert [] == site.left()
    assert not is_there(name)
    site.passes("-n2", container)
    assert [] == site.left()


def test_the_engine_is_stopped(site: Site, container: str, engine: Door) -> None:
    """Its containers end with it, and it removes none; a run that finds it again does.

    The one that stays is named at the run's end.
    """
    run = site.start("-n2", container, DOCKER_HOST=engine.host)
    site.wait_for(4)
    engine.close()
    name = kill_container(site)
    output = ended(run)

    assert 1 == run.returncode
    assert f"container {name}" in output
    assert is_there(name)
    site.passes("-n2", container)
    assert [] == site.left()
    assert not is_there(name)


def test_the_disk_runs_full(site: Site, small_memory: str) -> None:
    """The test that needs more room fails; the run ends and leaves nothing."""
    (site.folder / "test_fill.py").write_text(FILL)
    run = site.start("--asyncdb=postgresql", before=small_memory, tests=5)
    output = ended(run)

    assert 1 == run.returncode
    assert "No space left on device" in output or "DiskFull" in output, output
    assert [] == site.left()
    (site.folder / "test_fill.py").unlink()
    site.passes("--asyncdb=postgresql")
    assert [] == site.left()


def test_a_run_without_workers_is_killed(site: Site, database: str) -> None:
    """It was controller and worker at once."""
    run = site.start(database)
    site.wait_for(2)
    run.kill()
    ended(run)
    site.passes(database)

    assert [] == site.left()


def test_another_pid_namespace_leaves_a_living_run_alone(
    site: Site, database: str, namespace: str
) -> None:
    """From there its process cannot be seen; unknown means alive."""
    run = site.start("-n2", database, tests=60)
    site.wait_for(2)
    beside = site.start("-n2", database, tests=5, before=namespace)
    outputs = ended(beside), ended(run)

    assert [0, 0] == [beside.returncode, run.returncode], outputs
    assert [] == site.left()


def test_what_died_in_another_pid_namespace_is_left_alone(
    site: Site, namespace: str
) -> None:
    """Nobody here can know that it died: that takes a word with an age."""
    run = site.start("--asyncdb=postgresql", before=namespace)
    site.wait_for(2)
    run.kill()
    ended(run)
    time.sleep(0.2)  # the namespace ends with its first process
    site.passes("--asyncdb=postgresql")
    stays = [each for each in site.place.glob("asyncdb-*") if each.suffix != ".s"]
    swept = subprocess.run(
        [sys.executable, "-m", "pytest_asyncdb", "sweep", "--older-than", "0s"],
        env=os.environ | {"TMPDIR": str(site.place)},
        check=True,
        capture_output=True,
        text=True,
    )

    assert 1 == len(stays)
    assert f"removed {stays[0]}" in swept.stdout
    assert [] == site.left()
