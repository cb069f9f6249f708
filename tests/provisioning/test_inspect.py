"""The command that opens a kept database, run by a shell."""

from __future__ import annotations

import shlex
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from pytest_asyncdb.provisioning import _search
from pytest_asyncdb.provisioning._inspect import client_command
from pytest_asyncdb.provisioning._place import Place
from pytest_asyncdb.provisioning._server import stop_server
from pytest_asyncdb.settings import ServerOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.provisioning.conftest import Build, MakeRun

QUERY = "SELECT body FROM note"


@pytest.fixture
def place() -> Iterator[Place]:
    """A run's directory, for the files that the command reads."""
    made = Place.make(worker="main", keep=True)
    yield made
    made.remove()


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("word", ["sqlite@file", "postgresql", "mariadb"])
def test_the_line_opens_the_database(
    make_run: MakeRun, build: Build, word: str, *, tcp: bool
) -> None:
    """Without asking for a password, which it does not show."""
    if word == "mariadb" and not _search.available(word):
        pytest.skip("no mariadb server is installed")
    if word == "sqlite@file" and (tcp or not shutil.which("sqlite3")):
        pytest.skip("the command sqlite3 is not installed")
    run = make_run(word, keep=True, server=ServerOptions(tcp=tcp))
    url = run.database(build).url
    run.close()
    (line,) = run.clients
    option = {"sqlite@file": "", "postgresql": "-Atc", "mariadb": "-Ne"}[word]
    done = subprocess.run(  # noqa: S602 - the line is for a shell
        f"{line} {option} {shlex.quote(QUERY)}",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    stop_server(run._place)
    run._place.remove()

    assert "seed" == done.stdout.strip(), done.stderr
    assert url.password is None or str(url.password) not in line


@pytest.mark.parametrize(
    ("url", "words", "secret"),
    [
        (
            "postgresql+asyncpg://me:a:b%5C@host/shop",
            ["-h", "host", "-p", "5432", "-U", "me", "shop"],
            "host:5432:shop:me:a\\:b\\\\\n",
        ),
        (
            "mysql+aiomysql://me:a%22b%5C@host:3307/shop",
            ["--user=me", "--host=host", "--port=3307", "--protocol=tcp", "shop"],
            '[client]\npassword="a\\"b\\\\"\n',
        ),
    ],
)
def test_passwords_are_in_a_file_that_only_its_owner_reads(
    place: Place, url: str, words: list[str], secret: str
) -> None:
    """Whatever is in them."""
    line = client_command(make_url(url), place, None)
    (file,) = [*place.directory.glob("pgpass.*"), *place.directory.glob("*.cnf")]

    assert words == shlex.split(line)[-len(words) :]
    assert str(file) in line
    assert secret == file.read_text()
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
