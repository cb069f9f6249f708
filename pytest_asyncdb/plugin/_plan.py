"""What the override fixtures say together, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_asyncdb.errors import SettingRefused
from pytest_asyncdb.plugin._databases import Plan
from pytest_asyncdb.plugin._schema import (
    Build,
    check_coroutine_function,
    check_metadata,
)

__all__ = ["plan_of"]


def plan_of(values: Mapping[str, Any], drivername: str) -> Plan:
    """The plan that the values of the override fixtures, by name, make; None is unsaid.

    `drivername` is that of the database's URL, such as "postgresql+asyncpg". Raises
    `SettingRefused` for a value of the wrong kind.
    """
    given = {name: value for name, value in values.items() if value is not None}
    for name, value in given.items():
        _check(name, value)
    return Plan(
        Build(
            given.get("asyncdb_schema"),
            given.get("asyncdb_seed"),
            given.get("asyncdb_template_key"),
            drivername,
        ),
        given.get("asyncdb_engine_options", {}),
        given.get("asyncdb_session_options", {}),
        given.get("asyncdb_capture"),
    )


def _check(name: str, value: object) -> None:
    match name:
        case "asyncdb_metadata":
            check_metadata(name, value)
        case "asyncdb_schema":
            check_coroutine_function(name, value, "an AsyncConnection")
        case "asyncdb_seed":
            check_coroutine_function(name, value, "an AsyncSession")
        case "asyncdb_alembic_config":
            return  # Alembic's own to read, where migrations are run
        case "asyncdb_template_key":
            _check_kind(name, value, "a str", fits=isinstance(value, str))
        case "asyncdb_capture":
            _check_kind(name, value, "a function(engine) -> bool", fits=callable(value))
        case _:
            fits = isinstance(value, Mapping)
            _check_kind(name, value, "a mapping of options", fits=fits)


def _check_kind(name: str, value: object, expected: str, *, fits: bool) -> None:
    if not fits:
        raise SettingRefused.kind(name, value, expected)
