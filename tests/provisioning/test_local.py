"""Private servers from programs that the machine has installed."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asyncdb.errors import ServerFailed, SourceUnavailable
from pytest_asyncdb.provisioning import _search
from pytest_asyncdb.provisioning._process import Process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import URL

    from pytest_asyncdb.provisioning import Run
    from tests.provisioning.conftest import Broken, Build, MakeRun, Rows

as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can act as another OS user"
)


def installed(word: str) -> str:
    """The word, or a skip where the machine has no such server."""
    product = word.partition("+")[0].partition("@")[0]
    if not _search.available(product):
        pytest.skip(f"no {product} server is installed")
    return word


@pytest.fixture(params=["postgresql", "mariadb+asyncmy", "mariadb+aiomysql"])
def word(request: pytest.FixtureRequest) -> str:
    """Each product that may be there, through each driver that is new here."""
    return installed(f"{request.param}@local")


@pytest.fixture
def mariadb() -> str:
    """MariaDB, through its first driver."""
    return installed("mariadb@local")


def server_of(run: Run) -> Process:
    """The process of a run's server."""
    record = run._place.read("server.json")
    return Process(record["pid"], record["started"])


def test_a_database_has_the_schema_and_the_seed(
    make_run: MakeRun, build: Build, rows: Rows, word: str
) -> None:
    """The planned URL is the database's."""
    run = make_run(word)
    database = run.database(build)

    assert run.url == database.url
    assert "local" == database.source
    assert [(1, "seed")] == rows(database.url, "SELECT * FROM note")


def test_workers_share_the_server_and_its_template(
    make_run: MakeRun, build: Build, rows: Rows, word: str
) -> None:
    """Each has a database of its own."""
    controller = make_run(word)
    first = controller.database(build)
    second = make_run(word, directory=controller.directory, worker="gw1")
    other = second.database(build)
    rows(other.url, "INSERT INTO note VALUES (2, 'mine')")

    assert 1 == build.calls
    assert [(1, "seed")] == rows(first.url, "SELECT * FROM note")


def test_a_replaced_database_is_like_new(
    make_run: MakeRun, build: Build, rows: Rows, word: str
) -> None:
    """What was committed is gone after `replace`."""
    database = make_run(word).database(build)
    rows(database.url, "INSERT INTO note VALUES (2, 'mine')")
    database.replace()

    assert [(1, "seed")] == rows(database.url, "SELECT * FROM note")


def test_a_closed_run_leaves_neither_process_nor_directory(
    make_run: MakeRun, build: Build, word: str
) -> None:
    """The server ends and its directories go."""
    run = make_run(word)
    run.database(build)
    process, place = server_of(run), run._place
    directories = [run.directory, place.sockets, place.memory]
    before = [path.exists() for path in directories]
    run.close()

    assert [True, True, True] == before
    assert not process.alive
    assert [False, False, False] == [path.exists() for path in directories]


async def left_of_a_temporary_table(
    url: URL, happens: Callable[[], object]
) -> list[tuple[int]]:
    """Its rows, after something has happened beside its session."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        table = "CREATE TEMPORARY TABLE own ENGINE=MyISAM AS SELECT 1 AS id"
        await connection.execute(text(table))
        await asyncio.to_thread(happens)
        found = await connection.execute(text("SELECT * FROM own"))
        await connection.execute(text("DROP TEMPORARY TABLE own"))
    await engine.dispose()
    return [(row.id,) for row in found]


def test_a_server_leaves_the_temporary_files_of_others(
    make_run: MakeRun, build: Build, mariadb: str
) -> None:
    """A server that starts clears its directory of them: each needs one of its own."""
    url = make_run(mariadb).database(build).url
    other = make_run(mariadb)
    left = left_of_a_temporary_table(url, lambda: other.database(build))

    assert [(1,)] == asyncio.run(left)


def test_a_schema_that_raises_leaves_no_database(
    make_run: MakeRun, broken: Broken, build: Build, rows: Rows, mariadb: str
) -> None:
    """DDL commits in MariaDB, so the whole database goes."""
    run = make_run(mariadb)
    with pytest.raises(Exception, match="no such model"):
        run.database(broken)
    worker = make_run(mariadb, directory=run.directory, worker="gw0")
    url = worker.database(build).url

    assert [("note",)] == rows(url, "SHOW TABLES")


def test_an_ended_server_is_said(make_run: MakeRun, build: Build, word: str) -> None:
    """A worker that comes later learns that the server is gone."""
    controller = make_run(word)
    controller.database(build)
    process = server_of(controller)
    process.send(9)
    while process.alive:
        pass
    worker = make_run(word, directory=controller.directory, worker="gw0")

    with pytest.raises(ServerFailed, match="the server of this run has ended"):
        worker.database(build)


@as_root
def test_nothing_is_logged(
    make_run: MakeRun, build: Build, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Drivers for MariaDB pass on what the server has to say to IF EXISTS."""
    make_run(word).database(build)

    assert [] == [each.getMessage() for each in caplog.records]


