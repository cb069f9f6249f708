"""SQLite in memory and in a file."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_asyncdb.errors import TemplateBuildFailed, WrongSource

if TYPE_CHECKING:
    from tests.provisioning.conftest import Broken, Build, MakeRun, Rows


def test_each_connection_in_memory_is_a_copy_of_its_own(
    make_run: MakeRun, build: Build
) -> None:
    """A row written and committed on one copy is not seen on another."""
    database = make_run("sqlite").database(build)
    one, other = database.open_sqlite(), database.open_sqlite()
    one.execute("INSERT INTO note VALUES (2, 'mine')")

    assert [(1, "seed")] == other.execute("SELECT * FROM note").fetchall()
    one.close()
    other.close()


def test_a_copy_begins_no_transaction_by_itself(
    make_run: MakeRun, build: Build
) -> None:
    """Python's sqlite3 would begin one before an INSERT."""
    connection = make_run("sqlite").database(build).open_sqlite()
    connection.execute("INSERT INTO note VALUES (2, 'mine')")

    assert not connection.in_transaction
    assert connection.isolation_level is None
    connection.close()


def test_the_memory_url_is_planned_without_building(make_run: MakeRun) -> None:
    """The URL is known before the first statement."""
    url = make_run("sqlite").url

    assert "sqlite+aiosqlite" == url.drivername
    assert ":memory:" == url.database


def test_the_template_is_built_once_for_all_workers(
    make_run: MakeRun, build: Build
) -> None:
    """A second worker of the run copies what the first one built."""
    controller = make_run("sqlite")
    for worker in ("gw0", "gw1"):
        run = make_run("sqlite", directory=controller.directory, worker=worker)
        run.database(build).open_sqlite().close()

    assert 1 == build.calls


def test_a_file_has_the_schema_and_the_seed(
    make_run: MakeRun, build: Build, rows: Rows
) -> None:
    """The file at the planned URL is the template's copy."""
    run = make_run("sqlite@file")
    database = run.database(build)

    assert run.url == database.url
    assert [(1, "seed")] == rows(database.url, "SELECT * FROM note")


def test_a_replaced_file_is_like_new(
    make_run: MakeRun, build: Build, rows: Rows
) -> None:
    """What was committed to the file is gone after `replace`."""
    database = make_run("sqlite@file").database(build)
    rows(database.url, "INSERT INTO note VALUES (2, 'mine')")
    database.replace()

    assert [(1, "seed")] == rows(database.url, "SELECT * FROM note")


def test_a_template_in_wal_mode_copies_like_any_other(
    make_run: MakeRun, builder: type[Build], rows: Rows
) -> None:
    """A seed that is only in the write-ahead log is copied too."""
    run = make_run("sqlite@file")
    log = ("COMMIT", "PRAGMA journal_mode=WAL", "BEGIN")
    database = run.database(builder(*log, "CREATE TABLE t (id integer)"))

    assert [] == rows(database.url, "SELECT * FROM t")


def test_the_file_that_a_url_names_is_not_touched(
    make_run: MakeRun, build: Build, rows: Rows, tmp_path: Path
) -> None:
    """A URL says which product and driver; the database is the run's own."""
    named = tmp_path / "app.db"
    with sqlite3.connect(named) as connection:
        connection.execute("CREATE TABLE precious (id integer)")
    connection.close()
    before = named.read_bytes()
    database = make_run(f"sqlite+aiosqlite:///{named}").database(build)

    assert str(named) != database.url.database
    assert [(1, "seed")] == rows(database.url, "SELECT * FROM note")
    assert before == named.read_bytes()


def test_nothing_is_left_of_a_closed_run(make_run: MakeRun, build: Build) -> None:
    """The directory of the run goes with it."""
    run = make_run("sqlite@file")
    run.database(build)
    run.close()

    assert not run.directory.exists()


def test_a_kept_file_stays_and_is_named(make_run: MakeRun, build: Build) -> None:
    """With `keep`, the run says where its database is."""
    run = make_run("sqlite@file", keep=True)
    database = run.database(build)
    run.close()

    assert (database.url.render_as_string(),) == run.kept
    assert Path(str(database.url.database)).exists()
    for path in run.directory.iterdir():
        path.unlink()
    run.directory.rmdir()


@pytest.mark.parametrize("word", ["sqlite", "sqlite@file"])
def test_a_schema_that_raises_leaves_nothing(
    make_run: MakeRun, broken: Broken, word: str
) -> None:
    """The original is the cause, and no half-built template stays."""
    run = make_run(word)
    with pytest.raises(TemplateBuildFailed, match="no such model") as caught:
        run.database(broken)

    assert isinstance(caught.value.__cause__, ValueError)
    assert not list(run.directory.glob("*.sqlite"))


def test_a_failed_build_is_not_tried_again(make_run: MakeRun, broken: Broken) -> None:
    """Each test of a suite gets the same error, at once."""
    run = make_run("sqlite")
    for _ in range(3):
        with pytest.raises(TemplateBuildFailed):
            run.database(broken)

    assert 1 == broken.calls


def test_a_seed_that_violates_a_constraint_is_the_cause(
    make_run: MakeRun, builder: type[Build]
) -> None:
    """The text names the constraint."""
    table = "CREATE TABLE t (id integer PRIMARY KEY)"
    row = "INSERT INTO t VALUES (1)"

    with pytest.raises(TemplateBuildFailed, match=r"UNIQUE constraint failed: t\.id"):
        make_run("sqlite").database(builder(table, row, row))


def test_open_sqlite_is_refused_for_a_file(make_run: MakeRun, build: Build) -> None:
    """The error says which source the database is of."""
    database = make_run("sqlite@file").database(build)

    with pytest.raises(WrongSource, match="'file'"):
        database.open_sqlite()
