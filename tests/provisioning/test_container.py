"""Servers in containers, on the engine that DOCKER_HOST names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_asyncdb.errors import LeftBehind, ServerFailed, SourceUnavailable
from pytest_asyncdb.provisioning import _container, _engine, _images, sweep
from pytest_asyncdb.settings import ServerOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker.models.containers import Container

    from pytest_asyncdb.provisioning import Run
    from tests.provisioning.conftest import Attach, Build, MakeRun, Rows

WORDS: Final = ["postgresql", "postgresql+psycopg", "mariadb", "mariadb+aiomysql"]
COMMON: Final = "asyncdbtest/server"
INSIDE: Final = Path("/.dockerenv").exists()
"""Whether these tests run in a container themselves, where 127.0.0.1 is another one."""


@pytest.fixture(scope="module")
def docker() -> Iterator[Any]:
    """The engine's own client; the tests are skipped where there is no engine."""
    try:
        with _engine.connected() as engine:
            yield engine._docker
    except SourceUnavailable as error:
        pytest.skip(error.cause)


@pytest.fixture(params=WORDS)
def word(request: pytest.FixtureRequest, docker: Any) -> str:
    """Each product that there is an image of, through each of its drivers."""
    product = request.param.partition("+")[0].replace("postgresql", "postgres")
    tags = [tag for image in docker.images.list() for tag in image.tags]
    if not any(f"/{product}:" in f"/{tag}" for tag in tags):
        pytest.skip(f"the engine has no image of {product}")
    return f"{request.param}@container"


@pytest.fixture
def postgres(docker: Any) -> str:
    """The name of an image of PostgreSQL."""
    tags = [tag for image in docker.images.list() for tag in image.tags]
    found = [tag for tag in tags if "/postgres:" in f"/{tag}"]
    if not found:
        pytest.skip("the engine has no image of postgres")
    return str(found[0])


@pytest.fixture
def image_of(docker: Any, postgres: str) -> Iterator[Callable[[str, str], str]]:
    """Images like another, which begin with something else."""
    names: list[str] = []

    def make(tag: str, entrypoint: str) -> str:
        container = docker.containers.create(postgres)
        container.commit(COMMON, tag, changes=f"ENTRYPOINT {entrypoint}")
        container.remove()
        names.append(f"{COMMON}:{tag}")
        return names[-1]

    yield make
    for name in names:
        docker.images.remove(name)


@pytest.fixture
def idle(image_of: Callable[[str, str], str]) -> str:
    """An image whose containers run, and never serve anything."""
    return image_of("idle", '["sh", "-c", "sleep 99"]')


def name_of(run: Run) -> str:
    """The name of a run's container."""
    return f"asyncdb-{run._place.short}"


def containers(docker: Any, *runs: Run) -> list[Container]:
    """The containers of those runs, whatever their state."""
    names = {name_of(run) for run in runs}
    return [each for each in docker.containers.list(all=True) if each.name in names]


def test_a_database_has_the_schema_and_the_seed(
    make_run: MakeRun, build: Build, rows: Rows, word: str
) -> None:
    """The planned URL is the database's, though it has a port."""
    run = make_run(word)
    planned = run.url
    database = run.database(build)

    assert planned == database.url
    assert "container" == database.source
    assert [(1, "seed")] == rows(database.url, "SELECT * FROM note")


def test_workers_share_the_container_and_its_template(
    make_run: MakeRun, build: Build, rows: Rows, docker: Any, word: str
) -> None:
    """Each has a database of its own, and only the controller ends the container."""
    controller = make_run(word)
    first = controller.database(build)
    second = make_run(word, directory=controller.directory, worker="gw1")
    other = second.database(build)
    rows(other.url, "INSERT INTO note VALUES (2, 'mine')")
    found = rows(first.url, "SELECT * FROM note")
    second.close()
    during = containers(docker, controller)
    controller.close()

    assert 1 == build.calls
    assert [(1, "seed")] == found
    assert 1 == len(during)
    assert [] == containers(docker, controller)


def test_a_password_is_asked_for_and_no_other_host_is_served(
    make_run: MakeRun, docker: Any, postgres: str
) -> None:
    """It is random, and where it is written down only its owner may read."""
    run = make_run("postgresql@container")
    url = run.url
    record = run.directory / "container.json"
    (container,) = containers(docker, run)
    container.reload()
    ports = container.attrs["NetworkSettings"]["Ports"]["5432/tcp"]

    assert 20 < len(str(url.password))
    assert str(url.password) in record.read_text()
    assert 0o600 == record.stat().st_mode & 0o777
    assert INSIDE or ["127.0.0.1"] == [each["HostIp"] for each in ports]
    assert str(url.password) not in repr(run)


