"""What an SQL text does, as far as its words tell: reads, writes, ends a transaction.

The rule is to know what is harmless, and to call everything else a write. A `SELECT`
of a function that nobody listed may insert a row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SavepointText", "Text", "classify"]

# What can hide words that are none: literals, quoted names, comments. PostgreSQL nests
# comments, which nobody does; an unknown rest makes a write, never a read.
_OPAQUE: Final = re.compile(
    r"""
    (?P<literal> (?<![\w$])[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*'
               | (?<![\w$])\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$ )
    | (?P<quoted> "(?:[^"]|"")*" | `(?:[^`]|``)*` )
    | (?P<comment> --[^\n]* | /\*.*?\*/ )
    """,
    re.VERBOSE | re.DOTALL,
)
# MySQL and MariaDB: a backslash escapes, "" is a string, and some comments are code.
_MYSQL_OPAQUE: Final = re.compile(
    r"""
    (?P<literal> '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" )
    | (?P<quoted> `(?:[^`]|``)*` )
    | (?P<comment> --(?=\s)[^\n]* | \#[^\n]* | /\*(?!M?!).*?\*/ | /\*M?!\d* | \*/ )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMITTING: Final = re.compile(
    r"((ALTER|FLUSH|RESET|INSTALL|UNINSTALL|RENAME|TRUNCATE|GRANT|REVOKE|LOCK|UNLOCK"
    r"|REPAIR|OPTIMIZE|CACHE|CHANGE|STOP|BACKUP|SHUTDOWN|SET\s+PASSWORD)\b"
    r"|CREATE\s+(?!(OR\s+REPLACE\s+)?TEMPORARY\b)|DROP\s+(?!TEMPORARY\b|PREPARE\b)"
    r"|(ANALYZE|CHECK|CHECKSUM)\s+((LOCAL|NO_WRITE_TO_BINLOG)\s+)?TABLES?\b"
    r"|LOAD\s+INDEX\b|START\s+(SLAVE|REPLICA)\b)"
)
_ASSIGNS: Final = re.compile(r"@[\w$.\"]*\s*:=")
_AUTOCOMMIT: Final = re.compile(r"SET\b.*\bAUTOCOMMIT\b", re.DOTALL)
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9$]*")
_CALL: Final = re.compile(r"((?:[\w$]+|\"\")\s*\.\s*)?([A-Za-z_][\w$]*|\"\")\s*\(")
_NAMED_QUERY: Final = re.compile(
    r"(?:\bWITH|\bRECURSIVE|,)\s+([A-Z_][\w$]*)\s*\([\w$\s,\"]*\)\s+AS\b"
)
# A name with a list of columns, which looks like a call.
_TARGET: Final = re.compile(
    r"\b(INTO|UPDATE|CONFLICT|AS)\s+(?:[\w$]+|\"\")(?:\.(?:[\w$]+|\"\"))?\s*(?=\()"
)
_LOCAL: Final = re.compile(
    r"\bSET\s+LOCAL\s+(?!TIME\b|SESSION\b|XML\b)([\w.]+)"
    r"|\bset_config\s*\(\s*'([\w.]+)'\s*,[^;]*?,\s*true\s*\)",
    re.IGNORECASE,
)
_ALIAS: Final = re.compile(r"\bAS\s+(?:[\w$]+|\"\")\s*\(")
_PRAGMA_QUERY: Final = re.compile(
    r"\b(TABLE_X?INFO|TABLE_LIST|INDEX_LIST|INDEX_X?INFO|FOREIGN_KEY_(LIST|CHECK)"
    r"|(DATABASE|COLLATION|FUNCTION|PRAGMA)_LIST|INTEGRITY_CHECK|QUICK_CHECK)\b"
)
_READERS: Final = frozenset(
    "SELECT SHOW VALUES TABLE WITH EXPLAIN FETCH DESCRIBE DESC".split()
)
_WRITING_WORDS: Final = re.compile(
    r"\b(INSERT|UPDATE|DELETE|MERGE|REPLACE\s+INTO|INTO|LOCK|ANALYZE"
    r"|FOR\s+(UPDATE|SHARE|NO\s+KEY|KEY))\b"
)
_CONTROL: Final = re.compile(
    r"(COMMIT|END|ABORT|BEGIN|START\s+TRANSACTION|PREPARE\s+TRANSACTION|XA\s+\w+"
    r"|ROLLBACK(?!\s+(?:TO|WORK\s+TO|TRANSACTION\s+TO)\b))\b"
)
_SAVEPOINT: Final = re.compile(
    r"\s*(?P<verb>SAVEPOINT|RELEASE(?:\s+SAVEPOINT)?"
    r"|ROLLBACK(?:\s+(?:WORK|TRANSACTION))?\s+TO(?:\s+SAVEPOINT)?)"
    r"\s+(?P<name>[A-Za-z_][\w$]*|\"[^\"]+\"|`[^`]+`)\s*;?\s*\Z",
    re.IGNORECASE,
)
_DEFINING: Final = frozenset(
    "CREATE ALTER DROP TRUNCATE COMMENT GRANT REVOKE REINDEX SECURITY RENAME".split()
)
_SESSION: Final = frozenset(
    "SET RESET LISTEN UNLISTEN DISCARD LOAD DECLARE ATTACH DETACH DO CALL".split()
)
_STICKY: Final = frozenset({"PREPARE", "DEALLOCATE", "EXECUTE"})
_BODY: Final = re.compile(r"CREATE\s.*?\bBEGIN\b.*?\bEND\b\s*(?=;|\Z)", re.DOTALL)
_ROUTINE: Final = re.compile(
    r"\s*CREATE\s+(OR\s+REPLACE\s+|TEMP\s+|TEMPORARY\s+)*(FUNCTION|PROCEDURE|TRIGGER)\b"
)

