"""MySQL and MariaDB: what their error numbers mean, and the SQL that raises them."""

from __future__ import annotations

from typing import Final

from pytest_asyncdb.backends._condition import Errors, conditions
from pytest_asyncdb.backends._mysql_copy import literal

__all__ = ["MYSQL"]

_CONDITIONS: Final = conditions(
    {
        "serialization_failure": "1020",
        "too_many_connections": "1040 1203",
        "insufficient_privilege": "1044 1142 1227",
        "invalid_password": "1045",
        "cannot_connect_now": "1047",
        "not_null_violation": "1048 1364",
        "admin_shutdown": "1053 1927",
        "undefined_column": "1054",
        "unique_violation": "1062 1586",
        "syntax_error": "1064",
        "undefined_table": "1146",
        "lock_not_available": "1205 3572",
        "deadlock_detected": "1213 1614",
        "foreign_key_violation": "1216 1217 1451 1452",
        "numeric_value_out_of_range": "1264 1690",
        "read_only_sql_transaction": "1290 1792 1836",
        "query_canceled": "1317 1969 3024",
        "division_by_zero": "1365",
        "string_data_right_truncation": "1406",
        "check_violation": "3819 4025",
        "sqlclient_unable_to_establish_sqlconnection": "2002 2003 2005",
        "connection_failure": "1152 1158 1159 1160 1161 2006 2013 2014 2055 4031",
    },
    transient=(
        "1020 1040 1047 1053 1152 1158 1159 1160 1161 1203 1205 1213 1614 1927 2002"
        " 2003 2006 2013 2055 3572 4031"
    ).split(),
    disconnected=(
        "1040 1045 1053 1152 1158 1159 1160 1161 1203 1927 2002 2003 2005 2006 2013"
        " 2014 2055 4031"
    ).split(),
    rolled_back="statement",
    otherwise={"1020": "transaction", "1213": "transaction", "1614": "transaction"},
)
"""By number: SQLSTATE is HY000 for several. 1047 is a node outside of its cluster.

A lock that was waited for too long (1205) undoes the statement only, unless the server
has innodb_rollback_on_timeout; what the transaction wrote before is kept.
"""

_MESSAGES: Final = {
    "serialization_failure": (
        "HY000",
        1020,
        "Record has changed since last read in table 'the table'",
    ),
    "deadlock_detected": (
        "40001",
        1213,
        "Deadlock found when trying to get lock; try restarting transaction",
    ),
    "lock_not_available": (
        "HY000",
        1205,
        "Lock wait timeout exceeded; try restarting transaction",
    ),
    "query_canceled": (
        "70100",
        1969,
        "Query execution was interrupted (max_statement_time exceeded)",
    ),
    "read_only_sql_transaction": (
        "HY000",
        1290,
        "The MySQL server is running with the --read-only option",
    ),
    "unique_violation": (
        "23000",
        1062,
        "Duplicate entry '1' for key 'name'",
    ),
}
"""What can be raised at any statement: SQLSTATE, number, the server's words for it."""


def _provoke(name: str) -> tuple[str, ...]:
    """Statements of which the last one fails with the condition of that name.

    Where the real one undoes the transaction, so does the first of them.
    """
    state, number, message = _MESSAGES[name]
    undoes = _CONDITIONS[str(number)].rolled_back == "transaction"
    signal = (
        f"SIGNAL SQLSTATE '{state}' SET MYSQL_ERRNO = {number},"
        f" MESSAGE_TEXT = {literal(message)}"
    )
    return ("ROLLBACK", signal) if undoes else (signal,)


def _slow(seconds: float) -> str:
    """A statement that takes that long."""
    return f"SELECT SLEEP({seconds})"


MYSQL: Final = Errors(
    _CONDITIONS,
    raisable=_MESSAGES,
    provoke=_provoke,
    slow=_slow,
)
