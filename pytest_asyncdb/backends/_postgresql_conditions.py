"""PostgreSQL: what its SQLSTATEs mean, and the SQL that has the server raise them."""

from __future__ import annotations

from typing import Final

from pytest_asyncdb.backends._condition import Errors, conditions
from pytest_asyncdb.backends._postgresql import literal

__all__ = ["POSTGRESQL"]

_CONDITIONS: Final = conditions(
    {
        "connection_exception": "08000",
        "connection_does_not_exist": "08003",
        "connection_failure": "08006",
        "transaction_resolution_unknown": "08007",
        "sqlclient_unable_to_establish_sqlconnection": "08001",
        "sqlserver_rejected_establishment_of_sqlconnection": "08004",
        "string_data_right_truncation": "22001",
        "numeric_value_out_of_range": "22003",
        "division_by_zero": "22012",
        "restrict_violation": "23001",
        "not_null_violation": "23502",
        "foreign_key_violation": "23503",
        "unique_violation": "23505",
        "check_violation": "23514",
        "exclusion_violation": "23P01",
        "read_only_sql_transaction": "25006",
        "in_failed_sql_transaction": "25P02",
        "idle_in_transaction_session_timeout": "25P03",
        "transaction_timeout": "25P04",
        "invalid_password": "28P01",
        "transaction_rollback": "40000",
        "serialization_failure": "40001",
        "transaction_integrity_constraint_violation": "40002",
        "statement_completion_unknown": "40003",
        "deadlock_detected": "40P01",
        "insufficient_privilege": "42501",
        "syntax_error": "42601",
        "undefined_column": "42703",
        "undefined_table": "42P01",
        "disk_full": "53100",
        "out_of_memory": "53200",
        "too_many_connections": "53300",
        "object_in_use": "55006",
        "lock_not_available": "55P03",
        "query_canceled": "57014",
        "admin_shutdown": "57P01",
        "crash_shutdown": "57P02",
        "cannot_connect_now": "57P03",
        "database_dropped": "57P04",
        "idle_session_timeout": "57P05",
        "raise_exception": "P0001",
    },
    transient=(
        "08000 08001 08003 08004 08006 25P03 40000 40001 40P01 53300 55P03 57P01 57P02"
        " 57P03 57P05"
    ).split(),
    disconnected=(
        "08000 08001 08003 08004 08006 25P03 25P04 28P01 53300 57P01 57P02 57P03 57P04"
        " 57P05"
    ).split(),
    rolled_back="transaction",
    otherwise={"08007": None, "40003": None},
)
"""Which can be repeated: chapter 13.5 of the manual, and what a new session cures.

40003 and 08007 say that the outcome is not known. A statement that was cancelled, or
ran out of its time, would do so again.
"""

_MESSAGES: Final = {
    "serialization_failure": "could not serialize access due to concurrent update",
    "deadlock_detected": "deadlock detected",
    "lock_not_available": "canceling statement due to lock timeout",
    "query_canceled": "canceling statement due to statement timeout",
    "read_only_sql_transaction": "cannot execute UPDATE in a read-only transaction",
    "unique_violation": "duplicate key value violates unique constraint",
}
"""What can be raised at any statement, with the server's words for it."""


def _provoke(name: str) -> tuple[str, ...]:
    """Statements of which the last one fails with the condition of that name."""
    code = next(each.code for each in _CONDITIONS.values() if each.name == name)
    said = f"ERRCODE = {literal(code)}, MESSAGE = {literal(_MESSAGES[name])}"
    return (f"DO {literal(f'BEGIN RAISE EXCEPTION USING {said}; END')}",)


def _slow(seconds: float) -> str:
    """A statement that takes that long."""
    return f"SELECT pg_sleep({seconds})"


POSTGRESQL: Final = Errors(
    _CONDITIONS,
    raisable=_MESSAGES,
    provoke=_provoke,
    end="SELECT pg_terminate_backend(pg_backend_pid())",
    slow=_slow,
)
