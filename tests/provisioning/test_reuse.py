"""Templates that later runs use again, and servers that stay for them."""

from __future__ import annotations

import tempfile
import time
from typing import TYPE_CHECKING, Protocol

import pytest

from pytest_asyncdb.errors import CacheRefused, TemplateBuildFailed
from pytest_asyncdb.provisioning import _search, _stored, sweep
from pytest_asyncdb.provisioning._place import Place
from pytest_asyncdb.provisioning._process import Process
from pytest_asyncdb.provisioning._server import stop_server
from pytest_asyncdb.provisioning._stored import Template
from pytest_asyncdb.settings import ServerOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_asyncdb.provisioning import Run
    from tests.provisioning.conftest import Attach, Broken, Build, MakeRun, Rows, Server

    class Again(Protocol):
        """Makes runs that use one server, one after the other."""

        def __call__(self, server: ServerOptions | None = None) -> Run:
            """The next one."""


NOTE = (
    "CREATE TABLE note (id integer PRIMARY KEY, body varchar(20))",
    "INSERT INTO note VALUES (1, 'seed')",
)


@pytest.fixture
def keyed(builder: Callable[..., Build]) -> Callable[[str], Build]:
    """Builders of one table, by their keys."""
    return lambda key: builder(*NOTE, key=key)


@pytest.fixture(params=["postgresql", "mariadb+aiomysql"])
def again(request: pytest.FixtureRequest, make_run: MakeRun) -> Iterator[Again]:
    """Runs on a server that stays; it is swept in the end."""
    product = request.param.partition("+")[0]
    if product == "mariadb" and not _search.available(product):
        pytest.skip("no mariadb server is installed")
    made: list[Run] = []

    def run(server: ServerOptions | None = None) -> Run:
        made.append(make_run(request.param, reuse=True, server=server))
        return made[-1]

    yield run
    for each in made:
        each.close()
    for each in made:
        home: Place = each._source._home  # type: ignore[attr-defined]
        stop_server(home)
        home.remove()


@pytest.fixture
def stored(server: Server) -> Iterator[Callable[[], list[str]]]:
    """Names of the templates on the given server; they go in the end."""

    def names() -> list[str]:
        found = server.sql(
            "SELECT datname FROM pg_database WHERE datname LIKE 'asyncdbt%'"
        )
        return sorted(name for (name,) in found)

    yield names
    for name in names():
        server.sql(f"DROP DATABASE {name}")


@pytest.fixture
def template(
    make_run: MakeRun,
    server: Server,
    stored: Callable[[], list[str]],
    keyed: Callable[[str], Build],
) -> str:
    """The name of the template that a run with the key "one" has left."""
    run = make_run(server.target())
    run.database(keyed("one"))
    run.close()
    (name,) = stored()
    return name


def test_servers_of_two_places_share_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither removes the other's part in memory."""
    here = Place.shared_directory("one")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    there = Place.shared_directory("one")

    assert there.parent != here.parent
    assert there.name != here.name


def test_a_second_run_builds_nothing(
    again: Again, keyed: Callable[[str], Build], rows: Rows
) -> None:
    """The server has stayed, and the template; the first database has gone."""
    first, second = keyed("one"), keyed("one")
    run = again()
    before = run.database(first).url
    rows(before, "INSERT INTO note VALUES (2, 'mine')")
    run.close()
    sweep()
    later = again()
    database = later.database(second)

    assert (1, 0) == (first.calls, second.calls)
    assert before.database != database.url.database
    assert [(1, "seed")] == rows(database.url, "SELECT * FROM note")
    assert 1 == len(later.templates())
    assert database.source in {"embedded", "local"}
    assert not database.durable


def test_another_schema_has_another_template(
    again: Again, keyed: Callable[[str], Build]
) -> None:
    """By its key."""
    builders = [keyed("one"), keyed("two"), keyed("one")]
    for each in builders:
        run = again()
        run.database(each)
        run.close()

    assert [1, 1, 0] == [each.calls for each in builders]
    assert 2 == len(again().templates())


def test_what_has_no_key_is_built_each_time(
    again: Again, builder: Callable[..., Build]
) -> None:
    """Nobody knows what a coroutine function depends on; nothing stays of it."""
    builders = [builder(*NOTE), builder(*NOTE)]
    for each in builders:
        run = again()
        run.database(each)
        run.close()

    assert [1, 1] == [each.calls for each in builders]
    assert [] == again().templates()


def test_a_server_that_has_died_is_started_again(
    again: Again, keyed: Callable[[str], Build], rows: Rows
) -> None:
    """As after a reboot; what it had is built again."""
    first, second = keyed("one"), keyed("one")
    run = again()
    run.database(first)
    home: Place = run._source._home  # type: ignore[attr-defined]
    run.close()
    record = home.read("server.json")
    process = Process(record["pid"], record["started"])
    process.send(9)
    while process.alive:
        time.sleep(0.01)
    url = again().database(second).url

    assert (1, 1) == (first.calls, second.calls)
    assert [(1, "seed")] == rows(url, "SELECT * FROM note")


def test_other_options_are_another_server(
    again: Again, keyed: Callable[[str], Build]
) -> None:
    """And a port with a password stays the same on the same one."""
    tcp = ServerOptions(tcp=True)
    plain, first, second = again(), again(server=tcp), again(server=tcp)
    urls = [each.database(keyed("one")).url for each in (plain, first, second)]

    assert (None, True) == (urls[0].port, bool(urls[1].port and urls[1].password))
    assert (urls[1].port, urls[1].password) == (urls[2].port, urls[2].password)


