"""The one physical connection of a worker, kept from test to test."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from pytest_asyncdb.isolation._bridge import at_once
from pytest_asyncdb.isolation._bridges import bridge_class
from pytest_asyncdb.isolation._drivers import driver_for
from pytest_asyncdb.isolation._postgresql import Psycopg
from pytest_asyncdb.isolation._sqlite import SqliteConnection, WatchedConnection
from pytest_asyncdb.isolation._turn import Turns
from pytest_asyncdb.provisioning import unguarded

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pytest_asyncdb.isolation._bridge import Bridge
    from pytest_asyncdb.isolation._driver import Driver
    from pytest_asyncdb.provisioning import Database

__all__ = ["Answer", "Link"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement returned: as a cursor tells it."""

    description: Any
    rows: Sequence[Any]
    rowcount: int


class Link:
    """Opens the connection when it is first needed and replaces it when it is lost.

    `lock` guards everything that the sandbox remembers, for short and without waiting.
    """

    def __init__(
        self,
        database: Callable[[], Database],
        *,
        driver: str,
        engine_options: Mapping[str, Any],
        direct: bool,
        bridge: str,
    ) -> None:
        self.driver: Driver = driver_for(driver, direct=direct)
        self.bridge_class: type[Bridge] = bridge_class(
            bridge, prefers_thread=self.driver.prefers_thread
        )
        self._bridge: Bridge | None = None
        self.lock = threading.RLock()
        self.turns = Turns(self.lock)
        self.round_trips = 0
        self.decode: Callable[[Any], Any] = json.loads
        self.encode: Callable[[Any], str] = json.dumps
        self.answers: dict[tuple[str, Any], Answer] = {}
        self.types: dict[str, Any] = {}
        self._functions: dict[tuple[str, int], Any] = {}
        self._database = database
        self._engine_options = dict(engine_options)
        self._direct = direct
        self._real: Any = None
        self._deferrable: bool | None = None
        self._engine: AsyncEngine | None = None

    # ------------------------------------------------------------- the connection
    @property
    def database(self) -> Database:
        """The worker's database; started by the first that asks."""
        return self._database()

    @property
    def bridge(self) -> Bridge:
        """What leads to the connection's loop."""
        if self._bridge is None:
            self._bridge = self.bridge_class()
        return self._bridge

    @property
    def engine(self) -> AsyncEngine:
        """The engine that makes the physical connection, and no other."""
        if self._engine is None:
            self._engine = create_async_engine(
                self.database.url, **self._physical_options()
            )
        return self._engine

    def _physical_options(self) -> dict[str, Any]:
        options = {
            name: value
            for name, value in self._engine_options.items()
            if not name.startswith(("pool_", "max_overflow", "echo"))
        }
        arguments = options.pop("connect_args", {})
        driver = self.driver
        options["connect_args"] = {
            **driver.connect_defaults,
            **arguments,
            **driver.connect_arguments,
        }
        if self.is_in_memory:
            options["connect_args"] = {"async_creator_fn": self._open_memory}
        options["poolclass"] = NullPool
        # psycopg caches codecs by their code for the whole process; partials have none.
        options["json_deserializer"] = partial(self._decode)
        if isinstance(self.driver, Psycopg):
            options["json_serializer"] = partial(self._encode)
        return options

    @property
    def is_in_memory(self) -> bool:
        """Whether each connection has a database of its own, in memory."""
        url = self.database.url
        return url.get_backend_name() == "sqlite" and url.database in {
            None,
            "",
            ":memory:",
        }

    def _decode(self, value: Any) -> Any:
        """JSON is decoded as the engine does whose statement it is."""
        return self.decode(value)

    def _encode(self, value: Any) -> str:
        return self.encode(value)

    def _open_memory(self, *_: Any, **__: Any) -> Any:
        """An aiosqlite connection to a copy of the template in memory."""
        import aiosqlite

        def connect() -> sqlite3.Connection:
            return self.database.open_sqlite(WatchedConnection)

        connection = aiosqlite.Connection(connect, 64)
        connection._thread.daemon = True
        return connection

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._real is not None

    def open(self) -> None:
        """Connect, where there is no connection yet."""
        if self._real is None:
            self.bridge.block(self._connect)

    def real(self) -> Any:
        """The connection, in the shape of SQLAlchemy's adapter of the driver."""
        if self._real is None:
            self._connect()
        return self._real

    def _connect(self) -> None:
        if self._direct:
            self._adopt(SqliteConnection(self.database.open_sqlite()))
            return
        self._adopt(self.another())

    def another(self) -> Any:
        """Another connection like the kept one. Runs on the bridge."""
        engine = self.engine.sync_engine
        with unguarded(), self.database.connecting():
            fairy = engine.raw_connection()
        fairy.detach()
        real = fairy.dbapi_connection
        self.driver.take_over(engine, real)
        return real

    def _adopt(self, real: Any) -> None:
        if self._deferrable is None:
            self._deferrable = self.driver.defers_constraints(real)
        self._real = real

    @property
    def checks_at_commit(self) -> bool:
        """Whether the schema has constraints that are checked as late as at COMMIT."""
        return bool(self._deferrable)

    def forget(self) -> None:
        """Close the connection; the next statement opens another."""
        real, self._real = self._real, None
        self._functions.clear()
        if real is None:
            return
        if self.driver.is_closed(real):
            return
        self.bridge.block(_close, real)

    def replace_database(self) -> None:
        """Something may have been kept: close, and make the database anew."""
        self.forget()
        self.database.replace()
        self.forget()  # one that an interrupted call has opened meanwhile
        self._deferrable = None

    def has_database(self) -> bool:
        """Whether the database is there, for drivers whose connection outlives it."""
        if self.database.is_missing:
            return False
        return self.block(lambda: self.driver.is_there(self.real()))

    def heal(self) -> None:
        """Connect anew; where the database is gone, make it from the template.

        Where that cannot be, the next who connects is told.
        """
        self.forget()
        with contextlib.suppress(Exception):
            try:
                self.open()
            except Exception:  # noqa: BLE001 - whatever the driver says of it
                self.replace_database()

    def interrupt(self) -> None:
        """End the statement that runs on the connection."""
        if self.is_usable():
            self.block(lambda: self.driver.interrupt(self._real))

    def close(self) -> None:
        """Close the connection and its loop."""
        self.forget()
        bridge, self._bridge = self._bridge, None
        if bridge is not None:
            bridge.close()

    # ----------------------------------------------------------------- statements
    def call(self, fn: Callable[[], T], *, blocking: bool, awaits: bool = False) -> T:
        """Run a statement where it belongs; `awaits` says that it does in any case."""
        if self.driver.is_direct and not awaits:
            return at_once(fn, blocking=blocking)
        return self.bridge.call(fn, blocking=blocking)

    def block(self, fn: Callable[[], T]) -> T:
        """Run what belongs to no caller's loop."""
        return fn() if self.driver.is_direct else self.bridge.block(fn)

    def send(self, controls: Sequence[str]) -> None:
        """Send control statements. Runs on the bridge."""
        if controls:
            self.round_trips += self.driver.send(self.real(), controls)

    def has_function(self, name: str, arguments: int, function: Any) -> bool:
        """Whether SQLite knows the function: SQLAlchemy's own are all alike."""
        known = self._functions.get((name, arguments))
        modules = {getattr(each, "__module__", "") or "" for each in (known, function)}
        alike = all(module.startswith("sqlalchemy.") for module in modules)
        return known is function or (known is not None and alike)

    def add_function(
        self, name: str, arguments: int, function: Any, keywords: Mapping[str, Any]
    ) -> None:
        """Register a function with SQLite. Runs on the bridge."""
        self.real().create_function(name, arguments, function, **keywords)
        self._functions[name, arguments] = function

    def is_usable(self) -> bool:
        """Whether the connection is there and not closed."""
        return self._real is not None and not self.driver.is_closed(self._real)


def _close(real: Any) -> None:
    real.close()
