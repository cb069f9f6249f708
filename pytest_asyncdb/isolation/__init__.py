"""How one test's writes vanish."""

from pytest_asyncdb.isolation._isolation import Isolation
from pytest_asyncdb.isolation._sandbox import Finding

__all__ = ["Finding", "Isolation"]
