"""PostgreSQL: what it can do, and the SQL that administers a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_asyncdb.backends._base import Capability, Driver, ServerBackend
from pytest_asyncdb.backends._postgresql_restore import RESTORATION
from pytest_asyncdb.backends._waits import POSTGRESQL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_asyncdb.backends._base import Script

__all__ = ["PostgreSQL", "literal", "quote"]

_STRATEGY_SINCE: Final = (15,)

_MARK_SCHEMA: Final = "asyncdb_mark"

_FOREIGN: Final = f"""
    n.nspname NOT IN ('pg_catalog', 'information_schema', '{_MARK_SCHEMA}')
    AND n.nspname NOT LIKE 'pg\\_%'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.deptype = 'e'
                    AND d.objid = o.oid AND d.classid = o.tableoid)"""
_OBJECTS: Final = f"""
    SELECT 'SCHEMA' AS kind, quote_ident(n.nspname) AS name, 0 AS rank
      FROM pg_namespace n JOIN pg_namespace o ON o.oid = n.oid
     WHERE n.nspname <> 'public' AND {_FOREIGN}
    UNION ALL
    SELECT CASE o.relkind
               WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
               WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE'
               WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END,
           format('%I.%I', n.nspname, o.relname),
           CASE o.relkind WHEN 'S' THEN 2 ELSE 1 END  -- gone with their columns
      FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace
     WHERE o.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND {_FOREIGN}
    UNION ALL
    SELECT 'ROUTINE', format('%I.%I(%s)', n.nspname, o.proname,
                             pg_get_function_identity_arguments(o.oid)), 4
      FROM pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace WHERE {_FOREIGN}
    UNION ALL
    SELECT 'TYPE', format('%I.%I', n.nspname, o.typname), 3
      FROM pg_type o JOIN pg_namespace n ON n.oid = o.typnamespace
     WHERE o.typtype IN ('e', 'd', 'r') AND {_FOREIGN}"""


def quote(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as an SQL string; right with standard_conforming_strings, the default."""
    return "'" + text.replace("'", "''") + "'"


def _others(database: str) -> str:
    """Which sessions on a database are others' that our role may end.

    Not those of stronger roles, nor, unless we are a superuser, an autovacuum worker's,
    which belong to no role; the server ends these itself where they are in the way.
    """
    ours = "pg_has_role(usesysid, 'USAGE')"
    return (
        f"datname = {literal(database)} AND pid <> pg_backend_pid()"
        f" AND coalesce({ours}, current_setting('is_superuser') = 'on')"
    )


