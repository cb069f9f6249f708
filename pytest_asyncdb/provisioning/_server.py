"""The server of a run: started once, attached to by every worker, stopped."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import ServerFailed
from pytest_asyncdb.provisioning._account import Account
from pytest_asyncdb.provisioning._cluster import copy_cluster, initialised
from pytest_asyncdb.provisioning._installation import ENVIRONMENT
from pytest_asyncdb.provisioning._process import Process, processes_in, stop
from pytest_asyncdb.provisioning._room import choose_room

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_asyncdb.provisioning._installation import Door, Installation
    from pytest_asyncdb.provisioning._place import Place

__all__ = [
    "Launch",
    "attach_or_start",
    "is_running",
    "restart_server",
    "stop_server",
]

_RECORD: Final = "server.json"
_TIMEOUT: Final = 60.0
_POLL: Final = 0.01
_TAIL: Final = 12


class _Detached(subprocess.Popen[bytes]):
    """A process that outlives the one that started it, so nobody waits for it."""

    def __del__(self) -> None:
        """Do not warn that it still runs: it is meant to."""


@dataclass(frozen=True, slots=True)
class _Record:
    """What the processes of the run tell each other about the server."""

    data: str
    program: str
    ends_by: int
    pid: int = 0
    started: str = ""
    ready: bool = False

    @property
    def process(self) -> Process:
        return Process(self.pid, self.started)

    def write(self, place: Place, **changes: Any) -> _Record:  # noqa: ANN401
        fields = {name: getattr(self, name) for name in self.__slots__} | changes
        place.write(_RECORD, fields)
        return _Record(**fields)


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server is started."""

    installation: Installation
    door: Door
    options: Mapping[str, str]
    answers: Callable[[], str | None]
    """Says None once a query through the driver succeeded, else what went wrong."""
    prepare: Callable[[], None]
    """What is done to the server before anybody else uses it."""


def attach_or_start(
    place: Place, launch: Callable[[], Launch], *, again: bool = False
) -> None:
    """See to it that the place's server runs; the caller holds the place's lock.

    `launch` is asked where it does not run yet. Raises `ServerFailed` when the server
    does not come up, or has ended, unless it is then to be started `again`.
    """
    record = _read(place)
    if record and record.ready:
        if record.process.alive:
            return
        if not again:
            raise ServerFailed.gone(_tail(place))
    stop_server(place)
    _start(place, launch())


def is_running(place: Place) -> bool:
    """Whether the run has a server that answers."""
    record = _read(place)
    return bool(record and record.ready and record.process.alive)


def restart_server(place: Place, launch: Launch) -> None:
    """Stop the place's server and start it on the same data; the caller holds its lock.

    Raises `ServerFailed` where there is none, or it does not come up again.
    """
    record = _read(place)
    if record is None:
        raise ServerFailed.gone(_tail(place))
    stop([record.process], launch.installation.closes_by, timeout=_TIMEOUT)
    server = launch.installation.reachable(Account.current(), place.sockets)
    record = _run(place, launch, server, record.write(place, ready=False))
    record.write(place, ready=True)


def stop_server(place: Place) -> None:
    """Stop the run's server, if there is one, and remove its directories."""
    if record := _read(place):
        found = [record.process] if record.process.alive else []
        found = found or processes_in(Path(record.data), Path(record.program))
        stop(found, record.ends_by)
        place.forget(_RECORD)
    place.remove_server()


def _start(place: Place, launch: Launch) -> None:
    account = Account.current()
    with ExitStack() as undo:
        undo.callback(stop_server, place)
        room = account.directory(place.sockets)
        server = launch.installation.reachable(account, room)
        cluster = initialised(server, account, room)
        data = choose_room(place, account) / "data"
        record = _Record(str(data), str(server.program), server.ends_by).write(place)
        copy_cluster(cluster, data, account)
        record = _run(place, launch, server, record)
        launch.prepare()
        record.write(place, ready=True)
        undo.pop_all()


def _run(
    place: Place, launch: Launch, server: Installation, record: _Record
) -> _Record:
    """Start the process on the data, and wait until it answers."""
    data = Path(record.data)
    command = server.command(data, launch.door, launch.options)
    process = _launched(place, command, data, Account.current())
    known = Process.of(process.pid)
    started = known.started if known else ""
    record = record.write(place, pid=process.pid, started=started)
    _wait_until_ready(place, launch, process)
    return record


def _launched(
    place: Place, command: list[str], data: Path, account: Account
) -> _Detached:
    with _log(place).open("wb") as log:
        try:
            return _Detached(
                command,
                cwd=data,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for pytest, not for the server
                **account.switches,
            )
        except OSError as error:
            raise ServerFailed.account(account.name, str(error)) from error


def _wait_until_ready(place: Place, launch: Launch, process: _Detached) -> None:
    socket = launch.installation.socket(launch.door)
    deadline = time.monotonic() + _TIMEOUT
    said: str | None = "it made no socket"
    while said is not None:
        if process.poll() is not None:
            what = f"the server ended with exit code {process.returncode}"
            raise ServerFailed.start(what, _tail(place))
        if time.monotonic() > deadline:
            what = f"the server did not answer within {_TIMEOUT:.0f} s: {said}"
            raise ServerFailed.start(what, _tail(place))
        if not socket.exists() or (said := launch.answers()) is not None:
            time.sleep(_POLL)


def _read(place: Place) -> _Record | None:
    fields = place.read(_RECORD)
    return _Record(**fields) if fields else None


def _log(place: Place) -> Path:
    return place.directory / "server.log"


def _tail(place: Place) -> str:
    try:
        lines = _log(place).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "(none)"
    return "\n".join(lines[-_TAIL:])
