"""What each product's dialects use of a connection, and what it means in a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import IsolationError, TransactionControlRefused
from pytest_asyncdb.isolation._connection import SandboxConnection
from pytest_asyncdb.isolation._cursor import BufferedCursor
from pytest_asyncdb.isolation._link import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_asyncdb.isolation._member import Member
    from pytest_asyncdb.isolation._sandbox import Sandbox

__all__ = ["connection_class"]

_SHOW_LEVEL: Final = "show transaction isolation level"
_SET_LEVEL: Final = "SET SESSION TRANSACTION ISOLATION LEVEL"
_ASK_LEVEL: Final = frozenset(
    {"SELECT @@TX_ISOLATION", "SELECT @@TRANSACTION_ISOLATION"}
)
_LONGEST: Final = 80
_NOTHING: Final = Answer(None, (), 0)


class PostgreSQLConnection(SandboxConnection):
    """What the dialects for asyncpg and psycopg use of a connection.

    Isolation level, read-only and deferrable are noted and answered, not sent: a
    sandbox is one transaction, in READ COMMITTED.
    """

    __slots__ = ("deferrable", "isolation_level", "read_only", "readonly")

    def __init__(
        self, member: Member, current: Callable[[], Sandbox], *, wide: bool
    ) -> None:
        super().__init__(member, current, wide=wide)
        self.isolation_level: Any = None
        self.readonly = self.read_only = self.deferrable = False

    def set_isolation_level(self, level: Any) -> None:
        """Note the level; AUTOCOMMIT is refused by the first statement."""
        if self.member.driver == "asyncpg":  # psycopg is told by set_autocommit
            self._wants_autocommit = level == "autocommit"
        self.isolation_level = level

    def answer(self, sql: str) -> Answer | None:
        """The isolation level that was noted, as the server would say it."""
        if self.isolation_level is None or sql.strip().lower() != _SHOW_LEVEL:
            return None
        level = getattr(self.isolation_level, "name", self.isolation_level)
        row = (str(level).replace("_", " ").lower(),)
        return Answer([("transaction_isolation", *[None] * 6)], [row], 1)

    def set_autocommit(self, value: bool) -> None:  # noqa: FBT001
        """Note it, as psycopg is told."""
        self._wants_autocommit = bool(value)

    def set_read_only(self, value: Any) -> None:
        """Note it, as psycopg is told."""
        self.read_only = value

    def set_deferrable(self, value: Any) -> None:
        """Note it, as psycopg is told."""
        self.deferrable = value

    def add_notice_handler(self, handler: Callable[..., Any]) -> None:
        """Notices of a shared connection are nobody's."""

    @property
    def info(self) -> Any:
        """Psycopg's description of the connection: version, encoding, parameters."""
        return self.member.driver_connection().info

    @property
    def adapters(self) -> Any:
        """Psycopg's adapters of the connection."""
        return self.member.driver_connection().adapters

    @property
    def closed(self) -> bool:
        """A sandboxed connection is open as long as its test runs."""
        return False

    @property
    def broken(self) -> bool:
        """A sandboxed connection is not broken before a statement says so."""
        return False

    def tpc_begin(self, *_: Any) -> None:
        """Two-phase transactions survive a rollback: refused."""
        raise TransactionControlRefused.two_phase()

    def tpc_recover(self) -> list[Any]:
        """The prepared transactions of a sandbox: none."""
        return []


class MySQLConnection(SandboxConnection):
    """What the dialects for aiomysql, asyncmy and pymysql use of a connection.

    The isolation level is noted and answered, not sent: a sandbox is one transaction.
    """

    __slots__ = ("_level", "_telling")

    def __init__(
        self, member: Member, current: Callable[[], Sandbox], *, wide: bool
    ) -> None:
        super().__init__(member, current, wide=wide)
        self._level: str | None = None
        self._telling = False

    def cursor(self, *args: Any, **kwargs: Any) -> BufferedCursor:
        """A cursor; one that reads from the wire would keep all others waiting."""
        del args, kwargs
        return BufferedCursor(self, (), {})

    def answer(self, sql: str) -> Answer | None:
        """What the dialect says and asks about character sets and isolation levels."""
        if len(sql) > _LONGEST:  # none of these, and every statement comes past here
            self._telling = False
            return None
        text = sql.strip().upper()
        told, self._telling = self._telling, text.startswith(_SET_LEVEL)
        if self._telling:
            self._level = text.removeprefix(_SET_LEVEL).strip()
            return _NOTHING
        if told and text == "COMMIT":
            return _NOTHING
        if self.connecting and text == f"SET NAMES {self.character_set_name()}".upper():
            return _NOTHING  # every new connection says so; this one is not new
        if self._level is None or text not in _ASK_LEVEL:
            return None
        row = (self._level.replace(" ", "-"),)
        return Answer([("transaction_isolation", *[None] * 6)], [row], 1)

    def autocommit(self, value: Any) -> None:  # type: ignore[override]
        """Note it; the first statement refuses AUTOCOMMIT."""
        self._wants_autocommit = bool(value)

    def get_autocommit(self) -> bool:
        """What was noted."""
        return self._wants_autocommit

    def ping(self, reconnect: bool = False) -> None:  # noqa: FBT001, FBT002
        """Whether the connection lives; asks nobody."""
        del reconnect
        super().ping()

    def character_set_name(self) -> str:
        """The character set that the connection was made with."""
        return str(self.member.driver_connection().character_set_name())


class SqliteSandboxConnection(SandboxConnection):
    """What the dialects for aiosqlite and sqlite3 use of a connection."""

    __slots__ = ()

    @property
    def isolation_level(self) -> str | None:
        """sqlite3's way to AUTOCOMMIT is None, and that of SQLAlchemy's recipe too."""
        return None

    @isolation_level.setter
    def isolation_level(self, value: str | None) -> None:
        self._wants_autocommit = value is None and not self.connecting

    def create_function(
        self, name: str, arguments: int, function: Any, **keywords: Any
    ) -> None:
        """Register a function; it stays as long as the connection."""
        sandbox = self.attend()
        if sandbox.link.has_function(name, arguments, function):
            return

        def register() -> None:
            sandbox.link.add_function(name, arguments, function, keywords)

        sandbox.run_unbegun(register, blocking=self._blocks())


_CLASSES: Final[Mapping[str, type[SandboxConnection]]] = {
    "postgresql": PostgreSQLConnection,
    "sqlite": SqliteSandboxConnection,
    "mysql": MySQLConnection,
    "mariadb": MySQLConnection,
}


def connection_class(product: str) -> type[SandboxConnection]:
    """The connections of that product's drivers; raises IsolationError for others."""
    try:
        return _CLASSES[product]
    except KeyError:
        raise IsolationError(f"{product} has no sandbox") from None
