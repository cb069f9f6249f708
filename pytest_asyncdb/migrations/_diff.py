"""What differs between two schemas, and how much that matters; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pytest_asyncdb.migrations import _ddl
from pytest_asyncdb.migrations._names import split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Difference", "Weight", "compare", "render"]

Weight: TypeAlias = Literal["schema", "name", "spelling", "order"]
_COUNTING: Final = ("schema", "name")
_RENAMED: Final = ("constraint", "index", "trigger", "policy")
_CONTAINERS: Final = (
    *("table", "view", "materialized view", "foreign table", "composite type"),
    *("domain",),
)
_CONTAINED: Final = (
    *("column", "constraint", "index", "trigger", "rule", "policy", "statistics"),
    "sequence",
)
_ORDERS: Final = ("column order",)
_NOTES: Final = {("column", "statistics"), ("statistics", "target")}
_LITERAL_CAST: Final = re.compile(
    r"('(?:[^']|'')*')::(?:character varying|text|bpchar|character)\b"
    r"(?:\(\d+\))?(\[\])?"
)
_NOW: Final = re.compile(r"\bcurrent_timestamp(\(\d*\))?|\bnow\(\)", re.IGNORECASE)
_INT: Final = re.compile(r"\bint\b", re.IGNORECASE)
_STRING: Final = re.compile(r"('(?:[^']|'')*')")
_AUTOMATIC: Final = re.compile(
    r".+_(pkey|key\d*|fkey\d*|check\d*|excl\d*|idx\d*)|.+_ibfk_\d+|CONSTRAINT_\d+"
    r"|<unnamed>.*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same in two schemas.

    `weight` is "schema" where the database behaves differently, "name" where the same
    thing is called otherwise, "spelling" where only its text differs, and "order" for
    the physical order of columns. `attribute` is None for an object that is on one side
    only; then the other side is None, and its own holds all of its properties.
    """

    weight: Weight
    kind: str
    name: str
    attribute: str | None
    before: str | Mapping[str, str] | None
    after: str | Mapping[str, str] | None
    verdict: str | None = None
    """What the project says of such a difference: "fail" or "note"."""

    @property
    def counts(self) -> bool:
        """Whether the two schemas are different for it; a note if not."""
        if self.verdict is not None:
            return self.verdict == "fail"
        return self.weight in _COUNTING

    @property
    def back(self) -> str:
        """The statement that would turn what is after into what was before."""
        return _statement(self.kind, self.name, self.attribute, self.after, self.before)

    @property
    def forth(self) -> str:
        """The statement that would turn what was before into what is after."""
        return _statement(self.kind, self.name, self.attribute, self.before, self.after)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """As in a diff of DDL: - was there before, + is there after."""
        if self.attribute is None:
            sign, there = (
                ("-", self.before) if self.after is None else ("+", self.after)
            )
            yield f"{sign} {_shown(_ddl.create(self.kind, self.name, _mapping(there)))}"
        elif self.attribute == "name":
            yield f"~ {self.kind} {self.before} is now named {self.after}"
        else:
            yield f"~ {self.kind} {self.name}: {self.attribute}"
            yield f"  - {_shown(_text(self.before))}"
            yield f"  + {_shown(_text(self.after))}"


def _statement(
    kind: str,
    name: str,
    prop: str | None,
    now: str | Mapping[str, str] | None,
    then: str | Mapping[str, str] | None,
) -> str:
    """The statement that turns `now` into `then`."""
    if prop is None:
        if then is None:
            return _ddl.drop(kind, name, _mapping(now))
        return _ddl.create(kind, name, _mapping(then))
    if prop == "name":
        return _ddl.rename(kind, str(now), str(then))
    return _ddl.alter(kind, name, prop, None if then is None else str(then))


def _mapping(value: str | Mapping[str, str] | None) -> Mapping[str, str]:
    return {} if value is None or isinstance(value, str) else value


def _text(value: object) -> str:
    return "(none)" if value is None else str(value)


def _shown(text: str) -> str:
    return text.strip().replace("\n", "\n    ")


def render(differences: Iterable[Difference]) -> str:
    """All of them, one after the other."""
    return "\n".join(str(each) for each in differences)


