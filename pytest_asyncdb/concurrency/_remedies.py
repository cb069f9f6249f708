"""What helps against an anomaly in general."""

from __future__ import annotations

from typing import Final

__all__ = ["general_remedy", "remedy_of"]

_IN_SQL: Final = "compute in SQL (SET n = n + 1), or count versions (version_id_col)"
_UNIQUE: Final = "let a unique constraint decide, and INSERT ... ON CONFLICT"
_NO_ROW_LOCKS: Final = (
    "SQLite has no row locks: begin with BEGIN IMMEDIATE, or test this on PostgreSQL"
)
_READ_ONCE: Final = "use REPEATABLE READ or SERIALIZABLE, or read once"
_BEGIN: Final = "let the transaction begin before its first read (BEGIN), or read once"

_REMEDIES: Final = {
    "deadlock": "take locks in one order everywhere, such as by primary key",
    "dirty write": "use an isolation level above READ UNCOMMITTED",
    "double insert": (
        f"{_UNIQUE}, or lock the parent row, or SERIALIZABLE with a retry"
    ),
    "lost update": f"lock the row when it is read (with_for_update()), {_IN_SQL}",
    "write skew": (
        "use SERIALIZABLE with a retry, or lock what is read (with_for_update())"
    ),
    "phantom": _READ_ONCE,
    "non-repeatable read": _READ_ONCE,
}
_LOCKED: Final = {
    "lost update": (
        "let the first read lock the row, or the one that locks it refresh what was"
        f" read before (populate_existing=True); or {_IN_SQL}"
    ),
    "write skew": (
        "use SERIALIZABLE with a retry, or let both lock one row before they read"
    ),
}
_OF_A_FILE: Final = {
    "double insert": f"{_UNIQUE}; {_NO_ROW_LOCKS}",
    "lost update": f"{_IN_SQL}; {_NO_ROW_LOCKS}",
    "write skew": _NO_ROW_LOCKS,
    "phantom": _BEGIN,
    "non-repeatable read": _BEGIN,
}


def remedy_of(name: str, *, row_locks: bool, locked: bool) -> str:
    """What helps; `locked`: what was read is locked already, by a statement besides.

    `row_locks` says whether the database has any.
    """
    known = _REMEDIES
    if not row_locks:
        known = {**known, **_OF_A_FILE}
    elif locked:
        known = {**known, **_LOCKED}
    return known[name]


def general_remedy(*, row_locks: bool) -> str:
    """What helps against an outcome of which no more is known."""
    if row_locks:
        return "use SERIALIZABLE with a retry, or INSERT ... ON CONFLICT"
    return f"use INSERT ... ON CONFLICT; {_NO_ROW_LOCKS}"
