"""What a client would send: the attributes of an object as plain JSON."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import inspect

from pytest_asyncdb.errors import FactoryRefused
from pytest_asyncdb.factories._options import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asyncdb.factories._options import AsyncOptions

__all__ = ["Schema", "payload"]


class Schema(Protocol):
    """A Pydantic model."""

    @classmethod
    def model_validate(cls, obj: Any, *, from_attributes: bool) -> Any:
        """One of the values of `obj`."""


def payload(
    meta: AsyncOptions, attributes: Mapping[str, Any], schema: type[Schema] | None
) -> dict[str, Any]:
    """The columns among `attributes`, or what `schema` makes of them all."""
    if schema is None:
        columns = inspect(meta.model).column_attrs
        return {
            name: _plain(meta, name, value)
            for name, value in attributes.items()
            if name in columns
        }
    values = _Values(attributes)
    validated = schema.model_validate(values, from_attributes=True)
    dumped: dict[str, Any] = validated.model_dump(mode="json", by_alias=True)
    return dumped


class _Values:
    """Values as attributes of an object, as Pydantic reads them from one."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        vars(self).update(values)


def _plain(meta: AsyncOptions, name: str, value: Any) -> Any:
    """The value as JSON has it."""
    match value:
        case enum.Enum():
            return _plain(meta, name, value.value)
        case None | bool() | int() | float() | str():
            return value
        case Decimal() | uuid.UUID():
            return str(value)
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case list() | tuple():
            return [_plain(meta, name, each) for each in value]
        case dict():
            return {key: _plain(meta, name, each) for key, each in value.items()}
    raise FactoryRefused.not_plain(name_of(meta), name, value)
