"""Undoing what was committed on PostgreSQL: by the server's own counters of changes.

Every row that is inserted, updated or deleted is counted by table, also by triggers,
cascades and functions, and also those of the catalogs, so that DDL is seen. Of a
sequence each use is counted, as a block that is fetched. Where rows were inserted only,
those go that are younger than the seed; else the whole table is filled again.
"""

from __future__ import annotations

from typing import Final

from pytest_asyncdb.backends._base import Restoration

__all__ = ["RESTORATION"]

_LARGEST: Final = 5_000
"""Rows of a table's seed above which a fresh clone is made in less time."""
_USERS: Final = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema')"
    " AND n.nspname NOT LIKE 'pg\\_%'"
)
_INSERTED: Final = "pg_stat_get_tuples_inserted({0})"
_REWRITTEN: Final = "pg_stat_get_tuples_updated({0}) + pg_stat_get_tuples_deleted({0})"
_COUNTED: Final = f"{_INSERTED} + {_REWRITTEN}"
_USES: Final = "pg_stat_get_blocks_fetched({0})"
# ANALYZE, also autovacuum's, writes the two that are left out.
_CATALOGS: Final = """
    CREATE TEMP TABLE asyncdb_catalogs AS
    SELECT c.oid FROM pg_class c
     WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r'
       AND NOT c.relisshared
       AND c.relname NOT IN ('pg_statistic', 'pg_statistic_ext_data')"""
_SCHEMA: Final = f"SELECT sum({_COUNTED.format('oid')}) FROM pg_temp.asyncdb_catalogs"

_SUPPORTED: Final = f"""
    SELECT current_setting('server_version_num')::int >= 150000
       AND current_setting('track_counts')::bool
       AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
       AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgenabled IN ('R', 'A'))
       AND NOT EXISTS (SELECT FROM pg_rewrite WHERE ev_enabled IN ('R', 'A'))
       AND NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n
                           ON n.oid = c.relnamespace
                        WHERE c.relkind = 'f' AND {_USERS})"""

_TABLES: Final = f"""
    CREATE TEMP TABLE asyncdb_tables AS
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name,
           0::bigint AS inserted, 0::bigint AS rewritten, NULL::xid AS since,
           (SELECT string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum)
              FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
               AND NOT a.attisdropped AND a.attgenerated = '') AS columns,
           NULL::text AS seed, false AS large
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {_USERS}"""
_SEQUENCES: Final = f"""
    CREATE TEMP TABLE asyncdb_sequences AS
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name,
           0::bigint AS value, false AS called, 0::bigint AS uses, 0::bigint AS step
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND {_USERS}"""
_SEEDS: Final = f"""
    DO $asyncdb$
    DECLARE each record; filled bigint;
    BEGIN
        FOR each IN SELECT * FROM pg_temp.asyncdb_tables LOOP
            EXECUTE format('SELECT count(*) FROM (SELECT FROM ONLY %s LIMIT %s) found',
                           each.name, {_LARGEST} + 1) INTO filled;
            IF filled > {_LARGEST} THEN
                UPDATE pg_temp.asyncdb_tables SET large = true WHERE oid = each.oid;
            ELSIF filled > 0 THEN
                EXECUTE format('CREATE TEMP TABLE asyncdb_seed_%s AS'
                               ' SELECT %s FROM ONLY %s',
                               each.oid, each.columns, each.name);
                UPDATE pg_temp.asyncdb_tables
                   SET seed = 'pg_temp.asyncdb_seed_' || each.oid WHERE oid = each.oid;
            END IF;
        END LOOP;
        FOR each IN SELECT * FROM pg_temp.asyncdb_sequences LOOP
            EXECUTE format('UPDATE pg_temp.asyncdb_sequences SET (value, called) ='
                           ' (SELECT last_value, is_called FROM %s) WHERE oid = %s',
                           each.name, each.oid);
        END LOOP;
    END $asyncdb$"""
