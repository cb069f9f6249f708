"""MySQL and MariaDB: what they can do, and the SQL that administers a server.

Neither has templates, comments on databases in both, or shared user locks. So what a
template is made of is written down, and said again for each copy; marks are the
comments of tables in a database of their own, and a run holds one of several locks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_asyncdb.backends._base import Capability, Driver, ServerBackend
from pytest_asyncdb.backends._mysql_copy import (
    as_text,
    described,
    literal,
    moved,
    quote,
)
from pytest_asyncdb.backends._waits import MARIADB, MYSQL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_asyncdb.backends._base import Script

__all__ = ["MariaDB", "MySQL"]

_SLOTS: Final = 32
"""Processes of a run that say by a lock that it lives; one of them is enough."""
_WAIT: Final = 86_400
"""Seconds to wait for a lock: neither product has a word for ever."""
_MARK: Final = "asyncdb_mark"
_NO_SUCH_THREAD: Final = "1094"
_CAPABILITIES: Final = frozenset(
    {
        Capability.SAVEPOINT,
        Capability.CONCURRENT_WRITERS,
        Capability.ROW_LOCKS,
        Capability.ADVISORY_LOCKS,
        Capability.SERIALIZABLE,
    }
)


class _Family(ServerBackend):
    """What the two products have in common."""

    drivers = (
        Driver("asyncmy", extra="mysql"),
        Driver("aiomysql", extra="aiomysql"),
    )
    dialects = ("mysql", "mariadb")
    capabilities = _CAPABILITIES
    maintenance = "information_schema"
    denied = frozenset({"1044", "1142", "1227"})

    may_create = (
        "SELECT count(*) > 0 FROM information_schema.user_privileges"
        " WHERE privilege_type = 'CREATE' AND grantee = concat("
        "'''', replace(current_user(), '@', '''@'''), '''')"
    )
    current = "SELECT database()"
    role = "SELECT current_user()"
    free_connections = (
        "SELECT @@max_connections - count(*) FROM information_schema.processlist"
    )
    reads_only = "SELECT @@read_only"
    savepoints = (
        "SELECT savepoints = 'YES' FROM information_schema.engines"
        " WHERE support = 'DEFAULT'"
    )
    cluster_size = "SHOW STATUS LIKE 'wsrep_cluster_size'"
    cluster_opening = ("SET SESSION wsrep_sync_wait = 1",)
    is_multi_primary = True
    keep_alive = (
        "SET SESSION wait_timeout = 86400",
        "SET SESSION sql_notes = 0",  # else drivers log what IF EXISTS has to say
    )
    own_mark = (
        "SELECT max(table_comment) FROM information_schema.tables"
        f" WHERE table_schema = database() AND table_name = '{_MARK}'"
    )
    contents = (
        "SELECT concat(lower(table_type), ' ', table_name)"
        " FROM information_schema.tables"
        f" WHERE table_schema = database() AND table_name <> '{_MARK}'"
        " UNION ALL SELECT concat(lower(routine_type), ' ', routine_name)"
        " FROM information_schema.routines WHERE routine_schema = database()"
        " UNION ALL SELECT concat('event ', event_name)"
        " FROM information_schema.events WHERE event_schema = database() ORDER BY 1"
    )
    extensions = "SELECT NULL FROM DUAL WHERE false"

    def create(self, database: str, **_: object) -> str:
        return f"CREATE DATABASE {quote(database)}"

    def copy(self, template: str, database: str, **_: object) -> Script:
        """Make the database, and in it all that was written down of the template."""
        found = yield f"SELECT said FROM {_script(template)} ORDER BY place"
        said = [moved(as_text(each), template, database) for (each,) in found]
        yield (self.create(database), f"USE {quote(database)}", *said)
        yield f"USE {quote(self.maintenance)}"

    def freeze(self, database: str) -> Script:
        """Write down what it is made of; only its name keeps others away."""
        said: list[str] = []
        yield from described(database, said)
        script = _script(database)
        yield f"CREATE DATABASE IF NOT EXISTS {quote(_beside(database))}"
        yield f"DROP TABLE IF EXISTS {script}"
        yield f"CREATE TABLE {script} (place INT PRIMARY KEY, said LONGTEXT)"
        rows = (f"({place}, {literal(each)})" for place, each in enumerate(said))
        yield f"INSERT INTO {script} VALUES {', '.join(rows)}"

    def rename(self, database: str, name: str) -> None:
        """There is no word for it: tables can move, views and triggers cannot."""
        del database, name

    def owned(self, database: str) -> str:
        """Databases have no owner; whoever may write the marks is trusted."""
        del database
        return "SELECT 1"

    def exists(self, database: str) -> str:
        return (
            "SELECT count(*) > 0 FROM information_schema.schemata"
            f" WHERE schema_name = {literal(database)}"
        )

    def drop(self, database: str) -> str:
        return f"DROP DATABASE IF EXISTS {quote(database)}"

    def terminate(self, database: str) -> Script:
        found = yield (
            f"SELECT id FROM information_schema.processlist WHERE {_others(database)}"
        )
        for (number,) in found:
            try:
                yield f"KILL {int(number)}"
            except Exception as error:  # the driver's, whichever that is
                if _NO_SUCH_THREAD not in str(error):  # it has just ended by itself
                    raise

    def sessions(self, database: str) -> str:
        return (
            "SELECT count(*) FROM information_schema.processlist"
            f" WHERE {_others(database)}"
        )

    def mark(self, database: str, text: str) -> Sequence[str]:
        beside = quote(_beside(database))
        table = f"{beside}.{quote(database)}"
        return (
            f"CREATE DATABASE IF NOT EXISTS {beside}",
            f"CREATE TABLE IF NOT EXISTS {table} (mark INT)",
            f"ALTER TABLE {table} COMMENT = {literal(text)}",
        )

    def unmark(self, database: str) -> Sequence[str]:
        return (f"DROP DATABASE IF EXISTS {quote(_beside(database))}",)

    def marks(self, pattern: str) -> str:
        return (
            "SELECT s.schema_name, max(t.table_comment)"
            " FROM information_schema.schemata s"
            " LEFT JOIN information_schema.tables t ON t.table_name = s.schema_name"
            " AND t.table_schema ="
            " concat(substring_index(s.schema_name, '_', 2), '_marks')"
            f" WHERE s.schema_name LIKE {literal(pattern)}"
            " GROUP BY s.schema_name ORDER BY s.schema_name"
        )

    def hold(self, key: int) -> str:
        tried = " OR ".join(f"GET_LOCK({lock}, 0)" for lock in _locks(key))
        return f"SELECT {tried}"

    def seize(self, key: int) -> str:
        return f"SELECT GET_LOCK({literal(f'asyncdb:{key}:alone')}, {_WAIT})"

    def release(self, key: int) -> str:
        return f"SELECT RELEASE_LOCK({literal(f'asyncdb:{key}:alone')})"

    def held(self, key: int) -> str:
        used = " OR ".join(f"IS_USED_LOCK({lock}) IS NOT NULL" for lock in _locks(key))
        return f"SELECT {used}"

    def mark_own(self, database: str, text: str) -> Sequence[Sequence[str]]:
        table = f"{quote(database)}.{quote(_MARK)}"
        return (
            (
                f"CREATE TABLE IF NOT EXISTS {table} (mark INT)",
                f"ALTER TABLE {table} COMMENT = {literal(text)}",
            ),
        )

    def unmark_own(self, database: str) -> Sequence[str]:
        return (f"DROP TABLE IF EXISTS {quote(database)}.{quote(_MARK)}",)

    def clear(self, database: str, *, spared: Sequence[str]) -> Script:
        del spared
        place = quote(database)
        yield "SET foreign_key_checks = 0"
        found = yield (
            "SELECT table_name, table_type FROM information_schema.tables"
            f" WHERE table_schema = {literal(database)} AND table_name <> '{_MARK}'"
        )
        for name, kind in found:
            word = {"VIEW": "VIEW", "SEQUENCE": "SEQUENCE"}.get(as_text(kind), "TABLE")
            yield f"DROP {word} IF EXISTS {place}.{quote(as_text(name))}"
        yield "SET foreign_key_checks = 1"
        found = yield (
            "SELECT routine_name, routine_type FROM information_schema.routines"
            f" WHERE routine_schema = {literal(database)}"
            " UNION ALL SELECT event_name, 'EVENT' FROM information_schema.events"
            f" WHERE event_schema = {literal(database)}"
        )
        for name, kind in found:
            yield f"DROP {as_text(kind)} IF EXISTS {place}.{quote(as_text(name))}"


class MariaDB(_Family):
    """MariaDB through asyncmy or aiomysql."""

    name = "mariadb"
    waits = MARIADB
    capabilities = _CAPABILITIES | {Capability.SEQUENCES, Capability.RETURNING}


class MySQL(_Family):
    """MySQL through asyncmy or aiomysql."""

    name = "mysql"
    waits = MYSQL


def _others(database: str) -> str:
    return f"db = {literal(database)} AND id <> connection_id()"


def _beside(database: str) -> str:
    """The database that holds the marks of a run's databases."""
    return "_".join([*database.split("_")[:2], "marks"])


def _script(template: str) -> str:
    """The table with the statements that make a database like a template."""
    return f"{quote(_beside(template))}.asyncdb_script"


def _locks(key: int) -> Iterator[str]:
    return (literal(f"asyncdb:{key}:{slot}") for slot in range(_SLOTS))
