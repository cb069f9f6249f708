"""What a driver's error says, found by its code, and by product what can be raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_asyncdb.backends._mysql_conditions import MYSQL
from pytest_asyncdb.backends._postgresql_conditions import POSTGRESQL
from pytest_asyncdb.backends._sqlite_conditions import SQLITE

if TYPE_CHECKING:
    from pytest_asyncdb.backends._condition import Condition, Errors

__all__ = ["ERRORS", "condition_of"]

ERRORS: Final = {
    "mariadb": MYSQL,
    "mysql": MYSQL,
    "postgresql": POSTGRESQL,
    "sqlite": SQLITE,
}
"""By the name of SQLAlchemy's dialect."""

_NUMBERING: Final = frozenset({"aiomysql", "asyncmy", "pymysql", "MySQLdb", "mysql"})
"""Packages whose errors begin with MySQL's number for them."""
_PRIMARY: Final = 0xFF


def condition_of(error: BaseException) -> Condition | None:
    """What one driver's error says by itself; None for a code that is not known."""
    number = error.args[0] if error.args else None
    if isinstance(number, int) and _numbers(error):
        return MYSQL.conditions.get(str(number))
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return POSTGRESQL.conditions.get(state)
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        return _of_sqlite(code, SQLITE)
    return None


def _numbers(error: BaseException) -> bool:
    kinds = type(error).__mro__
    return any(kind.__module__.partition(".")[0] in _NUMBERING for kind in kinds)


def _of_sqlite(code: int, errors: Errors) -> Condition | None:
    found = errors.conditions.get(str(code))
    return found or errors.conditions.get(str(code & _PRIMARY))
