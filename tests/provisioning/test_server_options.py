"""What a project says of the servers that its runs start."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from pytest_asyncdb.errors import DatabaseFailed, ServerFailed
from pytest_asyncdb.provisioning import Run, _private, _search
from pytest_asyncdb.settings import ServerOptions, parse_target

if TYPE_CHECKING:
    from sqlalchemy import URL

    from tests.provisioning.conftest import Build, MakeRun, Rows

SQL = {
    "postgresql": ("CREATE ROLE reporter", "SELECT rolname FROM pg_roles"),
    "mariadb": ("CREATE ROLE reporter", "SELECT user FROM mysql.user"),
}
LIMIT = {
    "postgresql": ("work_mem", "3MB", "SHOW work_mem"),
    "mariadb": ("lock_wait_timeout", "33", "SELECT CONCAT(@@lock_wait_timeout, '')"),
}


@pytest.fixture(params=["postgresql", "postgresql+psycopg", "mariadb+aiomysql"])
def word(request: pytest.FixtureRequest) -> str:
    """Each product, from the first source that has it."""
    product = request.param.partition("+")[0]
    if product == "mariadb" and not _search.available(product):
        pytest.skip("no mariadb server is installed")
    return str(request.param)


def product_of(word: str) -> str:
    """The product in a word."""
    return word.partition("+")[0]


def accepts(port: int | None) -> bool:
    """Whether somebody listens on a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port or 0)) == 0


def error_without_password(rows: Rows, url: URL) -> str:
    """What the server says to somebody who does not know it."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each driver has its own
        rows(url.set(password="wrong"), "SELECT 1")
    return str(caught.value)


def test_a_setting_of_the_projects_is_above_ours(
    make_run: MakeRun, build: Build, rows: Rows, word: str
) -> None:
    """And the others stay."""
    name, value, question = LIMIT[product_of(word)]
    run = make_run(word, server=ServerOptions(options={name: value}))

    assert [(value,)] == rows(run.database(build).url, question)


@pytest.mark.parametrize(("workers", "admits"), [(1, 200), (100, 420)])
def test_a_server_admits_what_the_workers_need(
    build: Build, rows: Rows, word: str, workers: int, admits: int
) -> None:
    """However many they are."""
    with contextlib.closing(Run(parse_target(word), workers=workers)) as run:
        url = run.database(build).url
        question = {"postgresql": "SHOW max_connections"}
        sql = question.get(product_of(word), "SELECT @@max_connections")

        assert admits == int(rows(url, sql)[0][0])


def test_a_setting_that_the_server_refuses_is_in_its_log(
    make_run: MakeRun, build: Build, word: str
) -> None:
    """Which the error shows."""
    run = make_run(word, server=ServerOptions(options={"no_such_thing": "1"}))

    with pytest.raises(ServerFailed, match=r"no.such.thing"):
        run.database(build)


def test_statements_of_the_projects_run_once(
    make_run: MakeRun, build: Build, rows: Rows, word: str
) -> None:
    """Before any database is made, by whoever starts the server."""
    statement, question = SQL[product_of(word)]
    options = ServerOptions(sql=(statement,))
    controller = make_run(word, server=options)
    url = controller.database(build).url
    worker = make_run(
        word, directory=controller.directory, worker="gw0", server=options
    )
    worker.database(build)

    assert ("reporter",) in rows(url, question)


def test_a_statement_that_fails_ends_the_server(
    make_run: MakeRun, build: Build, word: str
) -> None:
    """The error names the setting, and nothing stays."""
    run = make_run(word, server=ServerOptions(sql=("CREATE NONSENSE",)))

    with pytest.raises(DatabaseFailed, match="running asyncdb_server_sql failed"):
        run.database(build)
    assert not run._place.sockets.exists()


def test_on_request_there_is_a_port_with_a_password(
    make_run: MakeRun, build: Build, rows: Rows, word: str
) -> None:
    """The URL that was planned holds both; another password does not open it."""
    run = make_run(word, server=ServerOptions(tcp=True))
    planned = run.url
    url = run.database(build).url
    open_before = accepts(url.port)
    said = error_without_password(rows, url)
    found = rows(url, "SELECT * FROM note")
    record = run.directory / "door.json"
    mode = record.stat().st_mode & 0o777
    run.close()

    assert planned == url
    assert "127.0.0.1" == url.host
    assert [(1, "seed")] == found
    assert "password" in said.lower() or "Access denied" in said
    assert 0o600 == mode
    assert open_before
    assert not accepts(url.port)


def test_workers_share_the_port(
    make_run: MakeRun, build: Build, rows: Rows, word: str
) -> None:
    """And its password."""
    options = ServerOptions(tcp=True)
    controller = make_run(word, server=options)
    first = controller.database(build).url
    worker = make_run(
        word, directory=controller.directory, worker="gw0", server=options
    )
    second = worker.database(build).url

    assert (first.port, first.password) == (second.port, second.password)
    assert [(1, "seed")] == rows(second, "SELECT * FROM note")


def test_a_port_that_was_taken_meanwhile_is_no_error(
    make_run: MakeRun,
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
    word: str,
) -> None:
    """Another one is tried."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter([taken.getsockname()[1], _private.free_port()])
        monkeypatch.setattr(_private, "free_port", lambda: next(ports))
        run = make_run(word, server=ServerOptions(tcp=True))
        url = run.database(build).url

    assert taken.fileno() == -1
    assert [] == list(ports)
    assert url.port


def test_the_password_is_shown_nowhere(make_run: MakeRun, build: Build) -> None:
    """Neither by the run nor by its database."""
    run: Run = make_run("postgresql", server=ServerOptions(tcp=True))
    database = run.database(build)

    assert str(database.url.password) not in f"{run!r} {database!r} {database.url}"
