"""Hypothesis strategies of what a schema accepts: values of columns, rows of models.

Names are loaded when they are asked for, so that the plugin can give `db_persist` a
session without importing hypothesis.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pytest_asyncdb.strategies._backends import compare_backends as compare_backends
    from pytest_asyncdb.strategies._columns import (
        from_column as from_column,
        register_type as register_type,
    )
    from pytest_asyncdb.strategies._machine import (
        AsyncDatabaseMachine as AsyncDatabaseMachine,
        awaited as awaited,
    )
    from pytest_asyncdb.strategies._models import from_model as from_model
    from pytest_asyncdb.strategies._persist import db_persist as db_persist
    from pytest_asyncdb.strategies._properties import (
        assert_constraints_agree as assert_constraints_agree,
        assert_equivalent as assert_equivalent,
        assert_no_orphans as assert_no_orphans,
        assert_round_trip as assert_round_trip,
        assert_schema_round_trip as assert_schema_round_trip,
    )

_PLACES: Final = {
    "AsyncDatabaseMachine": "_machine",
    "awaited": "_machine",
    "assert_constraints_agree": "_properties",
    "assert_equivalent": "_properties",
    "assert_no_orphans": "_properties",
    "assert_round_trip": "_properties",
    "assert_schema_round_trip": "_properties",
    "compare_backends": "_backends",
    "db_persist": "_persist",
    "from_column": "_columns",
    "from_model": "_models",
    "register_type": "_columns",
}

__all__ = [
    "AsyncDatabaseMachine",
    "assert_constraints_agree",
    "assert_equivalent",
    "assert_no_orphans",
    "assert_round_trip",
    "assert_schema_round_trip",
    "awaited",
    "compare_backends",
    "db_persist",
    "from_column",
    "from_model",
    "register_type",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it (PEP 562)."""
    if name not in _PLACES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
