"""How each product is asked for a plan, and what its answer says."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["PRODUCTS", "Access", "Product"]

_SQLITE: Final = re.compile(
    r"(SCAN|SEARCH) (?:TABLE )?(?!CONSTANT|SUBQUERY)(\w+)\b(.*)"
)
_SQLITE_INDEX: Final = re.compile(r"USING (?:COVERING )?INDEX (\w+)")


@dataclass
class Access:
    """What a plan reads: tables, or their aliases, from end to end; and by indexes.

    `planned` is false where the server found without a plan that there are no rows.
    """

    scans: set[str] = field(default_factory=set)
    indexes: set[str] = field(default_factory=set)
    planned: bool = True


@dataclass(frozen=True)
class Product:
    """Statements that come before the question, the question, and how to read it."""

    before: tuple[str, ...]
    explain: str
    read: Callable[[Iterable[Any]], Access]


# ---------------------------------------------------------------------- PostgreSQL
def _read_postgresql(rows: Iterable[Any]) -> Access:
    """A scan by an index without a condition reads it from end to end."""
    access = Access()
    for node, table in _nodes(_json(next(iter(rows))[0])[0]["Plan"], ""):
        kind = node["Node Type"]
        by_index = "Index Name" in node
        if by_index:
            access.indexes.add(node["Index Name"])
        if kind == "Seq Scan" or (by_index and "Index Cond" not in node):
            access.scans.add(table)
    return access


def _nodes(node: Mapping[str, Any], table: str) -> Iterator[tuple[Any, str]]:
    """Each node with its table, which that of a bitmap has from the one above."""
    table = node.get("Relation Name", table)
    yield node, table
    for each in node.get("Plans", ()):
        yield from _nodes(each, table)


def _json(value: Any) -> Any:  # noqa: ANN401 - some drivers have read it already
    return json.loads(value) if isinstance(value, str | bytes) else value


# ------------------------------------------------------------------- MySQL, MariaDB
def _read_mysql(rows: Iterable[Any]) -> Access:
    """A scan of a table of which it could use an index is the small table's."""
    access = Access(planned=False)
    for table in _tables(_json(next(iter(rows))[0])):
        access.planned = True
        full = table["access_type"] in ("ALL", "index")
        if full and not table.get("possible_keys"):
            access.scans.add(table["table_name"])
        if "key" in table:
            access.indexes.add(table["key"])
    return access


def _tables(value: object) -> Iterator[Any]:
    if isinstance(value, dict):
        if "access_type" in value and "table_name" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _tables(each)


# -------------------------------------------------------------------------- SQLite
def _read_sqlite(rows: Iterable[Any]) -> Access:
    """An automatic index is made for the statement, of the whole table."""
    access = Access()
    for *_, detail in rows:
        found = _SQLITE.match(detail)
        if found is None:
            continue
        kind, table, how = found.groups()
        if kind == "SCAN" or "AUTOMATIC" in how:
            access.scans.add(table)
        access.indexes.update(_SQLITE_INDEX.findall(how))
    return access


_MYSQL: Final = Product((), "EXPLAIN FORMAT=JSON ", _read_mysql)
PRODUCTS: Final[Mapping[str, Product]] = {
    "postgresql": Product(
        ("SET LOCAL enable_seqscan = off",),
        "EXPLAIN (FORMAT JSON) ",
        _read_postgresql,
    ),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "sqlite": Product((), "EXPLAIN QUERY PLAN ", _read_sqlite),
}
"""By the name of the dialect."""
