"""The schema of a PostgreSQL database, from its catalogs in one statement.

Every value is the server's own rendering. Names are qualified, since `search_path` is
empty while they are read. OIDs, attribute numbers, positions of sequences and what
belongs to extensions are left out, and the number that newer servers keep of each
change of a column, `pg_attver`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.migrations._prepared import rows
from pytest_asyncdb.migrations._schema import Schema

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from pytest_asyncdb.migrations._schema import Objects

__all__ = ["cluster", "read"]

_FIRST: Final = 16384
"""Objects with smaller OIDs are of the server's own (FirstNormalObjectId)."""
_PREPARED: Final = "asyncdb_schema"
_OWN: Final = "left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'"
_KINDS_BY_PROPERTY: Final = ("table", "type")


@dataclass(frozen=True, slots=True)
class _Part:
    """Objects of one kind: a query of (name, array of values), and what these are."""

    kind: str
    properties: tuple[str, ...]
    sql: str


def _part(kind: str, properties: str, sql: str) -> _Part:
    return _Part(kind, tuple(each.strip() for each in properties.split(",")), sql)


def _no_member(catalog: str, oid: str) -> str:
    """The object does not belong to an extension."""
    return (
        f"{oid} NOT IN (SELECT x.objid FROM members x"
        f" WHERE x.classid = '{catalog}'::regclass)"
    )


def _own(catalog: str, oid: str) -> str:
    """The object is in a schema of the project's, and not of an extension."""
    return f"{oid} >= {_FIRST} AND {_OWN} AND {_no_member(catalog, oid)}"


def _grants(acl: str, kind: str, owner: str) -> str:
    """An ACL in a fixed order; NULL where it says what is so by default."""
    entries = "SELECT string_agg(i::text, ' ' ORDER BY i::text) FROM unnest({}) i"
    given = entries.format(acl)
    usual = entries.format(f"acldefault('{kind}', {owner})")
    return (
        f"CASE WHEN {acl} IS NOT NULL"
        f" THEN nullif(coalesce(({given}), 'none'), ({usual})) END"
    )


def _tablespace(oid: str) -> str:
    return (
        f"CASE WHEN {oid} <> 0"
        f" THEN (SELECT spcname FROM pg_tablespace s WHERE s.oid = {oid})::text END"
    )


