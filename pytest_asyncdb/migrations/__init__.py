"""Migrations with Alembic: a runner, exact schemas, checks of every revision."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pytest_asyncdb.migrations._diff import Difference as Difference
    from pytest_asyncdb.migrations._given import migration_data as migration_data
    from pytest_asyncdb.migrations._runner import Runner as Runner
    from pytest_asyncdb.migrations._schema import Schema as Schema
    from pytest_asyncdb.migrations._snapshot import snapshot as snapshot

__all__ = ["Difference", "Runner", "Schema", "migration_data", "snapshot"]
_HOME: Final = {
    "Difference": "_diff",
    "Runner": "_runner",
    "Schema": "_schema",
    "migration_data": "_given",
    "snapshot": "_snapshot",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  (whatever the name stands for)
    """Load a public name from the module that defines it (PEP 562)."""
    if name not in _HOME:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
