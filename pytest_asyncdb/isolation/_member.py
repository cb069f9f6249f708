"""An engine that shares the test's transaction: what its connections were made with."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.backends._mysql_copy import literal
from pytest_asyncdb.backends._text import classify
from pytest_asyncdb.errors import TransactionControlRefused
from pytest_asyncdb.isolation._bridge import await_
from pytest_asyncdb.isolation._link import Answer, Link
from pytest_asyncdb.isolation._places import engine_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Dialect, Engine

    from pytest_asyncdb.isolation._cursor import BufferedCursor
    from pytest_asyncdb.isolation._strategy import EnclosedConnection

__all__ = ["Member"]

_IGNORED: Final = frozenset({"application_name"})


class Member:
    """One engine of the run's database.

    `blocking` engines may be used outside of SQLAlchemy's greenlets: sync ones, and the
    plugin's own behind `db_sync_session`.
    """

    def __init__(
        self, engine: Engine, link: Link, *, blocking: bool, learning: bool = False
    ) -> None:
        self.name = engine_name(engine.url)
        self.driver = engine.dialect.driver
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.is_mysql = engine.dialect.name in {"mysql", "mariadb"}
        self.blocking = blocking or not engine.dialect.is_async
        self.connection_class = _connection_class(engine.dialect)
        self.settings: Mapping[str, str] = {}
        self.first_statements: Sequence[str] = ()
        self.has_connected = False
        self._learning = learning
        self._link = link
        self._decode: Callable[[Any], Any] = (
            getattr(engine.dialect, "_json_deserializer", None) or json.loads
        )
        self._encode: Callable[[Any], str] = (
            getattr(engine.dialect, "_json_serializer", None) or json.dumps
        )

    # ------------------------------------------------------------ the real thing
    def real(self) -> Any:
        """The physical connection. Runs on the bridge."""
        return self._link.real()

    def take(self) -> Any:
        """The physical connection, decoding JSON as this engine does."""
        self._link.decode, self._link.encode = self._decode, self._encode
        real = self._link.real()
        self._link.driver.watch_cursors(real)
        return real

    def abandon_cursor(self, cursor: Any) -> None:
        """The statement on the cursor was cancelled."""
        self._link.driver.abandon_cursor(cursor)

    def drop_cursor(self, cursor: Any) -> None:
        """Forget a cursor that cannot be closed on the server any more."""
        self._link.driver.drop_cursor(cursor)

    def driver_connection(self) -> Any:
        """The driver's connection itself."""
        self._link.open()
        if self._link.driver.is_direct:
            return self._link.bridge.block(_driver_connection, self._link.real())
        return _driver_connection(self._link.real())

    @contextlib.contextmanager
    def introspecting(self, dialect: Dialect) -> Iterator[None]:
        """While an engine connects for the first time: psycopg looks up its types.

        It does so past the cursor, on the driver's connection, which is not the
        engine's own; the physical connection is asked instead.
        """
        name = "_type_info_fetch"
        known = getattr(dialect, "server_version_info", None) is not None
        if known or not hasattr(dialect, name):
            yield
            return
        setattr(dialect, name, self._fetch_type)
        try:
            yield
        finally:
            delattr(dialect, name)

    def _fetch_type(self, connection: Any, name: str) -> Any:
        """A type of the server, as psycopg describes it."""
        del connection
        if name not in self._link.types:
            self._link.types[name] = self._link.bridge.block(self._ask_type, name)
        return self._link.types[name]

    def _ask_type(self, name: str) -> Any:
        from psycopg.types import TypeInfo

        return await_(TypeInfo.fetch(self._link.real()._connection, name))

    def installs_itself(self, name: str, kwargs: Mapping[str, Any]) -> bool:
        """Whether SQLAlchemy sets up the JSON codec that the connection has already."""
        codec = kwargs.get("decoder")
        made_by = getattr(codec, "__module__", "") or ""
        return name == "set_type_codec" and made_by.startswith("sqlalchemy.")

    # ------------------------------------------------------- what all servers answer
    def known_answer(
        self, connection: EnclosedConnection, arguments: tuple[Any, ...]
    ) -> Answer | None:
        """What the server answered before, when a dialect asks on its first connect."""
        if not connection.connecting or self._learning:
            return None
        return self._link.answers.get(_key(arguments))

    def learn(
        self,
        connection: EnclosedConnection,
        arguments: tuple[Any, ...],
        cursor: BufferedCursor,
    ) -> None:
        """Remember what the server answers to a dialect's first connect."""
        asks = classify(str(arguments[0]), mysql=self.is_mysql).reads
        if connection.connecting and self._learning and asks:
            answer = Answer(cursor.description, cursor.buffered, cursor.rowcount)
            self._link.answers[_key(arguments)] = answer

    def apply(self, arguments: Mapping[str, Any]) -> None:
        """Take over what the engine's connections are made with, settings above all.

        Raises TransactionControlRefused for connections in AUTOCOMMIT.
        """
        if arguments.get("autocommit") is True:
            raise TransactionControlRefused.autocommit(self.name)
        found = {**arguments.get("server_settings", {})}
        if arguments.get("options"):
            found.update(_options(arguments["options"]))
        self.settings = {
            name: str(value) for name, value in found.items() if name not in _IGNORED
        }
        self.first_statements = tuple(_first_statements(arguments))


def _connection_class(dialect: Dialect) -> type | None:
    """Class of what the engine would connect with; None where it has no usual name."""
    if dialect.is_async:
        name = f"AsyncAdapt_{dialect.driver}_connection"
        return getattr(sys.modules[type(dialect).__module__], name, None)
    return getattr(dialect.dbapi, "Connection", None)


def _driver_connection(real: Any) -> Any:
    return real._connection


def _key(arguments: tuple[Any, ...]) -> tuple[str, str]:
    return str(arguments[0]), repr(arguments[1:])


def _first_statements(arguments: Mapping[str, Any]) -> Iterator[str]:
    """What drivers for MySQL send on each new connection because they were told to."""
    if arguments.get("sql_mode"):
        yield f"SET sql_mode = {literal(str(arguments['sql_mode']))}"
    if arguments.get("init_command"):
        yield str(arguments["init_command"])


def _options(text: str) -> dict[str, str]:
    """The settings in libpq's `options`: -c name=value, or --name=value."""
    words = shlex.split(text)
    found = {}
    for word in words:
        name, equals, value = word.removeprefix("-c").removeprefix("--").partition("=")
        if equals:
            found[name.strip().replace("-", "_")] = value
    return found