_PARTS: Final = (
    _part(
        "schema",
        "owner, grants",
        f"""SELECT quote_ident(n.nspname), ARRAY[
            n.nspowner::regrole::text, {_grants("n.nspacl", "n", "n.nspowner")}]
        FROM pg_namespace n WHERE {_OWN} AND {_no_member("pg_namespace", "n.oid")}""",
    ),
    _part(
        "extension",
        "version, schema",
        """SELECT quote_ident(extname), ARRAY[
            extversion, extnamespace::regnamespace::text] FROM pg_extension""",
    ),
    _part(
        "table",
        "is, column order, owner, grants, definition, partition key, partition of,"
        " bound, persistence, row security, options, tablespace, access method,"
        " replica identity, populated, of type",
        f"""SELECT o.oid::regclass::text, ARRAY[
            CASE o.relkind WHEN 'f' THEN 'foreign table' WHEN 'v' THEN 'view'
                WHEN 'm' THEN 'materialized view' END,
            (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
                FROM pg_attribute
                WHERE attrelid = o.oid AND attnum > 0 AND NOT attisdropped),
            o.relowner::regrole::text, {_grants("o.relacl", "r", "o.relowner")},
            CASE WHEN o.relkind IN ('v', 'm') THEN pg_get_viewdef(o.oid) END,
            CASE WHEN o.relkind = 'p' THEN pg_get_partkeydef(o.oid) END,
            (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
                FROM pg_inherits i WHERE i.inhrelid = o.oid),
            CASE WHEN o.relispartition THEN pg_get_expr(o.relpartbound, o.oid) END,
            nullif(o.relpersistence::text, 'p'),
            CASE WHEN o.relforcerowsecurity THEN 'forced'
                WHEN o.relrowsecurity THEN 'enabled' END,
            array_to_string(o.reloptions, ', '),
            {_tablespace("o.reltablespace")},
            CASE WHEN o.relam NOT IN (0, 2)
                THEN (SELECT amname FROM pg_am a WHERE a.oid = o.relam)::text END,
            CASE WHEN o.relkind IN ('r', 'p') THEN nullif(o.relreplident::text, 'd')
                END,
            CASE WHEN o.relkind = 'm' THEN o.relispopulated::text END,
            CASE WHEN o.reloftype <> 0 THEN o.reloftype::regtype::text END]
        FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace
        WHERE o.relkind IN ('r', 'p', 'f', 'v', 'm') AND {_own("pg_class", "o.oid")}""",
    ),
    _part(
        "column",
        "table, type, nullable, default, generated, identity, collation, storage,"
        " compression, statistics, options, grants",
        f"""SELECT o.oid::regclass::text || '.' || quote_ident(a.attname), ARRAY[
            o.oid::regclass::text, format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN 'no' ELSE 'yes' END,
            CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
            CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) ||
                CASE a.attgenerated WHEN 's' THEN ' STORED' ELSE ' VIRTUAL' END END,
            CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END,
            CASE WHEN a.attcollation <> t.typcollation
                THEN a.attcollation::regcollation::text END,
            CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage::text END,
            nullif(a.attcompression::text, ''), nullif(a.attstattarget, -1)::text,
            CASE WHEN a.attoptions IS NOT NULL THEN
                (SELECT string_agg(i, ', ' ORDER BY i) FROM unnest(a.attoptions) i
                WHERE left(i, 10) <> 'pg_attver=') END, a.attacl::text]
        FROM pg_attribute a JOIN pg_class o ON o.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = o.relnamespace
        JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d
            ON a.atthasdef AND d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE o.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND a.attnum > 0
            AND a.attrelid >= {_FIRST} AND NOT a.attisdropped
            AND {_own("pg_class", "o.oid")}""",
    ),
    _part(
        "constraint",
        "table, definition, inherited, index",
        f"""SELECT c.place || '.' || quote_ident(c.conname), ARRAY[
            c.place, pg_get_constraintdef(c.oid),
            CASE WHEN c.coninhcount > 0 THEN 'yes' END,
            (SELECT nullif(concat_ws(' ',
                CASE WHEN i.indisclustered THEN 'clustered' END,
                CASE WHEN i.indisreplident THEN 'replica identity' END,
                CASE WHEN NOT i.indisvalid THEN 'invalid' END,
                x.reloptions::text, {_tablespace("x.reltablespace")}), '')
                FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                WHERE i.indexrelid = c.conindid AND c.contype IN ('p', 'u', 'x'))]
        FROM (SELECT *, CASE WHEN conrelid <> 0 THEN conrelid::regclass::text
                ELSE contypid::regtype::text END AS place FROM pg_constraint) c
        JOIN pg_namespace n ON n.oid = c.connamespace
        WHERE c.contype IN ('c', 'f', 'p', 'u', 'x')
            AND c.oid >= {_FIRST} AND {_OWN}
            AND {_no_member("pg_class", "c.conrelid")}
            AND {_no_member("pg_type", "c.contypid")}""",
    ),
    _part(
        "index",
        "table, definition, valid, clustered, replica identity, tablespace",
        f"""SELECT i.indexrelid::regclass::text, ARRAY[
            i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid),
            CASE WHEN NOT i.indisvalid THEN 'no' END,
            CASE WHEN i.indisclustered THEN 'yes' END,
            CASE WHEN i.indisreplident THEN 'yes' END,
            {_tablespace("o.reltablespace")}]
        FROM pg_index i JOIN pg_class o ON o.oid = i.indexrelid
        JOIN pg_namespace n ON n.oid = o.relnamespace
        WHERE i.indexrelid >= {_FIRST} AND {_own("pg_class", "i.indrelid")}
            AND NOT EXISTS (
            SELECT FROM pg_constraint c
            WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))""",
    ),
    _part(
        "sequence",
        "definition, owned by, persistence, owner, grants",
        f"""SELECT o.oid::regclass::text, ARRAY[
            concat_ws(' ', 'AS', format_type(s.seqtypid, NULL),
                'START', s.seqstart, 'INCREMENT', s.seqincrement,
                'MINVALUE', s.seqmin, 'MAXVALUE', s.seqmax, 'CACHE', s.seqcache,
                CASE WHEN s.seqcycle THEN 'CYCLE' END),
            (SELECT CASE d.deptype WHEN 'i' THEN 'identity ' ELSE '' END
                    || d.refobjid::regclass::text || '.' || quote_ident(a.attname)
                FROM pg_depend d JOIN pg_attribute a
                ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE d.classid = 'pg_class'::regclass AND d.objid = o.oid
                AND d.deptype IN ('a', 'i') LIMIT 1),
            nullif(o.relpersistence::text, 'p'), o.relowner::regrole::text,
            {_grants("o.relacl", "s", "o.relowner")}]
        FROM pg_sequence s JOIN pg_class o ON o.oid = s.seqrelid
        JOIN pg_namespace n ON n.oid = o.relnamespace
        WHERE {_own("pg_class", "o.oid")}""",
    ),
    _part(
        "type",
        "is, values, base, default, nullable, collation, attributes, range of, owner,"
        " grants",
        f"""SELECT o.oid::regtype::text, ARRAY[
            CASE o.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain'
                WHEN 'c' THEN 'composite type' WHEN 'r' THEN 'range type'
                ELSE 'base type' END,
            CASE WHEN o.typtype = 'e' THEN
                (SELECT string_agg(quote_literal(enumlabel), ', '
                    ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = o.oid) END,
            CASE WHEN o.typtype = 'd' THEN format_type(o.typbasetype, o.typtypmod) END,
            o.typdefault,
            CASE WHEN o.typtype = 'd' AND o.typnotnull THEN 'no' END,
            CASE WHEN o.typtype = 'd' THEN nullif(o.typcollation,
                (SELECT typcollation FROM pg_type b WHERE b.oid = o.typbasetype)
                )::regcollation::text END,
            CASE WHEN o.typtype = 'c' THEN
                (SELECT string_agg(quote_ident(attname) || ' '
                    || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
                FROM pg_attribute WHERE attrelid = o.typrelid AND attnum > 0
                AND NOT attisdropped) END,
            CASE WHEN o.typtype = 'r' THEN (SELECT format_type(rngsubtype, NULL)
                FROM pg_range WHERE rngtypid = o.oid) END,
            o.typowner::regrole::text, {_grants("o.typacl", "T", "o.typowner")}]
        FROM pg_type o JOIN pg_namespace n ON n.oid = o.typnamespace
        WHERE o.typtype IN ('e', 'd', 'c', 'r', 'b') AND o.typcategory <> 'A'
            AND (o.typrelid = 0
                OR (SELECT relkind FROM pg_class WHERE oid = o.typrelid) = 'c')
            AND {_own("pg_type", "o.oid")}""",
    ),
    _part(
        "function",
        "definition, owner, grants",
        f"""SELECT o.oid::regprocedure::text, ARRAY[
            CASE WHEN o.prokind <> 'a' THEN pg_get_functiondef(o.oid) ELSE
                (SELECT concat_ws(' ', 'aggregate', g.aggtransfn, g.aggfinalfn,
                    g.aggtranstype::regtype, g.agginitval, g.aggcombinefn)
                FROM pg_aggregate g WHERE g.aggfnoid = o.oid) END,
            o.proowner::regrole::text, {_grants("o.proacl", "f", "o.proowner")}]
        FROM pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace
        WHERE {_own("pg_proc", "o.oid")} AND NOT EXISTS (
            SELECT FROM pg_depend x WHERE x.classid = 'pg_proc'::regclass
            AND x.objid = o.oid AND x.deptype = 'i')""",
    ),
    _part(
        "trigger",
        "table, definition, enabled",
        f"""SELECT o.oid::regclass::text || '.' || quote_ident(t.tgname), ARRAY[
            o.oid::regclass::text, pg_get_triggerdef(t.oid),
            nullif(t.tgenabled::text, 'O')]
        FROM pg_trigger t JOIN pg_class o ON o.oid = t.tgrelid
        JOIN pg_namespace n ON n.oid = o.relnamespace
        WHERE t.oid >= {_FIRST} AND NOT t.tgisinternal AND t.tgparentid = 0
            AND {_own("pg_class", "o.oid")}""",
    ),
    _part(
        "rule",
        "table, definition, enabled",
        f"""SELECT o.oid::regclass::text || '.' || quote_ident(r.rulename), ARRAY[
            o.oid::regclass::text, pg_get_ruledef(r.oid),
            nullif(r.ev_enabled::text, 'O')]
        FROM pg_rewrite r JOIN pg_class o ON o.oid = r.ev_class
        JOIN pg_namespace n ON n.oid = o.relnamespace
        WHERE r.oid >= {_FIRST} AND r.rulename <> '_RETURN'
            AND {_own("pg_class", "o.oid")}""",
    ),
    _part(
        "policy",
        "table, command, kind, roles, using, check",
        """SELECT p.polrelid::regclass::text || '.' || quote_ident(p.polname), ARRAY[
            p.polrelid::regclass::text, p.polcmd::text,
            CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
            (SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE r::regrole::text END,
                ', ' ORDER BY 1) FROM unnest(p.polroles) r),
            pg_get_expr(p.polqual, p.polrelid),
            pg_get_expr(p.polwithcheck, p.polrelid)] FROM pg_policy p""",
    ),
    _part(
        "statistics",
        "table, definition, target",
        f"""SELECT n.nspname || '.' || quote_ident(o.stxname), ARRAY[
            o.stxrelid::regclass::text, pg_get_statisticsobjdef(o.oid),
            nullif(o.stxstattarget, -1)::text]
        FROM pg_statistic_ext o JOIN pg_namespace n ON n.oid = o.stxnamespace
        WHERE {_own("pg_statistic_ext", "o.oid")}""",
    ),
    _part(
        "publication",
        "of, publish",
        """SELECT quote_ident(p.pubname), ARRAY[
            CASE WHEN p.puballtables THEN 'all tables' ELSE
                (SELECT string_agg((to_jsonb(t) - 'pubname')::text, ', '
                    ORDER BY t.schemaname, t.tablename)
                FROM pg_publication_tables t WHERE t.pubname = p.pubname) END,
            concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END,
                CASE WHEN p.pubupdate THEN 'update' END,
                CASE WHEN p.pubdelete THEN 'delete' END,
                CASE WHEN p.pubtruncate THEN 'truncate' END,
                CASE WHEN p.pubviaroot THEN 'via root' END)] FROM pg_publication p""",
    ),
    _part(
        "event trigger",
        "event, function, tags, enabled",
        """SELECT quote_ident(evtname), ARRAY[evtevent::text,
            evtfoid::regprocedure::text, evttags::text, nullif(evtenabled::text, 'O')]
        FROM pg_event_trigger""",
    ),
    _part(
        "default privileges",
        "grants",
        """SELECT concat_ws(' ', defaclrole::regrole,
            nullif(defaclnamespace, 0)::regnamespace, defaclobjtype),
            ARRAY[defaclacl::text] FROM pg_default_acl""",
    ),
    _part(
        "database setting",
        "value",
        """SELECT coalesce(nullif(setrole, 0)::regrole::text, 'all'),
            ARRAY[setconfig::text] FROM pg_db_role_setting WHERE setdatabase =
            (SELECT oid FROM pg_database WHERE datname = current_database())""",
    ),
    _part(
        "comment",
        "text",
        f"""SELECT pg_describe_object(d.classoid, d.objoid, d.objsubid),
            ARRAY[d.description] FROM pg_description d
        WHERE d.objoid >= {_FIRST} AND d.classoid <> 'pg_extension'::regclass
            AND {_no_member("pg_class", "d.objoid")}
            AND (d.classoid, d.objoid) NOT IN (
                SELECT x.classid, x.objid FROM members x)""",
    ),
)