# Words before a parenthesis that call nothing.
_SYNTAX: Final = frozenset(
    """
    ALL AND ANY AS ASC BETWEEN BY CASE CHECK COLLATE CONFLICT CROSS CUBE DESC DISTINCT
    ELSE END ESCAPE EXCEPT EXISTS FETCH FILTER FOLLOWING FROM FULL GROUP GROUPING
    HAVING ILIKE IN INNER INTERSECT INTERVAL IS ISNULL JOIN LATERAL LEFT LIKE LIMIT
    MATCH MATERIALIZED NATURAL NOT NOTNULL NULL OFFSET ON OR ORDER OUTER OVER OVERLAPS
    PARTITION PRECEDING RANGE RECURSIVE RETURNING RIGHT ROLLUP ROW ROWS SELECT SET
    SETS SHOW SIMILAR SOME TABLE TABLESAMPLE THEN UNION USING VALUES WHEN WHERE WINDOW
    WITH WITHIN BIGINT BIT BOOLEAN CHAR CHARACTER DATE DECIMAL DOUBLE FLOAT INT
    INTEGER NCHAR NUMERIC PRECISION REAL SMALLINT TEXT TIME TIMESTAMP TIMESTAMPTZ
    TIMETZ VARBIT VARCHAR VARYING
    """.split()
)
# Built-in functions that read their arguments (and the clock) and nothing else.
_PURE: Final = frozenset(
    """
    ABBREV ABS ACOS ACOSD AGE AREA ARRAY ARRAY_AGG ARRAY_APPEND ARRAY_CAT ARRAY_DIMS
    ARRAY_FILL ARRAY_LENGTH ARRAY_LOWER ARRAY_NDIMS ARRAY_POSITION ARRAY_POSITIONS
    ARRAY_PREPEND ARRAY_REMOVE ARRAY_REPLACE ARRAY_TO_JSON ARRAY_TO_STRING
    ARRAY_TO_TSVECTOR ARRAY_UPPER ASCII ASIN ASIND ATAN ATAN2 ATAND AVG BIT_AND
    BIT_COUNT BIT_LENGTH BIT_OR BOOL_AND BOOL_OR BOX BROADCAST BTRIM CARDINALITY CAST
    CBRT CEIL CEILING CENTER CHARACTER_LENGTH CHAR_LENGTH CHR CIRCLE CLOCK_TIMESTAMP
    COALESCE COL_DESCRIPTION CONCAT CONCAT_WS CONVERT_FROM CONVERT_TO CORR COS COSD
    COSH COT COTD COUNT COVAR_POP CUME_DIST CURRENT_CATALOG CURRENT_DATABASE
    CURRENT_DATE CURRENT_SCHEMA CURRENT_SCHEMAS CURRENT_SETTING CURRENT_TIME
    CURRENT_TIMESTAMP CURRENT_USER DATE DATERANGE DATETIME DATE_BIN DATE_PART
    DATE_TRUNC DECODE DEGREES DENSE_RANK DIAMETER DIV ENCODE ENUM_FIRST ENUM_LAST
    ENUM_RANGE EVERY EXP EXTRACT FACTORIAL FAMILY FIRST_VALUE FLOOR FORMAT FORMAT_TYPE
    GCD GENERATE_SERIES GENERATE_SUBSCRIPTS GEN_RANDOM_UUID GREATEST GROUP_CONCAT
    HAS_SCHEMA_PRIVILEGE HAS_TABLE_PRIVILEGE HEX HOST IFNULL IIF INITCAP INSTR
    INT4RANGE INT8RANGE ISEMPTY ISFINITE JSON JSONB_AGG JSONB_ARRAY_ELEMENTS
    JSONB_ARRAY_ELEMENTS_TEXT JSONB_ARRAY_LENGTH JSONB_BUILD_ARRAY JSONB_BUILD_OBJECT
    JSONB_EACH JSONB_EACH_TEXT JSONB_EXTRACT_PATH JSONB_EXTRACT_PATH_TEXT JSONB_INSERT
    JSONB_OBJECT JSONB_OBJECT_AGG JSONB_OBJECT_KEYS JSONB_PATH_EXISTS JSONB_PATH_MATCH
    JSONB_PATH_QUERY JSONB_PATH_QUERY_ARRAY JSONB_PATH_QUERY_FIRST
    JSONB_POPULATE_RECORD JSONB_PRETTY JSONB_SET JSONB_STRIP_NULLS JSONB_TO_RECORD
    JSONB_TO_RECORDSET JSONB_TYPEOF JSON_AGG JSON_ARRAY JSON_ARRAY_ELEMENTS
    JSON_ARRAY_ELEMENTS_TEXT JSON_ARRAY_LENGTH JSON_BUILD_ARRAY JSON_BUILD_OBJECT
    JSON_EACH JSON_EACH_TEXT JSON_EXTRACT JSON_EXTRACT_PATH JSON_EXTRACT_PATH_TEXT
    JSON_GROUP_ARRAY JSON_GROUP_OBJECT JSON_OBJECT JSON_OBJECT_AGG JSON_OBJECT_KEYS
    JSON_POPULATE_RECORD JSON_QUOTE JSON_STRIP_NULLS JSON_TO_RECORD JSON_TO_RECORDSET
    JSON_TREE JSON_TYPE JSON_TYPEOF JSON_VALID JULIANDAY JUSTIFY_DAYS JUSTIFY_HOURS
    JUSTIFY_INTERVAL LAG LAST_INSERT_ROWID LAST_VALUE LCM LEAD LEAST LEFT LENGTH LN
    LOCALTIME LOCALTIMESTAMP LOG LOG10 LOG2 LOWER LOWER_INC LOWER_INF LPAD LSEG LTRIM
    MAKE_DATE MAKE_INTERVAL MAKE_TIME MAKE_TIMESTAMP MAKE_TIMESTAMPTZ MASKLEN MAX MD5
    MIN MOD MODE NETMASK NETWORK NORMALIZE NOW NTH_VALUE NTILE NULLIF NUMNODE NUMRANGE
    NUM_NONNULLS NUM_NULLS OBJ_DESCRIPTION OCTET_LENGTH OVERLAY PARSE_IDENT PATH
    PERCENTILE_CONT PERCENTILE_DISC PERCENT_RANK PG_BACKEND_PID PG_CLIENT_ENCODING
    PG_COLLATION_IS_VISIBLE PG_COLUMN_SIZE PG_CURRENT_XACT_ID PG_DATABASE_SIZE
    PG_FUNCTION_IS_VISIBLE PG_GET_CONSTRAINTDEF PG_GET_EXPR PG_GET_FUNCTIONDEF
    PG_GET_INDEXDEF PG_GET_SERIAL_SEQUENCE PG_GET_TRIGGERDEF PG_GET_USERBYID
    PG_GET_VIEWDEF PG_INDEXES_SIZE PG_RELATION_SIZE PG_SIZE_PRETTY PG_SLEEP
    PG_TABLE_IS_VISIBLE PG_TABLE_SIZE PG_TOTAL_RELATION_SIZE PG_TYPEOF
    PG_TYPE_IS_VISIBLE PHRASETO_TSQUERY PI PLAINTO_TSQUERY POINT POLYGON POSITION POW
    POWER PRINTF QUERYTREE QUOTE QUOTE_IDENT QUOTE_LITERAL QUOTE_NULLABLE RADIANS
    RANDOM RANK REGEXP_COUNT REGEXP_INSTR REGEXP_LIKE REGEXP_MATCH REGEXP_MATCHES
    REGEXP_REPLACE REGEXP_SPLIT_TO_ARRAY REGEXP_SUBSTR REPEAT REPLACE REVERSE RIGHT
    ROUND ROW_NUMBER ROW_TO_JSON RPAD RTRIM SCALE SESSION_USER SETWEIGHT SHA224 SHA256
    SHA512 SHOBJ_DESCRIPTION SIGN SIN SIND SINH SPLIT_PART SQLITE_VERSION SQRT
    STARTS_WITH STATEMENT_TIMESTAMP STDDEV STDDEV_POP STDDEV_SAMP STRFTIME STRING_AGG
    STRING_TO_ARRAY STRIP STRPOS SUBSTR SUBSTRING SUM TAN TAND TANH TIMEOFDAY TOTAL
    TO_CHAR TO_DATE TO_HEX TO_JSON TO_JSONB TO_NUMBER TO_REGCLASS TO_TIMESTAMP
    TO_TSQUERY TO_TSVECTOR TRANSACTION_TIMESTAMP TRANSLATE TRIM TRIM_ARRAY TRUNC
    TSQUERY_PHRASE TSRANGE TSTZRANGE TSVECTOR_TO_ARRAY TS_DELETE TS_FILTER TS_HEADLINE
    TS_RANK TS_RANK_CD TXID_CURRENT TYPEOF UNACCENT UNICODE UNISTR
    UNIXEPOCH UNNEST UPPER UPPER_INC UPPER_INF UUIDV4 UUIDV7 VARIANCE VAR_POP VAR_SAMP
    VERSION WEBSEARCH_TO_TSQUERY WIDTH_BUCKET XMLAGG XMLELEMENT XMLFOREST XPATH
    """.split()
)
# Those of MySQL and MariaDB. LAST_INSERT_ID may set what the next insert sets anyway.
_MYSQL_PURE: Final = frozenset(
    """
    ADDDATE ADDTIME AES_DECRYPT AES_ENCRYPT AGAINST ANY_VALUE BIN BINARY BIT_XOR
    CHARSET COERCIBILITY COLLATION COMPRESS CONNECTION_ID CONV CONVERT CONVERT_TZ CRC32
    CURDATE CURRENT_ROLE CURTIME DATABASE DATEDIFF DATE_ADD DATE_FORMAT DATE_SUB DAY
    DAYNAME DAYOFMONTH DAYOFWEEK DAYOFYEAR DEFAULT ELT EXPORT_SET FIELD FIND_IN_SET
    FOUND_ROWS FROM_BASE64 FROM_DAYS FROM_UNIXTIME GET_FORMAT HOUR IF INET6_ATON
    INET6_NTOA INET_ATON INET_NTOA IS_IPV4 IS_IPV6 IS_UUID JSON_ARRAYAGG
    JSON_ARRAY_APPEND JSON_ARRAY_INSERT JSON_CONTAINS JSON_CONTAINS_PATH JSON_DEPTH
    JSON_EXISTS JSON_INSERT JSON_KEYS JSON_LENGTH JSON_MERGE JSON_MERGE_PATCH
    JSON_MERGE_PRESERVE JSON_OBJECTAGG JSON_OVERLAPS JSON_PRETTY JSON_QUERY
    JSON_REMOVE JSON_REPLACE JSON_SEARCH JSON_SET JSON_UNQUOTE LAST_DAY LAST_INSERT_ID
    LCASE LOCATE MAKEDATE MAKETIME MICROSECOND MID MINUTE MONTH MONTHNAME
    NATURAL_SORT_KEY NOW NVL NVL2 OCT OCTET_LENGTH ORD PERIOD_ADD PERIOD_DIFF QUARTER
    RAND ROW_COUNT SCHEMA SECOND SEC_TO_TIME SHA SHA1 SHA2 SLEEP SOUNDEX SPACE STD
    STRCMP STR_TO_DATE SUBDATE SUBSTRING_INDEX SUBTIME SYSDATE SYSTEM_USER TIMEDIFF
    TIMESTAMPADD TIMESTAMPDIFF TIME_FORMAT TIME_TO_SEC TO_BASE64 TO_DAYS TO_SECONDS
    TRUNCATE UCASE UNCOMPRESS UNHEX UNIX_TIMESTAMP USER UTC_DATE UTC_TIME UTC_TIMESTAMP
    UUID UUID_SHORT VALUE WEEK WEEKDAY WEEKOFYEAR WEIGHT_STRING YEAR YEARWEEK
    """.split()
)
_HARMLESS: Final = _PURE | _SYNTAX
_MYSQL_HARMLESS: Final = _HARMLESS | _MYSQL_PURE


