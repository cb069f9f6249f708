"""Which session of a server waits for which: the SQL that asks, by product."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["MARIADB", "MYSQL", "POSTGRESQL", "Pair", "Query", "Waits", "innodb_waits"]

Pair: TypeAlias = tuple[int, "int | None"]
"""A session that waits, and one that it waits for; None where the server won't say."""


def _as_pairs(rows: Iterable[Sequence[Any]]) -> Sequence[Pair]:
    return [(int(row[0]), None if row[1] is None else int(row[1])) for row in rows]


@dataclass(frozen=True, slots=True)
class Query:
    """One question; `read` makes pairs of its rows.

    `{}` in the SQL stands for the numbers of the sessions, separated by commas.
    """

    sql: str
    read: Callable[[Iterable[Sequence[Any]]], Sequence[Pair]] = _as_pairs


@dataclass(frozen=True, slots=True)
class Waits:
    """How to ask a server who waits for whom, and how soon it ends a deadlock."""

    live: Sequence[Query]
    """Asked one after the other, until all sessions are known to wait."""
    slow: Query | None = None
    """Names whom the live ones did not."""
    rest: float = 0.0
    """Seconds that `slow` must not have been asked for its answer to be a new one."""
    hurry: str | None = None
    """What a session says, outside of a transaction, to look for deadlocks soon.

    None where a deadlock is seen at once.
    """
    settle: float = 0.0
    """Seconds after which a waiting session that hurries has looked."""
    patience: str = ""
    """SQL for the seconds after which one has looked that doesn't."""


# A session looks once, when it has waited for `deadlock_timeout`; one that has looked
# before the circle was closed is no victim (PostgreSQL manual, "Lock Management").
POSTGRESQL: Final = Waits(
    live=(
        Query(
            "SELECT pid, unnest(pg_blocking_pids(pid) || "
            "pg_safe_snapshot_blocking_pids(pid)) FROM unnest(ARRAY[{}]::int[]) AS pid"
        ),
    ),
    hurry="SET deadlock_timeout = '10ms'",
    settle=0.012,
    patience=(
        "SELECT extract(epoch FROM current_setting('deadlock_timeout')::interval)"
    ),
)

_BLOCK: Final = "---TRANSACTION "
_THREAD: Final = re.compile(r"^\w+ thread id (\d+),", re.MULTILINE)
_ACTIVE: Final = re.compile(
    r"^[^\n]*, ACTIVE [^\n]*\n(?:.*\n)*?(?:LOCK WAIT )?"
    r"(?P<locks>\d+) lock struct\(s\)[^\n]*?(?P<undo>, undo log entries \d+)?$",
    re.MULTILINE,
)


def innodb_waits(rows: Iterable[Sequence[Any]]) -> Sequence[Pair]:
    """Who waits for a row, from SHOW ENGINE INNODB STATUS, which is never cached.

    It does not tell for whom. But a lock that is waited for has a holder; where only
    one other transaction has locks at all, that is the one.
    """
    text = "".join(str(row[2]) for row in rows)
    _, _, listed = text.partition("LIST OF TRANSACTIONS FOR EACH SESSION:")
    blocks = listed.split(_BLOCK)[1:]
    found = [(each, _THREAD.search(each)) for each in blocks]
    known = [(int(thread[1]), each) for each, thread in found if thread]
    holders = {number for number, each in known if _may_hold(each)}
    holders |= {-1 for each, thread in found if thread is None and _may_hold(each)}
    return [
        (number, _only(holders - {number}))
        for number, each in known
        if "\nLOCK WAIT " in each.partition("\n------")[0]
    ]


def _may_hold(block: str) -> bool:
    active = _ACTIVE.match(block)
    return active is not None and (active["locks"] != "0" or active["undo"] is not None)


def _only(holders: set[int]) -> int | None:
    """The one that is left; a transaction without a session is none to name."""
    named = holders.copy()
    return named.pop() if len(holders) == 1 and -1 not in holders else None


_PROCESSES: Final = Query(
    "SELECT id, NULL FROM information_schema.processlist WHERE id IN ({})"
    " AND (state = 'User lock'"
    " OR left(state, 12) = 'Waiting for ' AND right(state, 5) = ' lock')"
)

# innodb_trx and innodb_lock_waits are read from a copy, which is made anew only when
# nobody has read it for 0.1 s (MariaDB manual, "Information Schema INNODB_TRX Table").
MARIADB: Final = Waits(
    live=(Query("SHOW ENGINE INNODB STATUS", innodb_waits), _PROCESSES),
    slow=Query(
        "SELECT waiting.trx_mysql_thread_id, holding.trx_mysql_thread_id"
        " FROM information_schema.innodb_lock_waits w"
        " JOIN information_schema.innodb_trx waiting"
        " ON waiting.trx_id = w.requesting_trx_id"
        " JOIN information_schema.innodb_trx holding"
        " ON holding.trx_id = w.blocking_trx_id"
    ),
    rest=0.11,
)

MYSQL: Final = Waits(
    live=(
        Query(
            "SELECT waiting.processlist_id, holding.processlist_id"
            " FROM performance_schema.data_lock_waits w"
            " JOIN performance_schema.threads waiting"
            " ON waiting.thread_id = w.requesting_thread_id"
            " JOIN performance_schema.threads holding"
            " ON holding.thread_id = w.blocking_thread_id"
            " WHERE waiting.processlist_id IN ({})"
            " UNION SELECT waiting.processlist_id, holding.processlist_id"
            " FROM performance_schema.metadata_locks w"
            " JOIN performance_schema.metadata_locks h"
            " ON h.object_type = w.object_type"
            " AND h.object_schema <=> w.object_schema"
            " AND h.object_name <=> w.object_name AND h.lock_status = 'GRANTED'"
            " AND h.owner_thread_id <> w.owner_thread_id"
            " JOIN performance_schema.threads waiting"
            " ON waiting.thread_id = w.owner_thread_id"
            " JOIN performance_schema.threads holding"
            " ON holding.thread_id = h.owner_thread_id"
            " WHERE w.lock_status = 'PENDING' AND waiting.processlist_id IN ({})"
        ),
        _PROCESSES,
    ),
)