def test_nobody_else_gets_in(make_run: MakeRun, build: Build, mariadb: str) -> None:
    """Neither through the closed directory, nor as the account that runs the server."""
    client = shutil.which("mariadb")
    if client is None:
        pytest.skip("the command mariadb is not installed")
    run = make_run(mariadb)
    socket = run.database(build).url.query["unix_socket"]
    place = run._place.sockets

    assert 0o700 == stat.S_IMODE(place.stat().st_mode)
    assert "Permission denied" in said_to("daemon", client, str(socket))
    assert "Access denied" in said_to("nobody", client, str(socket))


def said_to(user: str, client: str, socket: str) -> str:
    """What the server, or the system, says to an OS user who claims to be root."""
    done = subprocess.run(
        [
            client,
            "--no-defaults",
            "--user=root",
            f"--socket={socket}",
            "-e",
            "SELECT 1",
        ],
        user=user,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{done.stderr} {os.strerror(13)}" if "(13)" in done.stderr else done.stderr


def test_another_version_names_those_there_are(
    make_run: MakeRun, build: Build, mariadb: str
) -> None:
    """A part of the version is enough to say which."""
    run = make_run("mariadb:5.5@local")

    with pytest.raises(SourceUnavailable, match=r"use one of: mariadb:\d+\.\d+@local"):
        run.database(build)
    assert "mariadb@local" == mariadb


def test_a_machine_without_a_server_says_where_it_looked(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is started or made; the remedies are a package, an engine and a URL."""
    hide_all(monkeypatch, tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'none'}")
    with pytest.raises(SourceUnavailable) as caught:
        make_run("mariadb")

    assert "there is no mariadb here" == caught.value.cause
    assert "no mariadb server is installed" in caught.value.tried[0]
    assert "no container engine answers at unix://" in caught.value.tried[1]
    assert any("mariadb-server" in each for each in caught.value.remedies)
    assert any("mariadb+asyncmy://" in each for each in caught.value.remedies)


def hide_all(monkeypatch: pytest.MonkeyPatch, empty: Path) -> None:
    """Have no program on the PATH, and none in the usual places."""
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setattr(_search, "_MYSQL", ())
    monkeypatch.setattr(_search, "_POSTGRESQL", ())


def test_a_program_that_does_not_run_here_is_passed_by(
    make_run: MakeRun,
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """One of another architecture, say, does not hide what else there is."""
    hide_all(monkeypatch, tmp_path)
    program = tmp_path / "mariadbd"
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(0o755)
    run = make_run("mariadb@local")

    with pytest.raises(SourceUnavailable, match="no mariadb server is installed"):
        run.database(build)


def test_without_the_wheel_the_machines_own_server_is_taken(
    make_run: MakeRun, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where no source was named."""
    installed("postgresql@local")
    monkeypatch.setattr("pytest_asyncdb.provisioning._wheel._PACKAGE", "not_there")
    run = make_run("postgresql")

    assert "local" == run.database(build).source
    with pytest.raises(SourceUnavailable, match="embedded"):
        make_run("postgresql@embedded").database(build)


TABLE = """
    CREATE TABLE item (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20),
        twice INT GENERATED ALWAYS AS (id * 2) VIRTUAL, parent INT,
        FOREIGN KEY (parent) REFERENCES item (id))
"""
TRIGGER = """
    CREATE TRIGGER shouts BEFORE INSERT ON item
    FOR EACH ROW SET NEW.name = concat(NEW.name, '!')
"""
EVERYTHING = (
    TABLE,
    "CREATE VIEW b_first AS SELECT * FROM item",
    "CREATE VIEW a_last AS SELECT name, twice FROM b_first",
    "CREATE SEQUENCE numbers START WITH 5",
    TRIGGER,
    "CREATE FUNCTION half(n INT) RETURNS INT DETERMINISTIC RETURN n / 2",
    "CREATE PROCEDURE both_of() BEGIN SELECT 1; SELECT 2; END",
    "CREATE EVENT late ON SCHEDULE AT '2037-01-01 00:00:00' DO SELECT 1",
    "INSERT INTO item (name, parent) VALUES ('one', 1), ('two', 1)",
)


def test_a_clone_has_all_that_the_template_has(
    make_run: MakeRun, builder: Callable[..., Build], rows: Rows, mariadb: str
) -> None:
    """Views upon views, generated columns, triggers, routines, events, sequences."""
    url = make_run(mariadb).database(builder(*EVERYTHING)).url

    assert [("one!", 2), ("two!", 4)] == rows(url, "SELECT * FROM a_last")
    assert [(5,)] == rows(url, "SELECT NEXT VALUE FOR numbers")
    assert [(3,)] == rows(url, "SELECT half(6)")
    assert [("late",)] == rows(
        url,
        "SELECT event_name FROM information_schema.events"
        " WHERE event_schema = database()",
    )
    rows(url, "INSERT INTO item (name) VALUES ('three')")
    assert [(3, "three!")] == rows(url, "SELECT id, name FROM item WHERE id > 2")
    definition = rows(url, "SHOW CREATE VIEW a_last")[0][1]
    assert "template" not in definition
