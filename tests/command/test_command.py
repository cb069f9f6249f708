"""The command `python -m pytest_asyncdb`, run as users run it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_asyncdb.command._ini import configured
from pytest_asyncdb.provisioning._place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run the command in an empty folder; keywords are variables."""

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {key: text for key, text in os.environ.items() if key != "ASYNCDB"}
        return subprocess.run(
            [sys.executable, "-m", "pytest_asyncdb", *words],
            cwd=tmp_path,
            env=kept | variables,
            capture_output=True,
            text=True,
            check=False,
        )

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
    assert "what helps: use one of: postgresql:16@embedded" in done.stdout
    assert "sqlite       memory     yes" in done.stdout


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


@pytest.mark.parametrize("kept", [False, True])
def test_sweep_removes_what_dead_runs_left(
    command: Command, place_of_runs: str, *, kept: bool
) -> None:
    """What was kept on purpose only when it is asked for."""
    code = (
        "from pytest_asyncdb.provisioning._place import Place\n"
        "place = Place.make(worker='main', keep=False)\n"
        f"{'place.mark_kept()' if kept else ''}\n"
        "print(place.directory)"
    )
    made = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TMPDIR": place_of_runs},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    first = command("sweep", TMPDIR=place_of_runs).stdout
    second = command("sweep", "--kept", TMPDIR=place_of_runs).stdout

    assert f"removed {made}" in (second if kept else first)
    assert made not in (first if kept else second)


def test_sweep_leaves_living_runs_alone(command: Command) -> None:
    """The process of this test is one."""
    place = Place.make(worker="main", keep=False)
    try:
        assert str(place.directory) not in command("sweep").stdout
        assert place.is_there()
    finally:
        place.remove()


@pytest.mark.parametrize(
    ("name", "text"),
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
    tmp_path: Path, name: str, text: str
) -> None:
    """From a folder below it, too; a file without the table is passed by."""
    below = tmp_path / "below"
    below.mkdir()
    (below / "tox.ini").write_text("[tox]\n")
    (tmp_path / name).write_text(text)

    assert ["sqlite", "postgresql:16"] == configured(below)


def test_no_ini_file_says_nothing(tmp_path: Path) -> None:
    """Or one that names no database."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -q\n")

    assert [] == configured(tmp_path)