class PostgreSQL(ServerBackend):
    """PostgreSQL through asyncpg or psycopg."""

    name = "postgresql"
    drivers = (
        Driver("asyncpg", extra="postgresql"),
        Driver("psycopg", extra="psycopg"),
    )
    capabilities = frozenset(Capability) - {Capability.IN_MEMORY}
    dialects = ("postgresql",)
    maintenance = "postgres"
    restoration = RESTORATION
    waits = POSTGRESQL
    denied = frozenset({"42501"})

    may_create = (
        "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    )
    current = "SELECT current_database()"
    role = "SELECT current_user"
    free_connections = (
        "SELECT current_setting('max_connections')::int"
        " - current_setting('superuser_reserved_connections')::int"
        " - (SELECT count(*) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend')::int"
    )
    reads_only = "SELECT pg_is_in_recovery()"
    savepoints = "SELECT true"
    cluster_size = None
    cluster_opening = ()
    keep_alive = (
        (
            "SELECT set_config(name, '0', false) FROM pg_settings"
            " WHERE name = 'idle_session_timeout'"
        ),
        "SET tcp_keepalives_idle = 60",
    )
    own_mark = (
        "SELECT coalesce(shobj_description(oid, 'pg_database'), (SELECT"
        " obj_description(n.oid, 'pg_namespace') FROM pg_namespace n"
        f" WHERE n.nspname = {literal(_MARK_SCHEMA)}))"
        " FROM pg_database WHERE datname = current_database()"
    )
    contents = f"SELECT lower(kind) || ' ' || name FROM ({_OBJECTS}) found ORDER BY 1"
    extensions = "SELECT extname FROM pg_extension ORDER BY extname"

    def create(self, database: str, *, durable: bool, version: tuple[int, ...]) -> str:
        return _clone("template1", database, durable=durable, version=version)

    def copy(
        self, template: str, database: str, *, durable: bool, version: tuple[int, ...]
    ) -> Script:
        yield _clone(template, database, durable=durable, version=version)

    def freeze(self, database: str) -> Script:
        yield f"ALTER DATABASE {quote(database)} WITH ALLOW_CONNECTIONS false"

    def rename(self, database: str, name: str) -> str:
        return f"ALTER DATABASE {quote(database)} RENAME TO {quote(name)}"

    def owned(self, database: str) -> str:
        return (
            "SELECT pg_get_userbyid(datdba) = current_user FROM pg_database"
            f" WHERE datname = {literal(database)}"
        )

    def exists(self, database: str) -> str:
        return (
            f"SELECT count(*) > 0 FROM pg_database WHERE datname = {literal(database)}"
        )

    def drop(self, database: str) -> str:
        return f"DROP DATABASE IF EXISTS {quote(database)}"

    def terminate(self, database: str) -> Script:
        yield (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            f" WHERE {_others(database)}"
        )

    def sessions(self, database: str) -> str:
        return f"SELECT count(*) FROM pg_stat_activity WHERE {_others(database)}"

    def mark(self, database: str, text: str) -> tuple[str, ...]:
        return (f"COMMENT ON DATABASE {quote(database)} IS {literal(text)}",)

    def unmark(self, database: str) -> tuple[str, ...]:
        """Nothing: the comment goes with the database."""
        del database
        return ()

    def marks(self, pattern: str) -> str:
        return (
            "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
            f" WHERE datname LIKE {literal(pattern)}"
            " AND pg_has_role(current_user, datdba, 'USAGE') ORDER BY datname"
        )

    def hold(self, key: int) -> str:
        """SQL that says "the owner lives" for as long as its session lasts."""
        return f"SELECT pg_advisory_lock_shared({key})"

    def seize(self, key: int) -> str:
        return f"SELECT pg_advisory_lock({key})"

    def release(self, key: int) -> str:
        return f"SELECT pg_advisory_unlock({key})"

    def held(self, key: int) -> str:
        """SQL that tells whether any session of the server holds `key`.

        Advisory locks are local to a database, so `pg_try_advisory_lock` on another
        one would not see the owner; pg_locks shows them all, with a 64-bit key split
        over classid and objid (pg_locks, PostgreSQL manual).
        """
        high, low = (key >> 32) & 0xFFFFFFFF, key & 0xFFFFFFFF
        return (
            "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory'"
            f" AND classid = {high} AND objid = {low} AND objsubid = 1"
        )

    def mark_own(self, database: str, text: str) -> tuple[tuple[str, ...], ...]:
        schema = (
            f"CREATE SCHEMA IF NOT EXISTS {_MARK_SCHEMA};"
            f" COMMENT ON SCHEMA {_MARK_SCHEMA} IS {literal(text)}"
        )
        return (self.mark(database, text), (f"DO {literal(f'BEGIN {schema}; END')}",))

    def unmark_own(self, database: str) -> tuple[str, ...]:
        return (
            f"COMMENT ON DATABASE {quote(database)} IS NULL",
            f"DROP SCHEMA IF EXISTS {_MARK_SCHEMA} CASCADE",
        )

    def clear(self, database: str, *, spared: Sequence[str]) -> Script:
        del database
        names = ", ".join(literal(name) for name in spared) or "NULL"
        drop = f"""
            DECLARE found record;
            BEGIN
                FOR found IN SELECT extname FROM pg_extension
                             WHERE extname NOT IN ({names}) LOOP
                    EXECUTE format('DROP EXTENSION IF EXISTS %I CASCADE',
                                   found.extname);
                END LOOP;
                FOR found IN SELECT * FROM ({_OBJECTS}) o ORDER BY rank LOOP
                    EXECUTE format('DROP %s IF EXISTS %s CASCADE',
                                   found.kind, found.name);
                END LOOP;
            END"""
        yield f"DO {literal(drop)}"


def _clone(
    template: str, database: str, *, durable: bool, version: tuple[int, ...]
) -> str:
    """SQL that makes `database` from `template`.

    FILE_COPY checkpoints twice, so it wins only where nothing is synced to disk (CREATE
    DATABASE, PostgreSQL manual); before 15 it is the only way.
    """
    strategy = f" STRATEGY {'WAL_LOG' if durable else 'FILE_COPY'}"
    if version < _STRATEGY_SINCE:
        strategy = ""
    return f"CREATE DATABASE {quote(database)} TEMPLATE {quote(template)}{strategy}"