_RESTORE: Final = f"""
    CREATE FUNCTION pg_temp.asyncdb_restore() RETURNS void LANGUAGE plpgsql AS $asyncdb$
    DECLARE each record; oldest xid; refilled bool := false;
            young bigint; old bigint; back bigint;
    BEGIN
        IF EXISTS (SELECT FROM pg_prepared_xacts
                    WHERE database = current_database()) THEN
            RAISE 'a prepared transaction';
        END IF;
        SELECT since INTO oldest FROM pg_temp.asyncdb_tables
         WHERE oid = 0 AND inserted = ({_SCHEMA});
        IF NOT FOUND THEN
            RAISE 'the schema';
        END IF;
        FOR each IN SELECT t.*, now.inserted AS new, now.rewritten AS other
                      FROM pg_temp.asyncdb_tables t,
                           LATERAL (SELECT {_INSERTED.format("t.oid")} AS inserted,
                                           {_REWRITTEN.format("t.oid")} AS rewritten
                                   ) now
                     WHERE t.oid <> 0 AND (now.inserted <> t.inserted
                                           OR now.rewritten <> t.rewritten) LOOP
            young := 0;
            old := 0;
            back := 0;
            IF each.other = each.rewritten THEN
                EXECUTE format('DELETE FROM ONLY %s WHERE age(xmin) < age(%L::xid)',
                               each.name, oldest);
                GET DIAGNOSTICS young = ROW_COUNT;
            END IF;
            -- Not all that came are found: undone, or by a transaction that is older.
            IF each.other <> each.rewritten OR young <> each.new - each.inserted THEN
                IF each.large THEN
                    RAISE 'a large table';
                END IF;
                EXECUTE 'DELETE FROM ONLY ' || each.name;
                GET DIAGNOSTICS old = ROW_COUNT;
                IF each.seed IS NOT NULL THEN
                    EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE'
                                   ' SELECT %2$s FROM %3$s',
                                   each.name, each.columns, each.seed);
                    GET DIAGNOSTICS back = ROW_COUNT;
                    refilled := true;
                END IF;
            END IF;
            UPDATE pg_temp.asyncdb_tables
               SET inserted = each.new + back, rewritten = each.other + young + old
             WHERE oid = each.oid;
        END LOOP;
        FOR each IN SELECT s.*, now.uses AS found
                      FROM pg_temp.asyncdb_sequences s,
                           LATERAL (SELECT {_USES.format("s.oid")} AS uses) now
                     WHERE now.uses <> s.uses LOOP
            PERFORM setval(each.oid::regclass, each.value, each.called);
            UPDATE pg_temp.asyncdb_sequences SET uses = each.found + each.step
             WHERE oid = each.oid;
        END LOOP;
        IF refilled THEN
            UPDATE pg_temp.asyncdb_tables SET since = pg_current_xact_id()::xid
             WHERE oid = 0;
        END IF;
        PERFORM pg_stat_force_next_flush();
    END $asyncdb$"""
_COUNT: Final = f"""
    INSERT INTO pg_temp.asyncdb_tables (oid, inserted, since)
    VALUES (0, ({_SCHEMA}), pg_current_xact_id()::xid);
    UPDATE pg_temp.asyncdb_tables
       SET inserted = {_INSERTED.format("oid")}, rewritten = {_REWRITTEN.format("oid")}
     WHERE oid <> 0"""
# How many uses it is to put a sequence back, the server says itself.
_USED: Final = f"UPDATE pg_temp.asyncdb_sequences SET uses = {_USES.format('oid')}"
_PUT_BACK: Final = "SELECT setval(oid::regclass, value, called) FROM asyncdb_sequences"
_STEP: Final = f"""
    UPDATE pg_temp.asyncdb_sequences
       SET step = {_USES.format("oid")} - uses, uses = {_USES.format("oid")}"""

# No triggers and no foreign keys here. Once for the session: the setting throws all
# plans away whenever it changes.
_SETTINGS: Final = (
    "SET session_replication_role = replica",
    "SET lock_timeout = '3s'",
)
_FLUSH: Final = "SELECT pg_stat_force_next_flush()"

RESTORATION: Final = Restoration(
    supported=_SUPPORTED,
    prepare=(
        *_SETTINGS,
        *(_CATALOGS, _TABLES, _SEQUENCES, _SEEDS, _RESTORE, _FLUSH, _USED),
        *(_PUT_BACK, _FLUSH, _STEP, _COUNT),
    ),
    flush=(_FLUSH,),
    worn="UPDATE pg_temp.asyncdb_sequences SET uses = -1",
    restore="SELECT pg_temp.asyncdb_restore()",
    holders=(
        "SELECT pid, format('pid %s of %s, %s: %s', pid, usename, state, query)"
        " FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        " AND state <> 'idle'"
    ),
    prepared=(
        "SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts"
        " WHERE database = current_database()"
    ),
)