def test_data_are_in_memory_and_nothing_syncs(
    make_run: MakeRun, build: Build, rows: Rows, docker: Any, postgres: str
) -> None:
    """The directory in which the data are is that of the tmpfs."""
    run = make_run("postgresql@container")
    url = run.database(build).url
    (container,) = containers(docker, run)

    assert [("/asyncdb/data",)] == rows(url, "SHOW data_directory")
    assert [("off",)] == rows(url, "SHOW fsync")
    assert b"tmpfs" in container.exec_run("stat -f -c %T /asyncdb/data").output


def test_a_container_that_ends_shows_its_log_at_once(
    make_run: MakeRun, docker: Any, postgres: str
) -> None:
    """It is not waited for, and it does not stay."""
    nonsense = ServerOptions(options={"shared_buffers": "nonsense"})
    run = make_run("postgresql@container", server=nonsense)
    began = time.monotonic()
    with pytest.raises(ServerFailed, match="ended with exit code 1") as caught:
        _ = run.url

    assert time.monotonic() - began < _container._TIMEOUT / 4
    assert any("shared_buffers" in each for each in caught.value.tried)
    assert [] == containers(docker, run)


def test_a_container_that_serves_nothing_is_given_up(
    make_run: MakeRun, docker: Any, idle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what was tried, and it does not stay."""
    monkeypatch.setattr(_container, "_TIMEOUT", 1.0)
    run = make_run("postgresql@container", server=ServerOptions(image=idle))

    with pytest.raises(ServerFailed, match=r"it did not answer within 1 s: \w"):
        _ = run.url
    assert [] == containers(docker, run)


def test_a_container_that_is_gone_is_said(
    make_run: MakeRun, build: Build, docker: Any, postgres: str
) -> None:
    """A worker that comes later learns why nobody answers."""
    controller = make_run("postgresql@container")
    controller.database(build)
    (container,) = containers(docker, controller)
    container.kill()
    worker = make_run(
        "postgresql@container", directory=controller.directory, worker="gw0"
    )

    with pytest.raises(ServerFailed, match="ended with exit code 137"):
        worker.database(build)


def test_an_image_that_cannot_be_had_is_named(make_run: MakeRun, docker: Any) -> None:
    """With what the engine says, and how to name another one."""
    missing = ServerOptions(image="127.0.0.1:9/asyncdbtest/none:1")
    run = make_run("postgresql@container", server=missing)

    with pytest.raises(SourceUnavailable, match="asyncdb_container_image") as caught:
        _ = run.url
    assert "there is no image 127.0.0.1:9/asyncdbtest/none:1" == caught.value.cause
    assert run.source == "container"


def test_an_image_of_the_projects_own_is_taken(
    make_run: MakeRun, build: Build, docker: Any, postgres: str
) -> None:
    """Whatever its name; the version is the server's own."""
    name = f"{COMMON}:own"
    docker.images.get(postgres).tag(*name.split(":"))
    run = make_run("postgresql@container", server=ServerOptions(image=name))
    database = run.database(build)
    (container,) = containers(docker, run)
    image = container.attrs["Config"]["Image"]
    run.close()
    docker.images.remove(name)

    assert image in {name, f"docker.io/{name}"}  # as podman calls it
    assert re.search(rf"\b{database.version[0]}\b", postgres)


def test_a_container_that_the_engine_cannot_start_is_told_in_its_words(
    make_run: MakeRun,
    build: Build,
    docker: Any,
    image_of: Callable[[str, str], str],
) -> None:
    """Such as one without the program that it begins with; nothing stays of it."""
    image = image_of("broken", '["/nowhere"]')
    run = make_run("postgresql@container", server=ServerOptions(image=image))
    with pytest.raises(ServerFailed, match=rf"{image} is no server: (?s:.*)/nowhere"):
        run.database(build)

    assert [] == containers(docker, run)


def test_a_killed_controller_leaves_no_container(
    make_run: MakeRun, attach: Attach, build: Build, docker: Any, postgres: str
) -> None:
    """The next run removes it, also one on another database."""
    killed = attach("postgresql@container", "-", "main")
    short = killed.directory.name.rpartition("-")[2]
    assert killed.url
    killed.kill()
    before = [each.name for each in docker.containers.list()]
    make_run("sqlite").database(build)

    assert f"asyncdb-{short}" in before
    assert not killed.directory.exists()
    after = [each.name for each in docker.containers.list(all=True)]
    assert f"asyncdb-{short}" not in after


def test_a_container_whose_run_has_lost_its_directory_is_found(
    make_run: MakeRun, attach: Attach, docker: Any, postgres: str
) -> None:
    """As by a reboot, or whoever empties /tmp; its labels say whose it was."""
    killed = attach("postgresql@container", "-", "main")
    directory = killed.directory
    assert killed.url
    killed.kill()
    directory.rename(directory.with_name("lost"))
    _ = make_run("postgresql@container").url

    after = [each.name for each in docker.containers.list(all=True)]
    assert f"asyncdb-{directory.name.rpartition('-')[2]}" not in after


def test_containers_of_living_runs_and_of_others_stay(
    make_run: MakeRun, build: Build, docker: Any, postgres: str
) -> None:
    """Only what carries a dead run's tag is removed."""
    stranger = docker.containers.create(postgres, labels={"pytest-asyncdb.owner": "?"})
    living = make_run("postgresql@container")
    living.database(build)
    sweep()
    _ = make_run("postgresql@container").url
    found = containers(docker, living), docker.containers.get(stranger.id)
    stranger.remove()

    assert 1 == len(found[0])
    assert found[1]


def test_a_kept_container_stays(
    make_run: MakeRun, build: Build, docker: Any, postgres: str
) -> None:
    """Until it is swept with the others that were kept."""
    run = make_run("postgresql@container", keep=True)
    run.database(build)
    run.close()
    after = containers(docker, run)
    left = _container.remove_container(run._place)
    run._place.remove()

    assert "running" == after[0].status
    assert left is None
    assert [] == containers(docker, run)


def test_an_engine_that_is_gone_at_the_end_is_said(
    make_run: MakeRun,
    docker: Any,
    postgres: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """What stays is named with the reason."""
    run = make_run("postgresql@container")
    _ = run.url
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'none'}")
        with pytest.raises(LeftBehind, match=f"container {name_of(run)}: no container"):
            run.close()
    (container,) = containers(docker, run)
    container.remove(force=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_socket_that_is_not_ours_is_said(docker: Any) -> None:
    """The engine's group is the remedy."""
    said = refusal_of(65534)

    assert "Permission denied" in said
    assert "join the group" in said


def refusal_of(uid: int) -> str:
    """What an OS user is told who asks for the engine."""
    read, write = os.pipe()

    def ask() -> None:
        os.setgroups([])
        os.setresuid(uid, uid, uid)
        try:
            _engine._client()
        except SourceUnavailable as error:
            os.write(write, str(error).encode())
        os._exit(0)

    subprocess.run(["/bin/true"], preexec_fn=ask, check=True)
    os.close(write)
    with os.fdopen(read) as answer:
        return answer.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can enter another root")
def test_tests_may_run_inside_of_a_container(docker: Any, postgres: str) -> None:
    """From there, the published port is nobody's; the container itself is reached."""
    host = os.environ["DOCKER_HOST"].removeprefix("unix://")
    if not Path(host).is_socket():
        pytest.skip("the engine is not on this machine")
    command = [sys.executable, "-m", "pytest_asyncdb", "doctor", "postgresql@container"]
    output = docker.containers.run(
        postgres,
        ["/host", *command],
        entrypoint="chroot",
        environment=[f"DOCKER_HOST=unix://{host}", "HOME=/root"],
        volumes={"/": {"bind": "/host", "mode": "rw"}},
        remove=True,
    )

    assert b"postgresql   container  yes" in output


def test_local_images_are_preferred_to_those_to_be_pulled() -> None:
    """The exact tag, else the newest that fits; what is not a version never does."""
    image = _images.IMAGES["postgresql"]
    local = ["postgres:16.4", "postgres:16-alpine", "docker.io/library/postgres:17.2"]

    assert "postgres:16.4" == image.named("16", local)
    assert "docker.io/library/postgres:17.2" == image.named(None, local)
    assert "postgres:18" == image.named("18", local)
    assert "postgres:18" == image.named(None, ["postgres:latest", "my/postgres:17"])