@dataclass(frozen=True, slots=True)
class SavepointText:
    """A statement about one savepoint: verb "SAVEPOINT", "RELEASE" or "ROLLBACK"."""

    verb: str
    name: str


@dataclass(frozen=True, slots=True)
class Text:
    """What one SQL text (of one or more statements) does.

    `control` is the first word that would end or begin a transaction, `sticky` says
    that it makes what neither a rollback nor a reset of the session undoes, `defers`
    that constraints may be checked as late as at COMMIT, `local` names the settings
    that it changes until the transaction ends, `commits` is the first word of what
    commits without saying so.
    """

    reads: bool
    first: str
    control: str | None = None
    savepoint: SavepointText | None = None
    defines: bool = False
    session: bool = False
    sticky: bool = False
    defers: bool = False
    local: tuple[str, ...] = ()
    commits: str | None = None


@dataclass(frozen=True, slots=True)
class _Syntax:
    """How a product reads SQL, as far as it differs."""

    opaque: re.Pattern[str]
    harmless: frozenset[str]
    is_mysql: bool = False


_STANDARD: Final = _Syntax(_OPAQUE, _HARMLESS)
_MYSQL: Final = _Syntax(_MYSQL_OPAQUE, _MYSQL_HARMLESS, is_mysql=True)