# ----------------------------------------------------------------------- comparison
Kind: TypeAlias = "Mapping[str, Mapping[str, str]]"


def compare(before: Mapping[str, Kind], after: Mapping[str, Kind]) -> list[Difference]:
    """What differs; an object inside of one that came or went is not told again."""
    found = [
        each
        for kind in sorted(before.keys() | after.keys())
        if before.get(kind) != after.get(kind)
        for each in _compare_kind(kind, before.get(kind, {}), after.get(kind, {}))
    ]
    return [each for each in found if not _is_implied(each, found)]


def _compare_kind(kind: str, before: Kind, after: Kind) -> Iterator[Difference]:
    gone = sorted(before.keys() - after.keys())
    new = sorted(after.keys() - before.keys())
    if kind in _RENAMED:
        for old, other in _pairs(gone, new, before, after):
            gone.remove(old)
            new.remove(other)
            plain = _AUTOMATIC.fullmatch(split(old)[1]) is not None
            weight: Weight = "spelling" if plain else "name"
            yield Difference(weight, kind, old, "name", old, other)
    for name in gone:
        yield Difference("schema", kind, name, None, before[name], None)
    for name in new:
        yield Difference("schema", kind, name, None, None, after[name])
    both = before.keys() & after.keys()
    for name in sorted(name for name in both if before[name] != after[name]):
        yield from _compare_object(kind, name, before[name], after[name])


def _pairs(
    gone: list[str], new: list[str], before: Kind, after: Kind
) -> list[tuple[str, str]]:
    """Objects that are the same but for their names."""
    waiting: dict[object, list[str]] = {}
    for name in new:
        waiting.setdefault(_nameless(name, after[name]), []).append(name)
    found = []
    for name in gone:
        same = waiting.get(_nameless(name, before[name]))
        if same:
            found.append((name, same.pop(0)))
    return found


def _nameless(name: str, properties: Mapping[str, str]) -> object:
    own = split(name)[1]
    without = re.compile(rf"(?<![\w$]){re.escape(own)}(?![\w$])")
    return frozenset(
        (key, without.sub("", value, count=1) if key == "definition" else value)
        for key, value in properties.items()
    )


def _compare_object(
    kind: str, name: str, before: Mapping[str, str], after: Mapping[str, str]
) -> Iterator[Difference]:
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old != new and not _is_of_columns(key, old, new):
            weight = _weight(kind, key, old, new)
            yield Difference(weight, kind, name, key, old, new)


def _is_of_columns(key: str, old: str | None, new: str | None) -> bool:
    """Columns that came or went are told as columns, not as another order."""
    if key not in _ORDERS:
        return False
    return sorted((old or "").split(", ")) != sorted((new or "").split(", "))


def _weight(kind: str, key: str, old: str | None, new: str | None) -> Weight:
    if key in _ORDERS or (kind, key) in _NOTES:
        return "order"
    if old is not None and new is not None and bare(old) == bare(new):
        return "spelling"
    return "schema"


def bare(definition: str) -> str:
    """A definition without what is only another spelling of the same.

    Text in quotes is left as it is.
    """
    plain = _LITERAL_CAST.sub(r"\1", definition)
    parts = _STRING.split(plain)
    parts[::2] = [_bare_outside(part) for part in parts[::2]]
    return "".join(parts)


def _bare_outside(part: str) -> str:
    same = _INT.sub("integer", _NOW.sub("now", part))
    return re.sub(r"[()\s]", "", same)


def _is_implied(each: Difference, found: list[Difference]) -> bool:
    """Whether it belongs to a table or view that came or went as a whole."""
    whole = {
        other.name
        for other in found
        if other.attribute is None and other.kind in _CONTAINERS
    }
    if each.attribute is not None or not whole:
        return False
    if each.kind == "comment":
        return any(each.name.endswith(f" {name}") for name in whole)
    if each.kind not in _CONTAINED:
        return False
    there = _mapping(each.before if each.after is None else each.after)
    owner = there.get("owned by", "").removeprefix("identity ")
    place = split(owner)[0] if owner else there.get("table", split(each.name)[0])
    return place in whole