def test_a_place_that_others_may_write_is_refused(
    make_run: MakeRun, build: Build
) -> None:
    """Its name can be guessed, so somebody else may have made it."""
    run = make_run("postgresql", reuse=True, server=ServerOptions(sql=("SELECT 0",)))
    directory = Place.shared_directory(run._source._key)  # type: ignore[attr-defined]
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)

    with pytest.raises(CacheRefused, match="its mode is 0755"):
        run.database(build)
    directory.rmdir()


# ----------------------------------------------------------------- on a given server
def test_a_given_server_keeps_the_template(
    make_run: MakeRun,
    server: Server,
    stored: Callable[[], list[str]],
    keyed: Callable[[str], Build],
) -> None:
    """It cannot be connected to, is no template of PostgreSQL's, and bears our mark."""
    first, second = keyed("one"), keyed("one")
    run = make_run(server.target())
    run.database(first)
    run.close()
    make_run(server.target()).database(second)
    (name,) = stored()

    assert (1, 0) == (first.calls, second.calls)
    assert [(False, False)] == server.sql(
        f"SELECT datallowconn, datistemplate FROM pg_database WHERE datname = '{name}'"
    )


@pytest.mark.parametrize("mark", [None, "a stranger", "pytest-asyncdb template {}"])
def test_a_template_without_our_mark_is_built_anew(
    make_run: MakeRun,
    server: Server,
    template: str,
    keyed: Callable[[str], Build],
    mark: str | None,
) -> None:
    """Left half-built, or somebody else's."""
    text = "NULL" if mark is None else f"'{mark}'"
    server.sql(f"COMMENT ON DATABASE {template} IS {text}")
    second = keyed("one")
    url = make_run(server.target()).database(second).url

    assert 1 == second.calls
    assert [(1, "seed")] == server.sql("SELECT * FROM note", str(url.database))


def test_a_template_of_another_role_is_not_trusted(
    make_run: MakeRun,
    server: Server,
    template: str,
    keyed: Callable[[str], Build],
) -> None:
    """Who may create databases could lay one out for a superuser's tests."""
    server.sql("CREATE ROLE stranger CREATEDB")
    server.sql(f"ALTER DATABASE {template} OWNER TO stranger")
    second = keyed("one")
    make_run(server.target()).database(second)
    server.sql(f"ALTER DATABASE {template} OWNER TO asyncdb")
    server.sql("DROP ROLE stranger")

    assert 1 == second.calls


def test_a_schema_that_raises_leaves_nothing(
    make_run: MakeRun,
    server: Server,
    stored: Callable[[], list[str]],
    keyed: Callable[[str], Build],
    broken: Broken,
) -> None:
    """And the next run is not kept waiting."""
    broken.key = "one"
    run = make_run(server.target())
    with pytest.raises(TemplateBuildFailed):
        run.database(broken)
    run.close()
    after = stored()
    second = keyed("one")
    make_run(server.target()).database(second)

    assert [] == after
    assert 1 == second.calls


def test_a_killed_builder_is_taken_over_from(
    make_run: MakeRun,
    server: Server,
    stored: Callable[[], list[str]],
    attach: Attach,
) -> None:
    """Its lock ends with its session."""
    word = server.url().render_as_string(hide_password=False)
    killed = attach(word, "-", "main", KEY="slow", BUILD_SECONDS="30")
    assert killed.directory.is_dir()
    while not server.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%TABLE t%'"):
        time.sleep(0.01)
    killed.kill()
    after = attach(word, "-", "main", KEY="slow")
    assert after.url
    after.end()

    assert 1 == len(stored())
    make_run(server.target()).close()


def test_two_runs_at_once_build_one_template(
    server: Server,
    stored: Callable[[], list[str]],
    attach: Attach,
    tmp_path: Path,
) -> None:
    """Of different controllers, on one server."""
    word = server.url().render_as_string(hide_password=False)
    log = tmp_path / "builds"
    runs = [
        attach(word, "-", "main", KEY="both", BUILDS=str(log), BUILD_SECONDS="0.2")
        for _ in range(3)
    ]
    names = {run.url.database for run in runs}
    for run in runs:
        run.end()

    assert ["built"] == log.read_text().split()
    assert 3 == len(names)
    assert 1 == len(stored())


def test_old_templates_go_when_another_is_built(
    make_run: MakeRun,
    server: Server,
    stored: Callable[[], list[str]],
    keyed: Callable[[str], Build],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those that nobody has used for long, and of too many those not used today."""
    monkeypatch.setattr(_stored, "_COUNT", 1)
    names: list[str] = []
    for key in ("old", "idle", "recent"):
        run = make_run(server.target())
        run.database(keyed(key))
        run.close()
        (new,) = set(stored()) - set(names)
        names.append(new)
    ages = {"old": 15, "idle": 2, "recent": 0.5}
    for name, days in zip(names, ages.values(), strict=True):
        then = time.time() - days * 86400
        mark = Template(name, built=then, used=then).text()
        server.sql(f"COMMENT ON DATABASE {name} IS '{mark}'")
    run = make_run(server.target())
    run.database(keyed("new"))

    assert names[2] in stored()
    assert 2 == len(stored())


def test_use_is_noted(
    make_run: MakeRun,
    server: Server,
    template: str,
    keyed: Callable[[str], Build],
) -> None:
    """Once in an hour."""
    then = time.time() - 7200
    mark = Template(template, built=then, used=then).text()
    server.sql(f"COMMENT ON DATABASE {template} IS '{mark}'")
    run = make_run(server.target())
    run.database(keyed("one"))
    (found,) = run.templates()

    assert then == found.built
    assert time.time() - found.used < 60