@lru_cache(maxsize=4096)
def classify(sql: str, *, mysql: bool = False) -> Text:
    """Say what `sql` does; everything that is not known to be harmless is a write.

    `mysql` reads it as MySQL and MariaDB do.
    """
    savepoint = _SAVEPOINT.match(sql)
    if savepoint is not None:
        return _savepoint(savepoint)
    syntax = _MYSQL if mysql else _STANDARD
    pieces = list(_pieces(sql, syntax))
    firsts = [_first_word(piece) for piece in pieces]
    return Text(
        reads=all(_reads(piece, syntax) for piece in pieces) and bool(pieces),
        first=firsts[0] if firsts else "",
        control=next(filter(None, (_control(each, syntax) for each in pieces)), None),
        defines=any(first in _DEFINING for first in firsts),
        session=any(_touches_session(piece, syntax) for piece in pieces),
        sticky=any(first in _STICKY for first in firsts),
        defers=any("DEFER" in piece for piece in pieces),
        local=() if mysql else _locals(sql),
        commits=next(filter(None, map(_commits, pieces)), None) if mysql else None,
    )


def _locals(sql: str) -> tuple[str, ...]:
    return tuple(
        filter(None, (name for names in _LOCAL.findall(sql) for name in names))
    )


def _commits(piece: str) -> str | None:
    return _first_word(piece) if _COMMITTING.match(piece) else None


