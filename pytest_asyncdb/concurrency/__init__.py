"""Concurrency tests: interleavings, lanes, faults and retries on the real server."""

from __future__ import annotations

from pytest_asyncdb.backends._condition import Condition
from pytest_asyncdb.concurrency._check_lock import check_optimistic_lock
from pytest_asyncdb.concurrency._check_pool import check_pool
from pytest_asyncdb.concurrency._check_retries import check_idempotent, check_retries
from pytest_asyncdb.concurrency._check_search import (
    NeededIsolation,
    check_deadlock_free,
    check_isolation,
)
from pytest_asyncdb.concurrency._classify import classify
from pytest_asyncdb.concurrency._explain import explain
from pytest_asyncdb.concurrency._explorer import Explorer
from pytest_asyncdb.concurrency._fault import Fault
from pytest_asyncdb.concurrency._faults import Faults
from pytest_asyncdb.concurrency._lane import Lane
from pytest_asyncdb.concurrency._lanes import Lanes, lanes
from pytest_asyncdb.concurrency._library import explore, replay
from pytest_asyncdb.concurrency._oracles import (
    Ended,
    Oracle,
    all_succeed,
    at_most_one,
    no_deadlock,
    no_lost_update,
)
from pytest_asyncdb.concurrency._pairs import Pairs
from pytest_asyncdb.concurrency._result import Anomaly, Result
from pytest_asyncdb.concurrency._retry import retry_transaction, retrying
from pytest_asyncdb.concurrency._sweep import Position, Sweep
from pytest_asyncdb.concurrency._versions import Unversioned, lint_versions
from pytest_asyncdb.errors import AnomalyFound as AnomalyFound

__all__ = [
    "Anomaly",
    "Condition",
    "Ended",
    "Explorer",
    "Fault",
    "Faults",
    "Lane",
    "Lanes",
    "NeededIsolation",
    "Oracle",
    "Pairs",
    "Position",
    "Result",
    "Sweep",
    "Unversioned",
    "all_succeed",
    "at_most_one",
    "check_deadlock_free",
    "check_idempotent",
    "check_isolation",
    "check_optimistic_lock",
    "check_pool",
    "check_retries",
    "classify",
    "explain",
    "explore",
    "lanes",
    "lint_versions",
    "no_deadlock",
    "no_lost_update",
    "replay",
    "retry_transaction",
    "retrying",
]
