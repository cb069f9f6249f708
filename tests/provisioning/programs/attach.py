"""A process of a run: attaches, has its database, says its URL, waits to be ended.

attach.py PRODUCT DIRECTORY WORKER [die|leave]; DIRECTORY "-" makes a controller.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.settings import parse_target

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


class Build:
    """One table that tells how often it was built."""

    key = None

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Build it, and write down that it was done."""
        await connection.execute(text("CREATE TABLE t (id integer)"))
        if log := os.environ.get("BUILDS"):
            await asyncio.to_thread(note, Path(log))
        await asyncio.sleep(float(os.environ.get("BUILD_SECONDS", "0")))


def main() -> None:
    """Do what the arguments say."""
    word, directory, worker, *then = sys.argv[1:]
    given = None if directory == "-" else Path(directory)
    run = Run(parse_target(word), directory=given, worker=worker)
    say(directory=str(run.directory))
    try:
        database = run.database(Build())
        say(url=database.url.render_as_string(hide_password=False))
        if then == ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        if then != ["leave"]:
            sys.stdin.readline()
    finally:
        run.close()


def say(**words: str) -> None:
    """Tell the test something."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def note(log: Path) -> None:
    """Write down that the schema was built."""
    with log.open("a") as file:
        file.write("built\n")


main()