_BY_EXISTENCE: Final = (
    *("operator", "opclass", "opfamily", "collation", "conversion", "cast"),
    *("ts_config", "ts_dict", "ts_parser", "ts_template", "foreign_data_wrapper"),
    *("foreign_server", "user_mapping", "language", "transform", "am"),
)
_RARE: Final = tuple(
    _Part(
        name.replace("_", " "),
        (),
        f"SELECT pg_describe_object('pg_{name}'::regclass, o.oid, 0), ARRAY[]::text[]"
        f" FROM pg_{name} o"
        f" WHERE o.oid >= {_FIRST} AND {_no_member(f'pg_{name}', 'o.oid')}",
    )
    for name in _BY_EXISTENCE
)
_ALL: Final = (*_PARTS, *_RARE)
_MEMBERS: Final = """WITH members AS MATERIALIZED (
    SELECT classid, objid FROM pg_depend
    WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e')"""
_READY: Final = f"""SELECT EXISTS (
    SELECT FROM pg_prepared_statements WHERE name = '{_PREPARED}'),
    set_config('asyncdb.jit', current_setting('jit'), true),
    set_config('jit', 'off', true)"""
_ENTER: Final = """SELECT NULL::integer,
    set_config('asyncdb.search_path', current_setting('search_path'), true),
    ARRAY[set_config('search_path', '', true)]"""
