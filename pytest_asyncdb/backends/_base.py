"""What a database product can do, and the SQL that administers it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pytest_asyncdb.backends._waits import Waits

__all__ = [
    "APART",
    "Backend",
    "Capability",
    "Driver",
    "Restoration",
    "Script",
    "ServerBackend",
]

Script: TypeAlias = "Generator[str | tuple[str, ...], list[tuple[Any, ...]], None]"
"""Statements one after the other; each is answered by the rows that it returned.

Several in a tuple are sent together, and answered by none. An error of the driver is
raised where the statement was yielded.
"""
APART: Final = "asyncdb_apart"
"""Execution option of an engine of our own that has nothing to do with a test."""


class Capability(Enum):
    """Something that a test or a strategy may need; its value is the public word."""

    SAVEPOINT = "savepoint"
    TRANSACTIONAL_DDL = "transactional_ddl"
    TEMPLATES = "templates"
    IN_MEMORY = "in_memory"
    CONCURRENT_WRITERS = "concurrent_writers"
    ROW_LOCKS = "row_locks"
    ADVISORY_LOCKS = "advisory_locks"
    SERIALIZABLE = "serializable"
    DEFERRABLE = "deferrable"
    SCHEMAS = "schemas"
    SEQUENCES = "sequences"
    RETURNING = "returning"
    NOTIFY = "notify"


@dataclass(frozen=True, slots=True)
class Driver:
    """An async driver: its name in a URL, its module, and the extra with it."""

    name: str
    extra: str

    @property
    def installed(self) -> bool:
        """Whether the driver's module can be found; it is not imported."""
        return find_spec(self.name) is not None

    @property
    def install(self) -> str:
        """The command that installs the driver."""
        return f"pip install pytest-asyncdb[{self.extra}]"


@dataclass(frozen=True, slots=True)
class Restoration:
    """SQL that undoes what was committed, on a connection that nobody else uses."""

    supported: str
    """Its one value: whether this server, role and schema admit of it."""
    prepare: Sequence[str]
    """Statements for the untouched database, one after the other."""
    flush: Sequence[str]
    """What each session says that has written, before it is given back."""
    worn: str
    """Said before `restore` where some session has drawn from sequences unseen."""
    restore: str
    """Undoes everything; an error says what it cannot undo."""
    holders: str
    """SQL for rows (number, text) of the other sessions that may hold a lock."""
    prepared: str
    """SQL for rows (statement) that end the prepared transactions of the database."""


class Backend(ABC):
    """A database product."""

    name: ClassVar[str]
    drivers: ClassVar[Sequence[Driver]]
    """Async drivers, the preferred one first."""
    capabilities: ClassVar[frozenset[Capability]]
    dialects: ClassVar[Sequence[str]]
    """Names that SQLAlchemy's dialects for the product have."""
    restoration: ClassVar[Restoration | None] = None
    """How committed changes are undone; None where only a fresh copy does it."""
    waits: ClassVar[Waits | None] = None
    """How to ask who waits for whom; None where nobody can be asked."""


class ServerBackend(Backend):
    """A product with a server, on which databases are made and dropped.

    Every method returns SQL; nothing is run here. `version` is the server's.
    """

    maintenance: ClassVar[str]
    """The database that exists on every fresh server of the product."""
    denied: ClassVar[frozenset[str]]
    """Codes of errors that say that a role may not do something."""

    @abstractmethod
    def create(self, database: str, *, durable: bool, version: tuple[int, ...]) -> str:
        """SQL that makes an empty database; `durable`: the server syncs."""

    @abstractmethod
    def copy(
        self, template: str, database: str, *, durable: bool, version: tuple[int, ...]
    ) -> Script:
        """SQL that makes `database`, with all that `template` has."""

    @abstractmethod
    def freeze(self, database: str) -> Script:
        """SQL that turns a built database into a template nobody can connect to."""

    @abstractmethod
    def rename(self, database: str, name: str) -> str | None:
        """SQL that gives a database another name; None where there is no such thing."""

    @abstractmethod
    def owned(self, database: str) -> str:
        """SQL whose one value says whether nobody but this role made a database."""

    @abstractmethod
    def exists(self, database: str) -> str:
        """SQL whose one value says whether a database is there."""

    @abstractmethod
    def drop(self, database: str) -> str:
        """SQL that drops a database, if it is there."""

    @abstractmethod
    def terminate(self, database: str) -> Script:
        """SQL that ends the sessions on a database, as far as our role may."""

    @abstractmethod
    def sessions(self, database: str) -> str:
        """SQL whose one value is the number of such sessions on a database."""

    @abstractmethod
    def mark(self, database: str, text: str) -> Sequence[str]:
        """Statements that attach a text to a database."""

    @abstractmethod
    def unmark(self, database: str) -> Sequence[str]:
        """Statements that remove what `mark` has left of a database that is gone."""

    @abstractmethod
    def marks(self, pattern: str) -> str:
        """SQL for rows (name, mark or None) of databases LIKE `pattern` we may drop."""

    @abstractmethod
    def hold(self, key: int) -> str:
        """SQL that says "the owner lives" for as long as its session lasts."""

    @abstractmethod
    def seize(self, key: int) -> str:
        """SQL that waits until this session alone has `key`."""

    @abstractmethod
    def release(self, key: int) -> str:
        """SQL that gives back what `seize` took."""

    @abstractmethod
    def held(self, key: int) -> str:
        """SQL whose one value says whether any session of the server holds `key`."""

    may_create: ClassVar[str]
    """SQL: may this role create databases?"""
    current: ClassVar[str]
    """SQL: the name of the database of this session."""
    role: ClassVar[str]
    """SQL: the name of this role."""
    free_connections: ClassVar[str]
    """SQL: how many more connections the server admits, as it counts them now."""
    reads_only: ClassVar[str]
    """SQL: does the server take no writes, as one that follows another?"""
    savepoints: ClassVar[str]
    """SQL: do tables take part in savepoints, unless they say otherwise?"""
    cluster_size: ClassVar[str | None]
    """SQL for a row whose `Value` counts the nodes that are one database.

    None where the product has no such thing; 0, or no row, where the server has not.
    """
    cluster_opening: ClassVar[Sequence[str]]
    """Statements by which a session waits for what was committed on other nodes."""
    is_multi_primary: ClassVar[bool] = False
    """Whether several hosts in one URL are nodes that all take writes."""
    keep_alive: ClassVar[Sequence[str]]
    """Statements that keep an idle session from being ended, and quiet."""
    own_mark: ClassVar[str]
    """SQL: what `mark_own` attached to the database of this session; None: nothing."""
    contents: ClassVar[str]
    """SQL for rows (text) of what users have put into the database of this session."""
    extensions: ClassVar[str]
    """SQL for rows (name) of what was added to the database of this session."""

    @abstractmethod
    def mark_own(self, database: str, text: str) -> Sequence[Sequence[str]]:
        """Ways to attach a text to the database of this session, the best one first.

        Each is one or more statements.
        """

    @abstractmethod
    def unmark_own(self, database: str) -> Sequence[str]:
        """For each way of `mark_own`, the SQL that takes it back."""

    @abstractmethod
    def clear(self, database: str, *, spared: Sequence[str]) -> Script:
        """SQL that removes all contents, and all extensions but the `spared` ones.

        `database` is that of the session.
        """
