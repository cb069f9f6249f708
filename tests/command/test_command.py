"""The command `python -m pytest_asyncdb`, run as users run it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asyncdb.command._ini import configured
from pytest_asyncdb.provisioning._naming import OwnerTag
from pytest_asyncdb.provisioning._place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL

    Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run the command in an empty folder; keywords are variables."""

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if key != "ASYNCDB"}
        done = subprocess.run(
            [sys.executable, "-m", "pytest_asyncdb", *words],
            cwd=tmp_path,
            env=kept | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        sys.stdout.write(done.stdout + done.stderr)
        return done

    return run


def test_what_can_be_had_is_said_with_its_version_and_time(command: Command) -> None:
    """The exit status says that it can."""
    done = command("doctor", "sqlite")

    assert 0 == done.returncode
    assert "sqlite       memory     yes  3." in done.stdout
    assert "s to the first query" in done.stdout


def test_what_cannot_be_had_is_said_with_reason_and_remedy(command: Command) -> None:
    """And so does the exit status; the others are looked at all the same."""
    done = command("doctor", "postgresql:4@embedded", "sqlite")

    assert 1 == done.returncode
    assert "embedded PostgreSQL has no version 4" in done.stdout
    assert "what helps:\n" in done.stdout
    assert "- use one of: postgresql:16@embedded" in done.stdout
    assert "sqlite       memory     yes" in done.stdout


def test_a_reason_that_is_another_s_too_is_told_once(command: Command) -> None:
    """One container engine is missing, not one for each product."""
    nowhere = {"DOCKER_HOST": "unix:///nowhere/engine.sock"}
    done = command("doctor", "--no-start", **nowhere)
    lines = done.stdout.splitlines()
    missing = [line for line in lines if "no container engine answers" in line]

    assert 3 == len(missing)
    assert [False, True, True] == [line.endswith(": see above") for line in missing]
    assert 1 == done.stdout.count("name it in DOCKER_HOST")


def test_without_a_word_everything_is_looked_at(command: Command) -> None:
    """Nobody asked for one of them, so none fails."""
    done = command("doctor", "--no-start")
    found = [tuple(line.split()[:2]) for line in done.stdout.splitlines()]

    assert 0 == done.returncode
    assert ("sqlite", "memory") in found
    assert ("sqlite", "file") in found
    assert ("postgresql", "embedded") in found
    assert ("mariadb", "local") in found


def test_the_variable_is_asked_before_the_ini_file(
    command: Command, tmp_path: Path
) -> None:
    """As pytest does it."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncdb = sqlite@file\n")

    assert "sqlite       file " in command("doctor", "--no-start").stdout
    said = command("doctor", "--no-start", ASYNCDB="sqlite").stdout
    assert "sqlite       memory " in said


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    """As `| head` does; the command has more to say than is read."""
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "pytest_asyncdb", "doctor", "--no-start"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()

        assert first.startswith("sqlite")
        assert "" == process.stderr.read()


def test_without_a_command_the_help_says_what_there_is(command: Command) -> None:
    """With examples, on stderr, as misuse; asked for, it is the command's output."""
    misused, asked = command(), command("--help")

    assert (2, "") == (misused.returncode, misused.stdout)
    assert (0, "") == (asked.returncode, asked.stderr)
    assert misused.stderr == asked.stdout
    for word in ("doctor", "sweep", "templates", "url", "for example:"):
        assert word in asked.stdout


def test_a_misspelt_command_is_misuse(command: Command) -> None:
    """The commands that there are stand in the message."""
    done = command("doctr")

    assert 2 == done.returncode
    assert "'doctr' (choose from" in done.stderr


def test_a_word_that_names_nothing_is_misuse(command: Command) -> None:
    """Exit status 2, as for an option that is not known."""
    done = command("doctor", "oracle")

    assert 2 == done.returncode
    assert "there is no database product 'oracle'" in done.stderr
    assert 2 == command("cure").returncode


def test_no_password_is_shown(command: Command) -> None:
    """A URL is shown without."""
    done = command("doctor", "postgresql+asyncpg://ci:s3cret@127.0.0.1:9/shop")

    assert 1 == done.returncode
    assert "127.0.0.1:9" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


@pytest.fixture
def place_of_runs() -> Iterator[str]:
    """Where nobody else's runs are, and none of ours look; short, for sockets."""
    with tempfile.TemporaryDirectory(prefix="asyncdbtest-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield name


def _left(base: str, *, kept: bool) -> str:
    """The directory in `base` of a run whose process is gone."""
    code = (
        "from pytest_asyncdb.provisioning._place import Place\n"
        "place = Place.make(worker='main', keep=False)\n"
        f"{'place.mark_kept()' if kept else ''}\n"
        "print(place.directory)"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TMPDIR": base},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.mark.parametrize("kept", [False, True])
def test_sweep_removes_what_dead_runs_left(
    command: Command, place_of_runs: str, *, kept: bool
) -> None:
    """What was kept on purpose only when it is asked for."""
    made = _left(place_of_runs, kept=kept)
    first = command("sweep", TMPDIR=place_of_runs).stdout
    second = command("sweep", "--kept", TMPDIR=place_of_runs).stdout

    assert f"removed {made}" in (second if kept else first)
    assert made not in (first if kept else second)


def test_sweep_leaves_what_was_kept_in_another_folder(
    command: Command, place_of_runs: str
) -> None:
    """Another project's, or the user's own where these tests run."""
    kept = _left("/tmp", kept=True)  # noqa: S108 - where runs are that lack a short path
    removed = command("sweep", "--kept", TMPDIR=place_of_runs).stdout

    assert kept not in removed
    shutil.rmtree(kept)


def test_sweep_leaves_living_runs_alone(command: Command) -> None:
    """The process of this test is one."""
    place = Place.make(worker="main", keep=False)
    try:
        assert str(place.directory) not in command("sweep").stdout
        assert place.is_there()
    finally:
        place.remove()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pytest.ini", "[pytest]\nasyncdb = sqlite postgresql:16\n"),
        ("tox.ini", "[pytest]\nasyncdb = sqlite postgresql:16\n"),
        ("setup.cfg", "[tool:pytest]\nasyncdb = sqlite postgresql:16\n"),
        (
            "pyproject.toml",
            "[tool.pytest.ini_options]\nasyncdb = 'sqlite postgresql:16'\n",
        ),
        ("pyproject.toml", "[tool.pytest]\nasyncdb = ['sqlite', 'postgresql:16']\n"),
        ("pytest.toml", "[pytest]\nasyncdb = ['sqlite', 'postgresql:16']\n"),
    ],
)
def test_the_ini_file_is_read_as_pytest_reads_it(
    tmp_path: Path, name: str, said: str
) -> None:
    """From a folder below it, too; a file without the table is passed by."""
    below = tmp_path / "below"
    below.mkdir()
    (below / "tox.ini").write_text("[tox]\n")
    (tmp_path / name).write_text(said)

    assert ["sqlite", "postgresql:16"] == configured(below)["targets"]


def test_no_ini_file_says_nothing(tmp_path: Path) -> None:
    """Or one that names no database."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -q\n")

    assert not any(configured(tmp_path).values())


def test_what_the_ini_file_says_of_servers_is_read_too(tmp_path: Path) -> None:
    """Without it, the command would start other servers than the tests."""
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncdb_container_image = own/image:1\nasyncdb_server_tcp = yes\n"
        "asyncdb_server_options =\n    work_mem = 3MB\n\n    port = 1\n"
    )
    found = configured(tmp_path)

    assert ["own/image:1"] == found["container_image"]
    assert ["work_mem = 3MB", "port = 1"] == found["server_options"]
    assert found["server_tcp"]


@pytest.mark.parametrize("word", ["sqlite@file", "postgresql"])
def test_url_makes_a_database_for_other_tools(
    command: Command, place_of_runs: str, word: str
) -> None:
    """It stays when the command has ended, until what was kept is swept."""
    made = command("url", word, TMPDIR=place_of_runs)
    url = make_url(made.stdout.strip())
    answer = asyncio.run(answer_of(url))
    client = {"sqlite@file": "sqlite3 /", "postgresql": "psql -h /"}[word]
    swept = command("sweep", TMPDIR=place_of_runs).stdout
    swept_kept = command("sweep", "--kept", TMPDIR=place_of_runs).stdout

    assert 1 == answer
    assert [True] == [client in line for line in made.stderr.splitlines()]
    assert "" == swept
    assert swept_kept.startswith(f"removed {place_of_runs}/asyncdb-")


async def answer_of(url: URL) -> object:
    """What a server says at a URL."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        answer = await connection.scalar(text("SELECT 1"))
    await engine.dispose()
    return answer


def test_templates_are_listed_and_dropped(
    command: Command, place_of_runs: str, tmp_path: Path
) -> None:
    """Those of a server that `--asyncdb-reuse` has left; else there are none."""
    (tmp_path / "models.py").write_text(
        "from sqlalchemy import Column, Integer, MetaData, Table\n"
        "metadata = MetaData()\nTable('t', metadata, Column('id', Integer))\n"
    )
    (tmp_path / "test_it.py").write_text("def test_it(db_sync_session): pass\n")
    before = command("templates", "postgresql", TMPDIR=place_of_runs)
    run_tests = [sys.executable, "-m", "pytest", "-q", "--asyncdb=postgresql"]
    subprocess.run(
        [*run_tests, "--asyncdb-reuse", "-oasyncdb_metadata=models:metadata"],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": place_of_runs, "PYTHONPATH": str(tmp_path)},
        check=True,
    )
    listed = command("templates", "postgresql", TMPDIR=place_of_runs)
    dropped = command("templates", "--drop", "postgresql", TMPDIR=place_of_runs)
    after = command("templates", "postgresql", TMPDIR=place_of_runs)
    command("sweep", "--kept", TMPDIR=place_of_runs)

    assert "" == before.stdout
    assert re.match(r"postgresql  asyncdbt_\w+  last used 20", listed.stdout)
    assert re.match(r"postgresql  asyncdbt_\w+  dropped", dropped.stdout)
    assert "" == after.stdout


@pytest.mark.parametrize(("age", "goes"), [("1s", True), ("1h", False)])
def test_what_may_live_elsewhere_goes_by_its_age(
    command: Command, place_of_runs: str, age: str, *, goes: bool
) -> None:
    """Whether a process of another pid namespace lives, nobody can tell."""
    place = Path(place_of_runs) / "asyncdb-abcdefgh"
    place.mkdir(mode=0o700)
    tag = replace(OwnerTag.here(), namespace="pid:[1]").text()
    (place / "owner.json").write_text(tag)
    os.utime(place / "owner.json", (time.time() - 60, time.time() - 60))
    without = command("sweep", TMPDIR=place_of_runs).stdout
    by_age = command("sweep", "--older-than", age, TMPDIR=place_of_runs).stdout

    assert "" == without
    assert goes == (str(place) in by_age)


def test_an_age_that_is_none_is_refused(command: Command) -> None:
    """With those that may be written."""
    done = command("sweep", "--older-than", "soon")

    assert 2 == done.returncode
    assert "'soon' is no age; write 90m, 12h or 7d" in done.stderr
