"""Workers, controllers and their sudden deaths."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_asyncdb.errors import RunEnded
from pytest_asyncdb.provisioning import sweep
from pytest_asyncdb.provisioning._place import Place
from pytest_asyncdb.provisioning._process import Process, processes_in

if TYPE_CHECKING:
    from tests.provisioning.conftest import Attach, Build, MakeRun, Rows


def server_in(directory: Path) -> Process:
    """The process of the server of the run in `directory`."""
    record = Place(directory, "test", owner=False).read("server.json")
    return Process(record["pid"], record["started"])


def test_four_workers_at_once_share_a_server_and_a_template(
    make_run: MakeRun, attach: Attach, rows: Rows, tmp_path: Path
) -> None:
    """One starts and builds, all have a database of their own."""
    log = tmp_path / "builds"
    directory = make_run("postgresql").directory
    workers = [
        attach("postgresql", str(directory), f"gw{number}", BUILDS=str(log))
        for number in range(4)
    ]
    urls = [worker.url for worker in workers]

    assert ["built"] == log.read_text().split()
    assert 4 == len({url.database for url in urls})
    assert [[]] * 4 == [rows(url, "SELECT * FROM t") for url in urls]


def test_the_server_survives_the_worker_that_started_it(
    make_run: MakeRun, attach: Attach
) -> None:
    """Killed between two tests; another worker goes on, and the controller stops it."""
    controller = make_run("postgresql")
    first = attach("postgresql", str(controller.directory), "gw0", "die")
    first.wait()
    second = attach("postgresql", str(controller.directory), "gw1")
    assert second.url
    process = server_in(controller.directory)
    alive = process.alive
    controller.close()

    assert -signal.SIGKILL == first.process.exitcode
    assert alive
    assert not process.alive
    assert not controller.directory.exists()


def test_a_worker_killed_while_it_builds_is_made_up_for(
    make_run: MakeRun, attach: Attach, rows: Rows, tmp_path: Path
) -> None:
    """The next worker drops the half-built template and builds it again."""
    log, controller = tmp_path / "builds", make_run("postgresql")
    directory = str(controller.directory)
    first = attach("postgresql", directory, "gw0", BUILDS=str(log), BUILD_SECONDS="60")
    while not (log.exists() and log.read_text()):
        assert first.process.is_alive()
    first.kill()
    second = attach("postgresql", directory, "gw1", BUILDS=str(log))

    assert [] == rows(second.url, "SELECT * FROM t")
    assert ["built", "built"] == log.read_text().split()


def test_a_worker_killed_while_the_server_starts_is_made_up_for(
    make_run: MakeRun, attach: Attach, rows: Rows
) -> None:
    """The next worker stops what the first one started, and starts again."""
    controller = make_run("postgresql")
    directory = str(controller.directory)
    first = attach("postgresql", directory, "gw0")
    while not (record := controller._place.read("server.json")):
        assert first.process.is_alive()
    first.kill()
    second = attach("postgresql", directory, "gw1")
    answer = rows(second.url, "SELECT * FROM t")
    controller.close()

    assert [] == answer
    assert [] == processes_in(Path(record["data"]), Path(record["program"]))


def test_a_worker_that_comes_after_the_end_is_told(
    make_run: MakeRun, build: Build
) -> None:
    """It starts nothing that nobody would stop."""
    controller = make_run("postgresql")
    late = make_run("postgresql", directory=controller.directory, worker="gw0")
    controller.close()

    with pytest.raises(RunEnded, match="its controller has ended"):
        late.database(build)
    assert not controller.directory.exists()


def test_a_worker_that_leaves_drops_its_database(
    make_run: MakeRun, attach: Attach, builder: type[Build], rows: Rows
) -> None:
    """The server goes on for the others."""
    controller = make_run("postgresql")
    database = controller.database(builder("CREATE TABLE t (id integer)"))
    worker = attach("postgresql", str(controller.directory), "gw0", "leave")
    name = worker.url.database
    worker.wait()
    found = rows(database.url, "SELECT datname FROM pg_database")

    assert (name,) not in found
    assert (database.url.database,) in found


def test_a_killed_controller_is_swept_by_the_next_run(
    make_run: MakeRun, attach: Attach, builder: type[Build]
) -> None:
    """Its server is stopped and its directories are removed."""
    dead = attach("postgresql", "-", "main", "die")
    directory = dead.directory
    dead.wait()
    place, process = Place(directory, "test", owner=False), server_in(directory)
    alive = process.alive
    make_run("postgresql").database(builder("CREATE TABLE t (id integer)"))

    assert alive
    assert not process.alive
    assert not any(path.exists() for path in (directory, place.sockets, place.memory))


def test_a_living_run_is_not_swept(attach: Attach, rows: Rows) -> None:
    """Another run of the same user goes on beside it."""
    living = attach("postgresql", "-", "main")
    url = living.url
    swept = sweep()

    assert str(living.directory) not in swept
    assert [] == rows(url, "SELECT * FROM t")
    living.end()


def test_a_kept_run_is_not_swept(attach: Attach) -> None:
    """The user wanted to look at it."""
    dead = attach("sqlite@file", "-", "main", "die")
    place = Place(dead.directory, "test", owner=False)
    dead.wait()
    place.mark_kept()
    kept = sweep()
    place.forget("kept")
    swept = sweep()

    assert str(place.directory) not in kept
    assert str(place.directory) in swept


def test_an_interrupted_run_leaves_nothing(attach: Attach) -> None:
    """Ctrl-C reaches pytest, not the server, which is closed in the usual way."""
    run = attach("postgresql", "-", "main")
    directory, _ = run.directory, run.url
    process = server_in(directory)
    group = os.getpgid(process.pid)
    run.interrupt()

    assert os.getpgid(0) != group
    assert not process.alive
    assert not directory.exists()


def test_an_interrupt_while_the_server_starts_leaves_nothing(
    attach: Attach, tmp_path: Path
) -> None:
    """The schema is being built when it comes."""
    log = tmp_path / "builds"
    run = attach("postgresql", "-", "main", BUILDS=str(log), BUILD_SECONDS="60")
    directory = run.directory
    while not (log.exists() and log.read_text()):
        assert run.process.is_alive()
    process = server_in(directory)
    run.interrupt()

    assert not process.alive
    assert not directory.exists()


@pytest.mark.parametrize("word", ["sqlite", "sqlite@file"])
def test_a_killed_run_on_sqlite_is_swept(attach: Attach, word: str) -> None:
    """Its directory is removed by the next run of any product."""
    dead = attach(word, "-", "main", "die")
    directory = str(dead.directory)
    dead.wait()

    assert directory in sweep()
    assert not Path(directory).exists()
