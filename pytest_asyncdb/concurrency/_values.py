"""What actors return, as plain values at paths, so that two runs can be compared."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Mapping, Sequence, Set as AbstractSet
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import inspect
from sqlalchemy.exc import NoInspectionAvailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NOW", "Clock", "Leaves", "leaves"]

Path: TypeAlias = tuple[str, ...]
Leaves: TypeAlias = "dict[Path, Any]"

NOW: Final = "<now>"
"""What stands for a time of the present."""
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_SLACK: Final = dt.timedelta(seconds=5)
_DEEPEST: Final = 12


def leaves(value: Any) -> Leaves:
    """Each plain value inside of `value`, by the keys that lead to it."""
    return dict(_walk(value, ()))


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    inner = _opened(value) if len(path) < _DEEPEST else None
    if inner is None:
        yield path, value if _is_plain(value) else _ADDRESS.sub("", repr(value))
        return
    yield (*path, type(value).__name__), len(inner)
    for name, each in inner.items():
        yield from _walk(each, (*path, str(name)))


def _is_plain(value: object) -> bool:
    return value is None or type(value).__eq__ is not object.__eq__


def _opened(value: Any) -> Mapping[Any, Any] | None:  # noqa: PLR0911 - a table
    """What is inside; None for what has no inside."""
    if isinstance(value, str | bytes | bytearray | type):
        return None
    if isinstance(value, Mapping):
        return value
    if isinstance(value, AbstractSet):
        return dict(enumerate(sorted(value, key=repr)))
    if isinstance(value, Sequence):
        return dict(enumerate(value))
    if dataclasses.is_dataclass(value):
        return {
            each.name: getattr(value, each.name) for each in dataclasses.fields(value)
        }
    if hasattr(type(value), "model_fields") and hasattr(value, "__dict__"):
        return _mapped(value) or dict(vars(value))
    if hasattr(value, "status_code") and hasattr(value, "content"):
        return {"status_code": value.status_code, "body": _body(value)}
    if hasattr(value, "__iter__") and hasattr(value, "all"):  # a result of SQLAlchemy's
        return None
    return _mapped(value)


def _mapped(value: object) -> Mapping[str, Any] | None:
    """Columns of a mapped object, as far as they are loaded: nothing is loaded here."""
    try:
        state: Any = inspect(value)
        return {
            each.key: state.dict[each.key]
            for each in state.mapper.column_attrs
            if each.key in state.dict
        }
    except (NoInspectionAvailable, AttributeError):
        return None


def _body(response: Any) -> Any:
    try:
        return response.json()
    except Exception:  # noqa: BLE001 - whatever it is, it is no JSON
        return response.content


@dataclasses.dataclass(frozen=True, slots=True)
class Clock:
    """Knows times of the present, which two runs never share."""

    began: dt.datetime = dataclasses.field(
        default_factory=lambda: dt.datetime.now(dt.UTC)
    )

    def is_now(self, value: object) -> bool:
        """Whether the value is a time since the search began, in UTC or as here."""
        if isinstance(value, str) and _TIME.match(value):
            try:
                value = dt.datetime.fromisoformat(value)
            except ValueError:
                return False
        if not isinstance(value, dt.datetime):
            return False
        zones = [value.tzinfo] if value.tzinfo else [dt.UTC, None]
        earliest, latest = self.began - _SLACK, dt.datetime.now(dt.UTC) + _SLACK
        return any(
            earliest <= _in_utc(value, zone) <= latest
            for zone in zones
            if value.year > 1
        )


def _in_utc(value: dt.datetime, zone: dt.tzinfo | None) -> dt.datetime:
    return (value.replace(tzinfo=zone) if zone else value).astimezone(dt.UTC)
