"""How a schedule has ended, so that two of them can be compared.

Keys that the database gives to new rows are compared up to renaming, also where other
rows or results name them; what is volatile is not compared.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pytest_asyncdb.concurrency._values import NOW, Clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_asyncdb.concurrency._catalog import Catalog, Table
    from pytest_asyncdb.concurrency._start import Rows
    from pytest_asyncdb.concurrency._values import Leaves, Path

__all__ = ["Ending", "Terms"]

_ROUNDS: Final = 3
_VOLATILE: Final = "<volatile>"
_Key: TypeAlias = tuple[str, Any]


@dataclass(slots=True, eq=False)
class Ending:
    """How one schedule has ended: who succeeded, with what, and the rows touched."""

    succeeded: frozenset[str]
    results: Mapping[str, Leaves]
    rows: Mapping[str, Rows]


@dataclass(slots=True, eq=False)
class Terms:
    """By what two endings are the same.

    `volatile` holds "table.column", and names of actors with the path in their result.
    """

    catalog: Catalog
    start: Mapping[str, Rows]
    clock: Clock = field(default_factory=Clock)
    volatile: set[str] = field(default_factory=set)
    _keys: dict[str, frozenset[Any]] = field(default_factory=dict)

    # ------------------------------------------------------------------ what differs
    def compare_twins(self, first: Ending, second: Ending) -> list[str]:
        """Of two runs of one order: name what is volatile. Returns what is news."""
        before = set(self.volatile)
        for table in self._tables(first, second):
            columns = enumerate(table.columns)
            one, two = self._rows(first, table), self._rows(second, table)
            for index, column in columns:
                values = (
                    Counter(repr(row[index]) for row in rows) for rows in (one, two)
                )
                if next(values) != next(values) and not self._points(table, column):
                    self.volatile.add(f"{table.plain}.{column}")
        for actor in first.succeeded & second.succeeded:
            self.volatile.update(self._other_leaves(actor, first, second))
        return sorted(self.volatile - before)

    def _other_leaves(self, actor: str, first: Ending, second: Ending) -> Iterator[str]:
        one, two = first.results[actor], second.results[actor]
        labels = self._labels(first), self._labels(second)
        for path in one.keys() | two.keys():
            there = path in one and path in two
            pairs = _Pairs(*labels, self)
            if not there or not pairs.fit(path, one[path], two[path]):
                yield _name(actor, path)

    def is_volatile(self, actor: str, path: Path) -> bool:
        """Whether that part of an actor's result is not compared."""
        return any(
            _name(actor, path[:length]) in self.volatile
            for length in range(len(path) + 1)
        )

    def _is_volatile_column(self, table: Table, column: str) -> bool:
        return column in self.volatile or f"{table.plain}.{column}" in self.volatile

    # ------------------------------------------------------------------ what is equal
    def same_state(self, first: Ending, second: Ending) -> bool:
        """Whether the same rows are there."""
        tables = self._tables(first, second)
        return self._state(first, tables) == self._state(second, tables)

    def same_results(self, first: Ending, second: Ending) -> bool:
        """Whether the same actors were told the same."""
        pairs = _Pairs(self._labels(first), self._labels(second), self)
        return first.succeeded == second.succeeded and all(
            self._same_leaves(actor, first, second, pairs)
            for actor in sorted(first.succeeded)
        )

    def _same_leaves(
        self, actor: str, first: Ending, second: Ending, pairs: _Pairs
    ) -> bool:
        one, two = first.results[actor], second.results[actor]
        paths = {
            path
            for path in one.keys() | two.keys()
            if not self.is_volatile(actor, path)
        }
        return all(
            path in one and path in two and pairs.fit(path, one[path], two[path])
            for path in sorted(paths)
        )

    def summary(self, ending: Ending) -> str:
        """The ending as one line, equal for equal ones; "-" is before a row gone."""
        tables = self._tables(ending)
        labels = self._labels(ending)
        said = [f"{' and '.join(sorted(ending.succeeded)) or 'nobody'} succeeded"]
        said += [
            f"{_name(actor, path)} = {shown}"
            for actor in sorted(ending.succeeded)
            for path, value in sorted(ending.results[actor].items())
            if path or value is not None
            for shown in [
                _VOLATILE
                if self.is_volatile(actor, path)
                else self._shown(path, value, labels)
            ]
        ]
        said += [
            f"{table}: {' '.join(rows)}"
            for table, rows in self._state(ending, tables)
            if rows
        ]
        return "; ".join(said)

    def _shown(self, path: Path, value: Any, labels: _Labels) -> str:
        if self.clock.is_now(value):
            return NOW
        found = labels.of_value(value) if self.names_a_key(path) else set()
        return repr(sorted(found) if found else value)

    # -------------------------------------------------------------------------- rows
    def _tables(self, *endings: Ending) -> list[Table]:
        names = {name for ending in endings for name in ending.rows}
        return self.catalog.touched(names)

    def _rows(self, ending: Ending, table: Table) -> Rows:
        return ending.rows.get(table.plain, self.start[table.plain])

    def _state(
        self, ending: Ending, tables: Iterable[Table]
    ) -> list[tuple[str, list[str]]]:
        """The rows that are not those of the start, table by table, in order."""
        labels = self._labels(ending)
        state = []
        for table in tables:
            then = Counter(map(repr, self.start[table.plain]))
            now = Counter(map(repr, self._rows(ending, table)))
            new = [
                self._row(table, row, labels)
                for row in self._rows(ending, table)
                if repr(row) not in then
            ]
            gone = (f"-{row}" for row in (then - now).elements())
            state.append((table.plain, sorted([*new, *gone])))
        return state

    def _row(self, table: Table, row: tuple[Any, ...], labels: _Labels) -> str:
        return repr(
            [
                self._cell(table, column, value, labels)
                for column, value in zip(table.columns, row, strict=True)
            ]
        )

    def _cell(self, table: Table, column: str, value: Any, labels: _Labels) -> Any:
        if table.key == (column,) and (table.plain, value) in labels:
            return labels[table.plain, value]
        for parent in table.parents:
            if parent.columns == (column,) and (parent.table, value) in labels:
                return labels[parent.table, value]
        if self._is_volatile_column(table, column):
            return _VOLATILE
        return NOW if self.clock.is_now(value) else value

    # ------------------------------------------------------------------- new rows' keys
    def _points(self, table: Table, column: str) -> bool:
        """Whether the column holds keys of a table whose new keys are renamed."""
        return any(
            parent.columns == (column,)
            and self._renames(self.catalog.tables[parent.table])
            for parent in table.parents
            if parent.table in self.catalog.tables
        )

    def _renames(self, table: Table) -> bool:
        """Whether keys of new rows say nothing: numbered, or random."""
        return len(table.key) == 1 and (
            table.counts or self._is_volatile_column(table, table.key[0])
        )

    def names_a_key(self, path: Path) -> bool:
        """Whether a value at that path is a key, by its name or as the whole result."""
        last = next((each for each in reversed(path) if not each.isdigit()), "")
        columns = {each.key[0] for each in self.catalog.tables.values() if each.key}
        return not last or last in columns or last.endswith("_id")

    def _old_keys(self, table: Table) -> frozenset[Any]:
        if table.plain not in self._keys:
            index = table.columns.index(table.key[0])
            rows = self.start[table.plain]
            self._keys[table.plain] = frozenset(repr(row[index]) for row in rows)
        return self._keys[table.plain]

    def _labels(self, ending: Ending) -> _Labels:
        """For each new key what its row is like, with all rows that it points to."""
        rows: dict[_Key, tuple[Table, tuple[Any, ...]]] = {}
        for table in self.catalog.touched(ending.rows):
            if self._renames(table):
                index, old = table.columns.index(table.key[0]), self._old_keys(table)
                rows |= {
                    (table.plain, row[index]): (table, row)
                    for row in ending.rows[table.plain]
                    if repr(row[index]) not in old
                }
        labels = _Labels({key: key[0] for key in rows})
        for _ in range(_ROUNDS):
            labels = _Labels(
                {
                    key: f"{key[0]}#{_digest(self._row(table, row, labels))}"
                    for key, (table, row) in rows.items()
                }
            )
        return labels


