"""The schema of a SQLite database, from the text of its CREATE statements.

The text is cut into words, and what stands beside a column is put where a batch rebuild
puts it, at the table: so two spellings of one table are the same. Names and key words
are lower case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.migrations._schema import Schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import Connection

__all__ = ["read", "remedies"]

_CANNOT: Final = re.compile(
    r"cannot (add a (column with non-const|unique|primary|references)|drop )",
    re.IGNORECASE,
)
_COPY: Final = (
    "let SQLite copy the table, in upgrade() and in downgrade(): with"
    ' op.batch_alter_table("…", recreate="always") as batch: batch.add_column(…)'
)
_NOT_NULL: Final = "Cannot add a NOT NULL column with default value NULL"
_FILL: Final = (
    "give the column a server_default; or let it be NULL, fill it, and forbid NULL"
    " afterwards in op.batch_alter_table()"
)
_QUERY: Final = """SELECT type, name, tbl_name, sql FROM sqlite_master
    WHERE name NOT LIKE 'sqlite@_%' ESCAPE '@' ORDER BY name"""
_WORD: Final = re.compile(
    r"""\s+|--[^\n]*|/\*.*?\*/
    |(?P<text>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    |(?P<word>[^\W\d][\w$]*)
    |(?P<number>[\d.]+(?:[eE][+-]?\d+)?)
    |(?P<sign>\|\||<<|>>|<=|>=|<>|!=|==|->>|->|.)""",
    re.DOTALL | re.VERBOSE,
)
_PLAIN: Final = re.compile(r"[^\W\d]\w*")
_AT_TABLE: Final = ("constraint", "primary", "unique", "check", "foreign")
_CLAUSES: Final = (
    *("constraint", "primary", "unique", "check", "not", "null", "default"),
    *("collate", "references", "generated", "as", "on", "deferrable"),
)
_VIRTUAL: Final = re.compile(r"\s*CREATE\s+VIRTUAL\b", re.IGNORECASE)


def remedies(said: str) -> list[str]:
    """What helps where SQLite refuses to alter a table, by its words."""
    known = {_COPY: _CANNOT.search(said), _FILL: _NOT_NULL in said}
    return [remedy for remedy, helps in known.items() if helps]


def read(connection: Connection, ignore: Collection[str]) -> Schema:
    """The schema that this transaction sees, without the tables named in `ignore`."""
    found = _Found()
    for kind, name, table, sql in connection.exec_driver_sql(_QUERY).all():
        if table in ignore:
            continue
        if kind == "table" and not _VIRTUAL.match(sql):
            _Table(name, found).read(_words(sql))
        else:
            own = {"definition": _joined(_words(sql or ""))}
            place = {"table": table} if kind in ("index", "trigger") else {}
            found.add(
                kind, name if kind != "trigger" else f"{table}.{name}", place | own
            )
    return Schema("sqlite", found.objects)


@dataclass(slots=True)
class _Found:
    objects: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)

    def add(self, kind: str, name: str, properties: dict[str, str]) -> None:
        self.objects.setdefault(kind, {})[name] = properties


# ---------------------------------------------------------------------------- words
def _words(sql: str) -> list[str]:
    return [word for match in _WORD.finditer(sql) if (word := _word(match))]


def _word(match: re.Match[str]) -> str:
    if match["quoted"]:
        name = match["quoted"][1:-1].replace('""', '"').replace("``", "`")
        if _PLAIN.fullmatch(name):
            return name.lower()
        return '"' + name.replace('"', '""') + '"'
    if match["word"]:
        return match["word"].lower()
    return match["text"] or match["number"] or (match["sign"] or "").strip()


def _joined(words: Sequence[str]) -> str:
    """As one would write it: no blanks inside of parentheses and before commas."""
    text = " ".join(words)
    text = re.sub(r"\( ", "(", text)
    text = re.sub(r" ([),;])", r"\1", text)
    return re.sub(r" ?\. ?", ".", text)


def _items(words: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """What stands between the commas of the first parentheses, and what after them."""
    start = words.index("(") + 1
    depth, items, item = 1, list[list[str]](), list[str]()
    for place, word in enumerate(words[start:], start):
        depth += (word == "(") - (word == ")")
        if depth == 0:
            return [*items, item], list(words[place + 1 :])
        if word == "," and depth == 1:
            items.append(item)
            item = []
        else:
            item.append(word)
    return [*items, item], []


def _clauses(words: Sequence[str]) -> list[list[str]]:
    """A column's definition, cut into its type and what follows it."""
    clauses: list[list[str]] = [[]]
    depth = 0
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        if depth == 0 and word in _CLAUSES and not _goes_on(clauses[-1], before, word):
            clauses.append([])
        clauses[-1].append(word)
        depth += (word == "(") - (word == ")")
    return clauses


def _goes_on(clause: list[str], before: str, word: str) -> bool:
    """Whether a word that may begin a clause is part of the one before it."""
    if before in ("set", "default") and word != "constraint":
        return True
    if word == "null" and before == "not":
        return True
    head = clause[0] if clause else ""
    if head == "constraint" and len(clause) <= 2:  # noqa: PLR2004 - its name
        return len(clause) == 1
    kind = clause[2] if head == "constraint" else head
    if kind == "generated" and word == "as":
        return True
    if kind == "references":
        return word in ("on", "not", "deferrable")
    return kind in ("primary", "unique", "not", "null") and word == "on"


# --------------------------------------------------------------------------- tables
class _Table:
    """A table's columns and constraints."""

    def __init__(self, name: str, found: _Found) -> None:
        self._name = name
        self._found = found
        self._order: list[str] = []

    def read(self, words: list[str]) -> None:
        """Take the CREATE statement apart."""
        items, options = _items(words)
        for item in items:
            if item[0] in _AT_TABLE:
                self._constrain(item)
            else:
                self._column(item[0], item[1:])
        properties = {"column order": ", ".join(self._order)}
        if options:
            properties["options"] = _joined(options)
        self._found.add("table", self._name, properties)

    def _column(self, name: str, words: list[str]) -> None:
        self._order.append(name)
        properties = {"table": self._name, "nullable": "yes"}
        name_of_next: list[str] = []
        for clause in _clauses(words):
            said = name_of_next + clause
            name_of_next = []
            if said[:1] == ["constraint"] and len(said) == 2:  # noqa: PLR2004
                name_of_next = said
            elif said:
                properties |= self._clause(name, said)
        self._found.add("column", f"{self._name}.{name}", properties)

    def _clause(self, column: str, said: list[str]) -> dict[str, str]:
        named = said[0] == "constraint"
        words = said[2:] if named else said
        match words[0]:
            case "primary" | "unique" | "check" | "references":
                rest = [word for word in said if word != "autoincrement"]
                self._constrain(rest, column)
                return {"autoincrement": "yes"} if "autoincrement" in said else {}
            case "not":
                on = _joined(words[2:])
                return {"nullable": "no"} | ({"on null": on} if on else {})
            case _:
                return _plain_clause(words)

    def _constrain(self, words: list[str], column: str | None = None) -> None:
        name = None
        if words[0] == "constraint":
            name, words = words[1], words[2:]
        definition = _joined([*_at_table(words, column)])
        own = name or f"<unnamed> {definition}"
        self._found.add(
            "constraint",
            f"{self._name}.{own}",
            {"table": self._name, "definition": definition},
        )


def _plain_clause(words: list[str]) -> dict[str, str]:
    match words[0]:
        case "null":
            return {}
        case "default":
            return {"default": _joined(words[1:])}
        case "collate":
            return {"collation": words[1]}
        case "generated" | "as":
            return {"generated": _joined(words[words.index("as") + 1 :])}
        case _:
            return {"type": _joined(words)}


def _at_table(words: list[str], column: str | None) -> Iterator[str]:
    """A column's constraint as one of the table's."""
    here = ["(", column, ")"] if column is not None else []
    if column is None or words[0] == "check":
        yield from words
    elif words[0] == "references":
        yield from ("foreign", "key", *here, *words)
    else:
        length = 2 if words[0] == "primary" else 1
        yield from (*words[:length], *here, *words[length:])
