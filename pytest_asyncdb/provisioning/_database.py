"""One worker's database, ready for use."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_asyncdb.errors import CloneRefused, WrongSource
from pytest_asyncdb.provisioning._failure import Translated, shown, unreachable
from pytest_asyncdb.provisioning._template import plain_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from typing import Any

    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pytest_asyncdb.backends import Backend

__all__ = ["Database", "open_memory"]


@dataclass(eq=False, slots=True)
class Database:
    """A database with the project's schema and seed rows."""

    url: URL = field(repr=False)
    product: str
    version: tuple[int, ...]
    source: str
    backend: Backend = field(repr=False)
    durable: bool
    """Whether the server syncs to disk; False for those that the run starts."""
    remake: Callable[[], None] = field(repr=False)
    copy: Callable[[sqlite3.Connection], None] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    """What is done otherwise than on most servers, for a report."""
    seconds: float = 0.0
    """Time until it was ready, in seconds."""
    cloning: Callable[[], Database] | None = field(default=None, repr=False)
    dropping: Callable[[], None] | None = field(default=None, repr=False)
    keeping: Callable[[], None] | None = field(default=None, repr=False)
    preparing: Callable[[AsyncEngine], None] | None = field(default=None, repr=False)
    worn: bool = field(default=False, repr=False)
    """Whether sandboxes have drawn from its sequences, which no rollback undoes."""

    @property
    def shown(self) -> str:
        """Its URL for a message, without a password."""
        return shown(self.url)

    @property
    def is_missing(self) -> bool:
        """Whether its file has been removed; False for one on a server."""
        return self.source == "file" and not Path(str(self.url.database)).exists()

    def connecting(self) -> AbstractContextManager[None]:
        """While a connection to it is made: what fails comes out as one error of ours.

        `ServerUnreachable`, which names the server.
        """
        return Translated(lambda error: unreachable(error, self.url), stripped=True)

    def engine(self, options: Mapping[str, Any]) -> AsyncEngine:
        """An engine on it that keeps no connection, with the project's `options`."""
        return plain_engine(self.url, options, self.preparing)

    def open_sqlite(
        self, kind: type[sqlite3.Connection] = sqlite3.Connection
    ) -> sqlite3.Connection:
        """A new private connection to a copy of the template, in memory.

        It begins no transaction by itself and may be used from any thread; `kind` is
        its class. Raises `WrongSource` for a database that is not SQLite in memory.
        """
        if self.copy is None:
            raise WrongSource.not_in_memory(self.source)
        connection = open_memory(kind)
        self.copy(connection)
        return connection

    def replace(self) -> None:
        """Make the database anew from the template; sessions on it are ended.

        Does nothing in memory, where each `open_sqlite` is a fresh one.
        """
        self.remake()
        self.worn = False

    def clone(self) -> Database:
        """Another database of the same template, for one test; blocks.

        Raises `CloneRefused` where the role may not create one.
        """
        if self.cloning is None:
            raise CloneRefused.lent(str(self.url.database))
        return self.cloning()

    def keep(self) -> None:
        """Let a clone stay where the user asked for that, and name it at the end."""
        if self.keeping is not None:
            self.keeping()
        else:
            self.drop()

    def drop(self) -> None:
        """Remove a clone, at once or a moment later; any other database stays."""
        if self.dropping is not None:
            self.dropping()


def open_memory(
    kind: type[sqlite3.Connection] = sqlite3.Connection,
) -> sqlite3.Connection:
    """An empty database in memory."""
    return sqlite3.connect(
        ":memory:", check_same_thread=False, isolation_level=None, factory=kind
    )
