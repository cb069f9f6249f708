"""Results of a function as plain values, and where two of them differ first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Row, inspect

from pytest_asyncdb.errors import StrategyRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Difference", "difference", "is_reordered", "plain"]

_SEQUENCES: Final = (list, tuple, Row)


class _Nothing:
    """A part that only the other one has."""

    def __repr__(self) -> str:
        return "nothing"


_NOTHING: Final = _Nothing()


@dataclass(frozen=True, repr=False)
class _Object:
    """A mapped object or a dataclass: its class, and what is known of it."""

    kind: str
    values: Mapping[str, Any]

    def __repr__(self) -> str:
        said = (f"{name}={value!r}" for name, value in self.values.items())
        return f"{self.kind}({', '.join(said)})"


@dataclass(frozen=True)
class Difference:
    """Where two results differ, such as "[0].name", and what each has there."""

    path: str
    first: Any
    second: Any


def plain(value: Any, above: tuple[Any, ...] = ()) -> Any:
    """`value` without rows of the ORM's, sessions' objects and sets.

    Of a mapped object that is what has been loaded of it; where it comes back to one
    that it is part of (`above`), its key.
    """
    if isinstance(value, Mapping):
        return {key: plain(each, above) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(each, above) for each in value), key=repr)
    if isinstance(value, _SEQUENCES):
        kind = list if isinstance(value, list) else tuple
        return kind(plain(each, above) for each in value)
    mapped = hasattr(inspect(value, raiseerr=False), "session")
    if isinstance(value, type) or not (mapped or is_dataclass(value)):
        return value
    if any(value is each for each in above):
        return _Object(type(value).__name__, {"...": _key(value)})
    found = _loaded(value) if mapped else _fields(value)
    inside = {name: plain(each, (*above, value)) for name, each in found}
    return _Object(type(value).__name__, inside)


def _key(value: Any) -> Any:
    return getattr(inspect(value, raiseerr=False), "identity", None)


def _loaded(value: Any) -> Iterator[tuple[str, Any]]:
    """What of a mapped object is loaded; what has expired is loaded again."""
    state = inspect(value)
    known = {*state.dict, *state.expired_attributes}
    columns = [each.key for each in state.mapper.column_attrs if each.key in known]
    others = [each.key for each in state.mapper.relationships]
    for name in [*columns, *(each for each in others if each in state.dict)]:
        yield name, getattr(value, name)


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    return ((each.name, getattr(value, each.name)) for each in fields(value))


def difference(first: Any, second: Any, path: str = "") -> Difference | None:
    """Where two plain values differ first; None where they are equal.

    Raises `StrategyRefused` for those that no two of are ever equal.
    """
    ours, theirs = _parts(first), _parts(second)
    if type(first) is not type(second) or ours is None or theirs is None:
        return None if _is_same(first, second) else Difference(path, first, second)
    if isinstance(first, list | tuple) and len(ours) != len(theirs):
        return Difference(f"len({path or 'result'})", len(ours), len(theirs))
    if isinstance(first, _Object) and first.kind != second.kind:
        return Difference(path, first, second)
    return _of_parts(ours, theirs, path)


def _parts(value: Any) -> dict[str, Any] | None:
    """What a value is made of, by the ends of their paths; None where of nothing."""
    if isinstance(value, _Object):
        return {f".{name}": each for name, each in value.values.items()}
    if isinstance(value, dict):
        return {f"[{key!r}]": each for key, each in value.items()}
    if isinstance(value, list | tuple):
        return {f"[{index}]": each for index, each in enumerate(value)}
    return None


def _of_parts(
    first: Mapping[str, Any], second: Mapping[str, Any], path: str
) -> Difference | None:
    pairs = (
        difference(first.get(name, _NOTHING), second.get(name, _NOTHING), path + name)
        for name in {**first, **second}
    )
    return next((found for found in pairs if found is not None), None)


def _is_same(first: Any, second: Any) -> bool:
    """Whether they are equal; so is what is no number to another."""
    if first is second or first == second:
        return True
    if type(first) is type(second) and _is_only_itself(type(first)):
        raise StrategyRefused.incomparable(first)
    return bool(first != first and second != second)  # noqa: PLR0124


def _is_only_itself(kind: Any) -> bool:
    return kind.__eq__ is object.__eq__


def is_reordered(first: Any, second: Any) -> bool:
    """Whether two lists only differ in their order."""
    if not (isinstance(first, list) and isinstance(second, list)):
        return False
    return sorted(map(repr, first)) == sorted(map(repr, second))
