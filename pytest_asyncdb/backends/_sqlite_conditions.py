"""SQLite: what its result codes mean, and what raises them: the driver's own errors."""

from __future__ import annotations

from typing import Any, Final

from pytest_asyncdb.backends._condition import Errors, conditions

__all__ = ["SQLITE"]

_CONDITIONS: Final = conditions(
    {
        "insufficient_privilege": "3 23",
        "lock_not_available": "5 6",
        "out_of_memory": "7",
        "read_only_sql_transaction": "8",
        "query_canceled": "9",
        "io_error": "10",
        "data_corrupted": "11 26",
        "disk_full": "13",
        "sqlclient_unable_to_establish_sqlconnection": "14",
        "integrity_constraint_violation": "19",
        "check_violation": "275",
        "serialization_failure": "517",
        "foreign_key_violation": "787",
        "not_null_violation": "1299",
        "unique_violation": "1555 2067 2579",
    },
    transient=("5", "6", "517"),
    rolled_back="statement",
)
"""By extended result code, else by the primary one, which is its lowest byte.

SQLITE_BUSY_SNAPSHOT (517): the transaction has read what is not the newest any more; it
stays open, and only its repetition can write.
"""

_MESSAGES: Final = {
    "serialization_failure": ("SQLITE_BUSY_SNAPSHOT", 517, "database is locked"),
    "deadlock_detected": ("SQLITE_BUSY", 5, "database is locked"),
    "lock_not_available": ("SQLITE_BUSY", 5, "database is locked"),
    "query_canceled": ("SQLITE_INTERRUPT", 9, "interrupted"),
    "read_only_sql_transaction": (
        "SQLITE_READONLY",
        8,
        "attempt to write a readonly database",
    ),
    "unique_violation": (
        "SQLITE_CONSTRAINT_UNIQUE",
        2067,
        "UNIQUE constraint failed",
    ),
}
"""What can be raised at any statement: the code's name, the code, SQLite's words.

Where two transactions would wait for each other for ever, one is told SQLITE_BUSY at
once (sqlite3_busy_handler), as it is when a wait ends.
"""


def _error(name: str, dbapi: Any) -> Exception:  # noqa: ANN401 - a driver's module
    """The error as the driver makes it of the code."""
    word, code, message = _MESSAGES[name]
    is_constraint = word.startswith("SQLITE_CONSTRAINT")
    kind = dbapi.IntegrityError if is_constraint else dbapi.OperationalError
    made: Exception = kind(message)
    made.sqlite_errorcode = code  # type: ignore[attr-defined]
    made.sqlite_errorname = word  # type: ignore[attr-defined]
    return made


SQLITE: Final = Errors(_CONDITIONS, raisable=_MESSAGES, error=_error)