def _savepoint(match: re.Match[str]) -> Text:
    verb = match["verb"].split()[0].upper()
    return Text(
        reads=True, first=verb, savepoint=SavepointText(verb, match["name"].strip('"`'))
    )


def _pieces(sql: str, syntax: _Syntax) -> Iterator[str]:
    """The statements of a text, in upper case, without literals and comments."""
    plain = syntax.opaque.sub(_hide, sql).upper()
    if _ROUTINE.match(plain):
        plain = _BODY.sub("CREATE ROUTINE", plain)
    return (piece.strip() for piece in plain.split(";") if piece.strip())


def _hide(match: re.Match[str]) -> str:
    if match["comment"]:
        return " "
    return '""' if match["quoted"] else "''"


def _first_word(piece: str) -> str:
    found = _WORD.search(piece)
    return found[0] if found else ""


def _control(piece: str, syntax: _Syntax) -> str | None:
    if syntax.is_mysql and _AUTOCOMMIT.match(piece):
        return "SET AUTOCOMMIT"
    found = _CONTROL.match(piece)
    return " ".join(found[0].split()) if found else None


def _touches_session(piece: str, syntax: _Syntax) -> bool:
    """Whether it may change what a rollback does not undo: settings, locks, listening.

    A function that nobody listed may do so, and a block of code.
    """
    first = _first_word(piece)
    if first == "PRAGMA":
        return not _reads(piece, syntax)
    if first in _SESSION or " TEMP" in piece or _ASSIGNS.search(piece):
        return True
    return first not in _DEFINING and not _is_pure(_TARGET.sub(" = ", piece), syntax)


def _reads(piece: str, syntax: _Syntax) -> bool:
    first = _first_word(piece)
    if first == "PRAGMA":
        asks = _PRAGMA_QUERY.search(piece) is not None
        return asks or ("=" not in piece and "(" not in piece)
    if first == "SET" and syntax.is_mysql:  # no rollback undoes it
        return True
    if first not in _READERS or _WRITING_WORDS.search(piece):
        return False
    return _ASSIGNS.search(piece) is None and _is_pure(piece, syntax)


def _is_pure(piece: str, syntax: _Syntax) -> bool:
    piece = _ALIAS.sub("AS (", piece)
    return _calls(piece) <= syntax.harmless.union(_NAMED_QUERY.findall(piece))


def _calls(piece: str) -> set[str]:
    """The names before a parenthesis, with their schema unless it is the server's."""
    return {
        (found[1] or "").replace("PG_CATALOG.", "") + found[2]
        for found in _CALL.finditer(piece)
    }
