"""Databases for single tests: each a clone of the template, one of them made ahead."""

from __future__ import annotations

import itertools
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_asyncdb.errors import AsyncDBError

if TYPE_CHECKING:
    from pytest_asyncdb.provisioning._clones import Clones
    from pytest_asyncdb.provisioning._database import Database

__all__ = ["Spares"]


class Spares:
    """Clones that are made and dropped by a thread, on a connection of its own.

    From the first one on, the next is made while a test runs; what a test has done with
    is dropped meanwhile, too.
    """

    def __init__(self, clones: Clones) -> None:
        self._clones = clones
        self._numbers = itertools.count(1)
        self._thread: ThreadPoolExecutor | None = None
        self._ahead: Future[str] | None = None
        self._made: set[str] = set()

    def attach(self, database: Database) -> Database:
        """The worker's database, from which tests may take clones."""

        def clone() -> Database:
            name = self._take()
            return replace(
                database,
                url=database.url.set(database=name),
                remake=lambda: self._clones.renew(name),
                dropping=lambda: self._drop(name),
                cloning=None,
            )

        return replace(database, cloning=clone)

    def close(self, *, drop: bool) -> None:
        """End the thread; with `drop` remove what it made and no test has used."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        thread.shutdown()
        with suppress(AsyncDBError):  # what is left goes with the run's family
            for name in sorted(self._made) if drop else ():
                self._clones.administration.drop(name)
        self._clones.administration.close()

    def _take(self) -> str:
        thread = self._thread = self._thread or ThreadPoolExecutor(
            1, thread_name_prefix="asyncdb-clones"
        )
        taken = self._ahead or thread.submit(self._make)
        self._ahead = thread.submit(self._make)
        name = taken.result()
        self._made.discard(name)
        return name

    def _make(self) -> str:
        name = f"{self._clones.name}_{next(self._numbers)}"
        self._clones.renew(name)
        self._made.add(name)
        return name

    def _drop(self, name: str) -> None:
        if self._thread is not None:
            self._thread.submit(self._clones.administration.drop, name)