class _Labels(dict[_Key, str]):
    """By table and key."""

    def of_value(self, value: object) -> set[str]:
        """The labels of all rows that have this key, or its text."""
        plain = isinstance(value, int | str) and not isinstance(value, bool)
        if not plain and type(value).__name__ != "UUID":
            return set()
        return {
            label
            for (_, key), label in self.items()
            if key == value or str(key) == str(value)
        }


class _Pairs:
    """Values of two endings: equal, or keys of rows that are alike, one to one."""

    def __init__(self, first: _Labels, second: _Labels, terms: Terms) -> None:
        self._first, self._second, self._terms = first, second, terms
        self._there: dict[tuple[str, str], str] = {}
        self._back: dict[tuple[str, str], str] = {}

    def fit(self, path: Path, one: Any, two: Any) -> bool:
        """Whether both values mean the same."""
        is_key = self._terms.names_a_key(path)
        if one == two and not is_key:
            return True
        labels = self._first.of_value(one) & self._second.of_value(two)
        if labels:
            label = min(labels)
            return self._there.setdefault((label, str(one)), str(two)) == str(
                two
            ) and self._back.setdefault((label, str(two)), str(one)) == str(one)
        clock = self._terms.clock
        return bool(one == two) or (clock.is_now(one) and clock.is_now(two))


def _name(actor: str, path: Path) -> str:
    return ".".join((actor, *path))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
