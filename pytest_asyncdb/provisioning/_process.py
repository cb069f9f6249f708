"""Processes by pid and start time, so that a reused pid is never taken for another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Process", "processes_in", "stop"]

_PROC: Final = Path("/proc")
_STATE, _START = 0, 19  # after the name: fields 3 and 22 of proc(5)
_POLL: Final = 0.005


@dataclass(frozen=True, slots=True)
class Process:
    """A process, and when it began in the system's own words."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process with that pid; None when it has ended."""
        started = _start_time(pid)
        return None if started is None else cls(pid, started)

    @property
    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return _start_time(self.pid) == self.started

    def send(self, number: int) -> None:
        """Send a signal, if the process is still there."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def stop(processes: Iterable[Process], number: int, *, timeout: float = 5.0) -> None:
    """Stop servers by a signal, after `timeout` seconds (5.0) by SIGKILL."""
    waiting = list(processes)
    for each in (number, signal.SIGKILL):
        for process in waiting:
            process.send(each)
        waiting = _wait(waiting, timeout)


def processes_in(directory: Path, executable: Path) -> list[Process]:
    """Processes of `executable` whose working directory is `directory`.

    It finds a server whose pid nobody could record any more. Empty where there is no
    /proc.
    """
    found = (Process.of(pid) for pid in _working_in(directory, executable))
    return [process for process in found if process is not None]


def _working_in(directory: Path, executable: Path) -> Iterator[int]:
    for entry in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            links = (entry / "cwd").readlink(), (entry / "exe").readlink()
            if links == (directory.resolve(), executable.resolve()):
                yield int(entry.name)


def _wait(processes: list[Process], timeout: float) -> list[Process]:
    deadline = time.monotonic() + timeout
    while left := [process for process in processes if process.alive]:
        if time.monotonic() > deadline:
            return left
        time.sleep(_POLL)
    for process in processes:
        with suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
    return []


def _start_time(pid: int) -> str | None:
    if _PROC.joinpath("self/stat").exists():
        return _from_proc(pid)
    return _from_ps(pid)


def _from_proc(pid: int) -> str | None:
    try:
        text = _PROC.joinpath(str(pid), "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[_STATE] in "ZX" else fields[_START]


def _from_ps(pid: int) -> str | None:
    if sys.platform == "win32":
        return None
    answer = subprocess.run(
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or None
