"""Whole runs of a project, in which something dies, and what is left of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE: Final = 300.0  # sixteen workers start on however few cores
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - looked into only
MODELS: Final = """
    from sqlalchemy import String
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50), unique=True)
"""
CONFTEST: Final = """
    import os
    from pathlib import Path

    import pytest
    from models import Base

    @pytest.fixture(scope="session")
    def asyncdb_schema():
        async def build(connection):
            with open("builds", "a") as file:
                file.write("built\\n")
            await connection.run_sync(Base.metadata.create_all)
        return build
"""
TESTS: Final = """
    import asyncio, os
    from pathlib import Path

    import pytest
    from models import User
    from sqlalchemy import func, select

    @pytest.mark.parametrize("number", range(int(os.environ["TESTS"])))
    async def test_it(db_session, number):
        assert 0 == await db_session.scalar(select(func.count()).select_from(User))
        db_session.add(User(name="ann"))
        await db_session.commit()
        Path("began", f"{os.getpid()}-{number}").touch()
        await asyncio.sleep(float(os.environ["SECONDS"]))
        assert 1 == await db_session.scalar(select(func.count()).select_from(User))
"""
INI: Final = """
    [pytest]
    asyncio_mode = auto
    asyncio_default_fixture_loop_scope = function
"""


@dataclass
class Site:
    """A project, and a place of runs that is its own: what is in it is of its runs."""

    folder: Path
    place: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def start(
        self,
        *options: str,
        tests: int = 40,
        seconds: float = 0.05,
        before: str = "",
        **environment: str,
    ) -> subprocess.Popen[str]:
        """Start pytest; `before` is a command that it is run by."""
        said = {"TESTS": str(tests), "SECONDS": str(seconds), "TMPDIR": str(self.place)}
        kept = {name: value for name, value in os.environ.items() if name != "ASYNCDB"}
        run = subprocess.Popen(
            [*before.split(), sys.executable, "-m", "pytest", "-q", *options],
            cwd=self.folder,
            env=kept | said | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(run)
        return run

    def passes(self, *options: str, tests: int = 10) -> None:
        """Check that a whole run passes."""
        run = self.start(*options, tests=tests, seconds=0.0)
        output = ended(run)

        assert 0 == run.returncode, output

    def wait_for(self, tests: int) -> list[int]:
        """Wait until so many tests have begun; the processes that they run in."""
        end = time.monotonic() + PATIENCE
        while len(found := list((self.folder / "began").iterdir())) < tests:
            assert time.monotonic() < end
            assert any(each.poll() is None for each in self.started), self._outputs()
            time.sleep(0.01)
        return sorted({int(each.name.partition("-")[0]) for each in found})

    def _outputs(self) -> list[str]:
        return [ended(each) for each in self.started]

    def forget(self) -> None:
        """Count the tests that begin from here on."""
        for each in (self.folder / "began").iterdir():
            each.unlink()

    @property
    def server(self) -> psutil.Process:
        """The server of the only run."""
        (record,) = self.place.glob("asyncdb-*/server.json")
        return psutil.Process(json.loads(record.read_text())["pid"])

    @property
    def builds(self) -> int:
        """How often a schema was built."""
        return len((self.folder / "builds").read_text().split())

    def left(self) -> list[str]:
        """Directories, memory and processes of runs in this place."""
        there = {*self.place.glob("*asyncdb-*"), *MEMORY.glob("asyncdb-*")}
        named = [str(each) for each in there if each.name in self._names(there)]
        return sorted(named) + [str(each) for each in self._processes()]

    def _names(self, there: set[Path]) -> set[str]:
        """All that this place has seen, so that what is in memory is known by it."""
        self.seen |= {each.name for each in there if each.parent == self.place}
        return self.seen

    def _processes(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if any(str(self.place) in word for word in words):
                yield process


def ended(run: subprocess.Popen[str]) -> str:
    """What a run has said, once it has ended."""
    output, _ = run.communicate(timeout=PATIENCE)
    return output


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A project of one model, whose tests write down that they have begun."""
    for name, text in (
        ("models.py", MODELS),
        ("conftest.py", CONFTEST),
        ("test_it.py", TESTS),
        ("pytest.ini", INI),
    ):
        (tmp_path / name).write_text(textwrap.dedent(text))
    (tmp_path / "began").mkdir()
    with tempfile.TemporaryDirectory(prefix="asyncdbtest-", dir="/tmp") as place:
        Path(place).chmod(0o755)
        made = Site(tmp_path, Path(place))
        yield made
        for run in made.started:
            if run.poll() is None:
                run.send_signal(signal.SIGKILL)
            run.communicate()


@pytest.fixture
def small_memory(tmp_path: Path) -> str:
    """A command that runs another with little room in its /dev/shm."""
    script = tmp_path / "small.sh"
    mount = "mount -t tmpfs -o size=320m,mode=1777 none /dev/shm"
    script.write_text(f'{mount} && exec "$@"')
    words = ["unshare", "--mount", "sh", str(script)]
    if subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a tmpfs")
    return " ".join(words)


class Door:
    """A socket that leads to the container engine for as long as it is open."""

    def __init__(self, path: Path, engine: str) -> None:
        self.host = f"unix://{path}"
        self._engine = engine
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._open = [self._listening]
        Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Let nobody through any more."""
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._engine)
                self._open += [client, server]
                for one, other in ((client, server), (server, client)):
                    Thread(target=_carry, args=(one, other), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while said := source.recv(65536):
            target.sendall(said)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def engine(site: Site) -> Iterator[Door]:
    """A way to the container engine that a test may close."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        pytest.skip("the container engine is not on this machine")
    door = Door(site.place / "docker.sock", host.removeprefix("unix://"))
    yield door
    door.close()


@pytest.fixture
def namespace() -> str:
    """A command that runs another in a pid namespace of its own, and ends it."""
    words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not make a pid namespace")
    return " ".join(words)