_LEAVE: Final = """SELECT NULL::integer,
    set_config('search_path', current_setting('asyncdb.search_path'), true),
    ARRAY[set_config('jit', current_setting('asyncdb.jit'), true)]"""
_NUMBERED: Final = [
    each.sql.replace("SELECT ", f"SELECT {number}, ", 1)
    for number, each in enumerate(_ALL)
]
_QUERY: Final = f"{_MEMBERS}\n" + "\nUNION ALL\n".join([_ENTER, *_NUMBERED, _LEAVE])
"""Its parts run one after the other, so `search_path` is empty for those between."""
_CLUSTER: Final = """SELECT 'role ' || quote_ident(rolname) FROM pg_roles
    WHERE rolname !~ '^pg_'
    UNION ALL SELECT 'tablespace ' || quote_ident(spcname) FROM pg_tablespace
    WHERE spcname !~ '^pg_'"""


def read(connection: Connection, ignore: Collection[str]) -> Schema:
    """The schema that this transaction sees, without the tables named in `ignore`.

    `search_path` and `jit` are as before when it returns. The query is planned once for
    each connection, and again where somebody has discarded it; compiling all of it
    would take a thousand times as long as running it.
    """
    is_prepared, *_ = rows(connection, _READY)[0]
    if not is_prepared:
        rows(connection, f"PREPARE {_PREPARED} AS {_QUERY}")
    found = rows(connection, f"EXECUTE {_PREPARED}")
    return Schema("postgresql", _objects(found, ignore))


def _objects(rows: Sequence[Any], ignore: Collection[str]) -> Objects:
    found: dict[str, dict[str, dict[str, str]]] = {}
    for number, name, values in rows[1:-1]:
        part = _ALL[number]
        said = dict(zip(part.properties, values, strict=True))
        properties = {key: value for key, value in said.items() if value is not None}
        if not _is_ignored(name, properties, ignore):
            kind = part.kind
            if kind in _KINDS_BY_PROPERTY:
                kind = properties.pop("is", kind)
            found.setdefault(kind, {})[name] = properties
    return found


def _is_ignored(name: str, properties: dict[str, str], ignore: Collection[str]) -> bool:
    place = properties.get("table", name)
    return place.rpartition(".")[2] in ignore


def cluster(connection: Connection) -> frozenset[str]:
    """Roles and tablespaces, which belong to no database."""
    return frozenset(name for (name,) in rows(connection, _CLUSTER))
