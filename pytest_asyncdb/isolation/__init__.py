"""How one test's writes vanish."""

from pytest_asyncdb.isolation._changes import Changes, TableChanges
from pytest_asyncdb.isolation._finding import Finding
from pytest_asyncdb.isolation._isolation import Isolation
from pytest_asyncdb.isolation._membership import Announced
from pytest_asyncdb.isolation._own import IsolationStrategy, isolation_strategy

__all__ = [
    "Announced",
    "Changes",
    "Finding",
    "Isolation",
    "IsolationStrategy",
    "TableChanges",
    "isolation_strategy",
]
