"""Statements that make, drop or change an object of a schema, as a reader expects them.

They are for people: what a migration lacks is told by them. Nothing runs them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.migrations._names import split

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["alter", "create", "drop", "rename"]

_COMPLETE: Final = ("CREATE ", "ALTER ", "COMMENT ")
_DETAILS: Final = ("table", "definition", "owner", "column order", "is")


def create(kind: str, name: str, properties: Mapping[str, str]) -> str:
    """The statement that makes an object with these properties."""
    definition = properties.get("definition", "")
    if definition.upper().startswith(_COMPLETE):
        return definition
    maker = _CREATE.get(kind)
    if maker is not None:
        return maker(name, properties)
    details = [
        f"{key} {value}" for key, value in properties.items() if key not in _DETAILS
    ]
    words = [f"CREATE {kind.upper()} {name}", definition]
    if details:
        words.append(f"({'; '.join(details)})")
    return " ".join(word for word in words if word)


def _create_table(name: str, properties: Mapping[str, str]) -> str:
    return f"CREATE TABLE {name} ({properties.get('column order', '')})"


def _create_column(name: str, properties: Mapping[str, str]) -> str:
    table, column = split(name)
    return f"ALTER TABLE {table} ADD COLUMN {column} {_column(properties)}"


def _column(properties: Mapping[str, str]) -> str:
    said = properties.get("definition", properties.get("type", ""))
    words = [said]
    if "collation" in properties:
        words.append(f"COLLATE {properties['collation']}")
    if "generated" in properties:
        words.append(f"GENERATED ALWAYS AS ({properties['generated']})")
    if "identity" in properties:
        words.append(f"GENERATED {properties['identity']} AS IDENTITY")
    if "default" in properties:
        words.append(f"DEFAULT {properties['default']}")
    if properties.get("nullable") == "no":
        words.append("NOT NULL")
    return " ".join(word for word in words if word)


def _create_constraint(name: str, properties: Mapping[str, str]) -> str:
    place, own = split(name)
    what = f"CONSTRAINT {own} " if "<unnamed>" not in own else ""
    return f"ALTER TABLE {place} ADD {what}{properties.get('definition', '')}"


def _create_index(name: str, properties: Mapping[str, str]) -> str:
    place = properties.get("table", split(name)[0])
    return f"ALTER TABLE {place} ADD {properties.get('definition', name)}"


def _create_comment(name: str, properties: Mapping[str, str]) -> str:
    text = properties.get("text", "").replace("'", "''")
    return f"COMMENT ON {_commented(name)} IS '{text}'"


def _commented(name: str) -> str:
    """What PostgreSQL describes as "column name of table public.person"."""
    kind, _, rest = name.partition(" ")
    inside = re.fullmatch(r"(\S+) of \w+ (\S+)", rest)
    if kind == "column" and inside:
        return f"COLUMN {inside[2]}.{inside[1]}"
    own, on, place = rest.partition(" on table ")
    return f"{kind.upper()} {own} ON {place}" if on else f"{kind.upper()} {rest}"


def _create_view(name: str, properties: Mapping[str, str]) -> str:
    return f"CREATE VIEW {name} AS {properties.get('definition', '').strip()}"


def _create_materialized(name: str, properties: Mapping[str, str]) -> str:
    said = properties.get("definition", "").strip()
    return f"CREATE MATERIALIZED VIEW {name} AS {said}"


def _create_sequence(name: str, properties: Mapping[str, str]) -> str:
    owner = properties.get("owned by")
    owned = f" OWNED BY {owner}" if owner else ""
    return f"CREATE SEQUENCE {name} {properties.get('definition', '')}{owned}"


def _create_enum(name: str, properties: Mapping[str, str]) -> str:
    return f"CREATE TYPE {name} AS ENUM ({properties.get('values', '')})"


def _create_domain(name: str, properties: Mapping[str, str]) -> str:
    return f"CREATE DOMAIN {name} AS {properties.get('base', '')}"


def _create_composite(name: str, properties: Mapping[str, str]) -> str:
    return f"CREATE TYPE {name} AS ({properties.get('attributes', '')})"


_CREATE: Final[Mapping[str, Callable[[str, Mapping[str, str]], str]]] = {
    "table": _create_table,
    "column": _create_column,
    "constraint": _create_constraint,
    "index": _create_index,
    "comment": _create_comment,
    "view": _create_view,
    "materialized view": _create_materialized,
    "sequence": _create_sequence,
    "enum": _create_enum,
    "domain": _create_domain,
    "composite type": _create_composite,
}

_IN_TABLE: Final = {
    "column": "ALTER TABLE {place} DROP COLUMN {own}",
    "constraint": "ALTER TABLE {place} DROP CONSTRAINT {own}",
    "trigger": "DROP TRIGGER {own} ON {place}",
    "rule": "DROP RULE {own} ON {place}",
    "policy": "DROP POLICY {own} ON {place}",
}
_TYPES: Final = ("enum", "composite type", "range type", "base type")


def drop(kind: str, name: str, properties: Mapping[str, str]) -> str:
    """The statement that removes an object."""
    if kind in _IN_TABLE:
        place, own = split(name)
        return _IN_TABLE[kind].format(place=properties.get("table", place), own=own)
    if kind == "comment":
        return f"COMMENT ON {_commented(name)} IS NULL"
    word = "TYPE" if kind in _TYPES else kind.upper()
    return f"DROP {word} {name}"


def rename(kind: str, now: str, then: str) -> str:
    """The statement that gives an object another name."""
    place, own = split(now)
    if kind == "constraint":
        return f"ALTER TABLE {place} RENAME CONSTRAINT {own} TO {split(then)[1]}"
    if kind in ("trigger", "policy"):
        return f"ALTER {kind.upper()} {own} ON {place} RENAME TO {split(then)[1]}"
    return f"ALTER {kind.upper()} {now} RENAME TO {split(then)[1]}"


def alter(kind: str, name: str, prop: str, value: str | None) -> str:
    """The statement that gives a property of an object another value; None: none."""
    place, own = split(name)
    if kind == "column":
        return f"ALTER TABLE {place} ALTER COLUMN {own} {_altered_column(prop, value)}"
    if prop == "definition":
        said = create(kind, name, {"table": place, "definition": value or ""})
        replaces = kind in ("view", "function")
        if replaces and said.upper().startswith(("CREATE OR REPLACE", "CREATE VIEW")):
            return said.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1)
        return f"{drop(kind, name, {})}; {said}"
    if kind == "enum" and prop == "values":
        return f"-- type {name} with the values {value}"
    if kind == "comment":
        return create(kind, name, {"text": value or ""})
    said = "(none)" if value is None else value
    return f"ALTER {_word(kind)} {name} -- {prop}: {said}"


def _word(kind: str) -> str:
    return "TYPE" if kind in _TYPES else kind.upper()


def _altered_column(prop: str, value: str | None) -> str:
    if prop == "type":
        return f"TYPE {value}"
    if prop == "nullable":
        return "DROP NOT NULL" if value == "yes" else "SET NOT NULL"
    if prop == "default":
        return "DROP DEFAULT" if value is None else f"SET DEFAULT {value}"
    return f"-- {prop}: {'(none)' if value is None else value}"
