"""The real connections of tests that commit, kept from test to test."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.isolation._drivers import driver_for

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from sqlalchemy import Dialect

    from pytest_asyncdb.isolation._link import Link
    from pytest_asyncdb.isolation._places import Place
    from pytest_asyncdb.provisioning import Database

__all__ = ["Order", "Physical", "Stock"]

_KEPT: Final = 8
"""How many connections wait for the next test; servers admit so many only."""
_FILES: Final = "aiosqlite"
"""What databases in files are reached by, where those in memory need no driver."""
_DESTINATION: Final = frozenset(
    """
    database db dbname dsn host hostaddr passfile passwd password port service
    unix_socket user username uri
    """.split()
)
_MODES: Final = (
    "autocommit",
    "deferrable",
    "isolation_level",
    "read_only",
    "readonly",
)
_SYNC: Final = frozenset(
    "autocommit charset detect_types init_command isolation_level options sql_mode"
    " timeout".split()
)
"""What a sync driver is told that its async sibling understands."""


@dataclass(slots=True, eq=False)
class Physical:
    """A connection to the test's database, and what the test has done with it."""

    key: Hashable
    real: Any
    place: Place | None = None
    """Where the application took it from its pool."""
    running: str | None = None
    """The statement that is on its way."""
    dressed: bool = False
    """Whether a pool's `connect` listeners have seen it."""
    modes: tuple[Any, ...] = ()
    """Its modes once they had: AUTOCOMMIT, level, what a driver remembers by itself."""
    listeners: set[Any] = field(default_factory=set)
    session: bool = False
    """Session state was touched that the driver can reset."""
    lost: bool = False
    """What nobody can undo was done to it: it is closed, not kept."""
    wrote: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What an engine would connect with, led to the test's database."""

    dialect: Dialect
    arguments: tuple[Any, ...]
    parameters: Mapping[str, Any]

    @property
    def key(self) -> Hashable:
        """The same for engines that may use each other's connections."""
        dialect: Any = self.dialect
        said = {**self.parameters, "context": None}  # psycopg's; what is in it follows
        return (
            type(dialect),
            self.arguments,
            repr(sorted(said.items())),
            getattr(dialect, "_on_connect_isolation_level", None),
            getattr(dialect, "_json_serializer", None),
            getattr(dialect, "_json_deserializer", None),
        )

    def connect(self) -> Any:
        """A new connection. Runs on the bridge."""
        return self.dialect.connect(*self.arguments, **self.parameters)


class Stock:
    """Connections to one database: given out, taken back, cleaned or closed."""

    def __init__(self, link: Link, database: Callable[[], Database]) -> None:
        self.link = link
        self.driver = link.driver if not link.driver.is_direct else driver_for(_FILES)
        self._database = database
        self._kept: dict[Hashable, list[Physical]] = {}

    @property
    def database(self) -> Database:
        """Where the connections lead."""
        return self._database()

    def order(self, dialect: Dialect, parameters: Mapping[str, Any]) -> Order:
        """A connection as that dialect makes them, to this database.

        A sync driver's is made by the async one of the run.
        """
        kept = {
            name: value
            for name, value in parameters.items()
            if name not in _DESTINATION and not name.startswith("ssl")
        }
        if not dialect.is_async:
            dialect = self.link.engine.dialect
            kept = {name: kept[name] for name in kept.keys() & _SYNC}
        url = self.database.url.set(drivername=f"{dialect.name}+{dialect.driver}")
        arguments, own = dialect.create_connect_args(url)
        return Order(dialect, tuple(arguments), {**own, **kept})

    def take(self, order: Order, *, blocking: bool) -> Physical:
        """A connection that is kept, or a new one."""
        waiting = self._kept.get(order.key, [])
        while waiting:
            physical = waiting.pop()
            if not self.driver.is_closed(physical.real):
                return physical
        real = self.link.bridge.call(order.connect, blocking=blocking)
        return Physical(order.key, real)

    def keep(self, physical: Physical) -> None:
        """Take one back that has been cleaned; closes it where there are enough.

        Runs on the bridge.
        """
        physical.place = None
        if sum(map(len, self._kept.values())) < _KEPT:
            self._kept.setdefault(physical.key, []).append(physical)
        else:
            close(physical.real)

    def clear(self) -> None:
        """Close all that are kept."""
        kept, self._kept = self._kept, {}
        for physical in (each for several in kept.values() for each in several):
            self.link.bridge.block(close, physical.real)

    def clean(self, physical: Physical, flush: Sequence[str] = ()) -> bool:
        """Roll back, and reset the session; whether it may be kept.

        `flush` are statements that travel along. Runs on the bridge.
        """
        driver, real = self.driver, physical.real
        if physical.lost or driver.is_closed(real):
            return False
        try:
            if driver.in_transaction(real):
                real.rollback()
            if physical.dressed and modes(real) != physical.modes:
                return False
            if physical.session:
                flush = [driver.after_rollback, *flush]
            if flush:
                driver.send_alone(real, flush)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is closed
            return False
        physical.session = physical.wrote = False
        return True


def modes(real: Any) -> tuple[Any, ...]:
    """What a driver's connection does by itself: AUTOCOMMIT, level, read-only."""
    found = [
        getattr(each, name, None)
        for each in (real, real._connection)
        for name in _MODES
    ]
    ask = getattr(real, "get_autocommit", None)  # MySQL's, where the others are methods
    return (*(each for each in found if not callable(each)), ask() if ask else None)


def close(real: Any) -> None:
    """Close a connection; one that is broken is gone already. Runs on the bridge."""
    with contextlib.suppress(Exception):
        real.close()
