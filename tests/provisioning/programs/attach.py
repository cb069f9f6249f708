"""A process of a run: attaches, has its database, says its URL, waits to be ended."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.settings import parse_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.connection import Connection

    from sqlalchemy.ext.asyncio import AsyncConnection


class Build:
    """One table that tells how often it was built."""

    @property
    def key(self) -> str | None:
        """What the variable says."""
        return os.environ.get("KEY")

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Build it, and write down that it was done."""
        await connection.execute(text("CREATE TABLE t (id integer)"))
        if log := os.environ.get("BUILDS"):
            await asyncio.to_thread(note, Path(log))
        await asyncio.sleep(float(os.environ.get("BUILD_SECONDS", "0")))


def main(
    line: Connection, words: Sequence[str], environment: Mapping[str, str]
) -> None:
    """Do what the words say: PRODUCT DIRECTORY WORKER [die|leave].

    DIRECTORY "-" makes a controller. `environment` is all that the process has.
    """
    os.environ.clear()
    os.environ.update(environment)
    word, directory, worker, *then = words
    given = None if directory == "-" else Path(directory)
    run = Run(parse_target(word), directory=given, worker=worker)
    line.send(str(run.directory))
    try:
        database = run.database(Build())
        line.send(database.url.render_as_string(hide_password=False))
        if then == ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        if then != ["leave"]:
            line.recv()
    finally:
        run.close()


def note(log: Path) -> None:
    """Write down that the schema was built."""
    with log.open("a") as file:
        file.write("built\n")
