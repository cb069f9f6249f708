"""What is likely to be wrong with a schema, read from the catalog and the models."""

from __future__ import annotations

import itertools
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Float, Integer, inspect
from sqlalchemy.exc import SAWarning

from pytest_asyncdb.errors import SettingRefused
from pytest_asyncdb.values._models import every_mapper

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.orm import Mapper

__all__ = ["LINT_RULES", "SchemaProblem", "check_ignored", "lint_schema"]

LINT_RULES: Final = (
    "unindexed-foreign-key",
    "duplicate-index",
    "redundant-index",
    "version-in-python",
    "float-money",
)
_VERSIONS: Final = {
    *("version", "version_id", "version_number", "row_version", "record_version"),
    *("lock_version", "optlock"),
}
_MONEY: Final = {
    *("amount", "balance", "budget", "cost", "costs", "credit", "debit", "deposit"),
    *("fee", "fees", "income", "money", "payment", "price", "revenue", "salary"),
    *("subtotal", "tax", "turnover", "wage"),
}
_NO_MONEY: Final = {"count", "factor", "percent", "percentage", "rate", "ratio"}
_NOT_NULL: Final = re.compile(r"\(*\s*\"?(\w+)\"? IS NOT NULL\s*\)*", re.IGNORECASE)


@dataclass(frozen=True)
class SchemaProblem:
    """A finding; `name` is what silences it, such as "float-money:orders.price"."""

    rule: str
    where: str
    """The table and column, the index, or the model and attribute."""
    text: str
    remedy: str

    @property
    def name(self) -> str:
        """The rule and the place, as `ignore` takes them."""
        return f"{self.rule}:{self.where}"

    def __str__(self) -> str:
        return f"{self.name}\n        {self.text}; {self.remedy}"


def lint_schema(
    connection: Connection, *, ignore: Collection[str] = ()
) -> list[SchemaProblem]:
    """Problems of all tables of the connection's default schema.

    `ignore` holds names of findings, or of whole rules. Mapped classes are those that
    have been imported. Raises `SettingRefused` for a rule that there is not.
    """
    check_ignored("ignore", ignore)
    found = [
        *_of_tables(connection),
        *_of_models(set(inspect(connection).get_table_names())),
    ]
    return [each for each in found if not {each.rule, each.name} & set(ignore)]


def check_ignored(name: str, ignored: Iterable[str]) -> None:
    """Raise `SettingRefused` for a finding of no rule; `name` is the setting."""
    for each in ignored:
        if each.partition(":")[0] not in LINT_RULES:
            raise SettingRefused.choice(name, each, LINT_RULES)


# ------------------------------------------------------------------------- the catalog
@dataclass(frozen=True)
class _Index:
    """An index, or a constraint that has one."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    constraint: bool = False
    plain: bool = True
    """Of whole columns in their usual order, and of the usual kind."""
    partial: str | None = None

    def serves(self, columns: Sequence[str]) -> bool:
        """Whether rows are found by it where these columns are given."""
        found = _NOT_NULL.fullmatch(self.partial) if self.partial else None
        whole = self.partial is None or (found is not None and found[1] in columns)
        leads = set(self.columns[: len(columns)]) == set(columns)
        return leads and whole and (self.plain or self.partial is not None)


def _of_tables(connection: Connection) -> Iterator[SchemaProblem]:
    inspector: Any = inspect(connection)
    with warnings.catch_warnings():
        # Of what cannot be read: types of extensions, indexes of expressions.
        warnings.simplefilter("ignore", SAWarning)
        columns = inspector.get_multi_columns()
        foreign = inspector.get_multi_foreign_keys()
        primary = inspector.get_multi_pk_constraint()
        uniques = inspector.get_multi_unique_constraints()
        indexes = inspector.get_multi_indexes()
    for key in sorted(columns, key=str):
        table = key[1]
        found = list(_indexes(primary[key], uniques.get(key, ()), indexes.get(key, ())))
        yield from _unindexed(table, foreign.get(key, ()), found)
        yield from _superfluous(table, found)
        yield from _money(table, columns[key])


def _indexes(
    primary: Mapping[str, Any],
    uniques: Iterable[Mapping[str, Any]],
    indexes: Iterable[Mapping[str, Any]],
) -> Iterator[_Index]:
    """What the inspector tells of a table; some products name a constraint twice."""
    if primary["constrained_columns"]:
        columns = tuple(primary["constrained_columns"])
        yield _Index("the primary key", columns, unique=True, constraint=True)
    seen = set[Any]()
    for each in uniques:
        seen.add(each["name"])
        name = each["name"] or f"the unique constraint of {_list(each['column_names'])}"
        yield _Index(name, tuple(each["column_names"]), unique=True, constraint=True)
    for each in indexes:
        if each["name"] not in seen:
            yield _index(each)


def _index(found: Mapping[str, Any]) -> _Index:
    """As the inspector tells of it."""
    options = {
        name.partition("_")[2]: text
        for name, value in found.get("dialect_options", {}).items()
        if (text := str(value)) not in ("None", "False", "[]", "{}")
    }
    partial = options.pop("where", None)
    usual = options.pop("using", "btree") in ("btree", "")
    special = bool(options or found.get("column_sorting") or found.get("type"))
    names = tuple(found["column_names"])
    plain = usual and not special and partial is None and None not in names
    return _Index(
        found["name"],
        names,
        unique=bool(found["unique"]),
        plain=plain,
        partial=None if special or not usual else partial,
    )


def _unindexed(
    table: str, keys: Iterable[Mapping[str, Any]], indexes: Sequence[_Index]
) -> Iterator[SchemaProblem]:
    for key in keys:
        columns = key["constrained_columns"]
        if not any(each.serves(columns) for each in indexes):
            names = _list(columns)
            yield SchemaProblem(
                "unindexed-foreign-key",
                f"{table}.{'+'.join(columns)}",
                f"no index leads from a row of {key['referred_table']} to those of"
                f" {table}, and each DELETE there reads the whole table",
                f"add an index on {names}",
            )


def _superfluous(table: str, indexes: Sequence[_Index]) -> Iterator[SchemaProblem]:
    """Indexes that another one stands in for."""
    plain = [each for each in indexes if each.plain]
    told = set[str]()
    for one, other in itertools.permutations(plain, 2):
        if one.constraint or one.name in told or other.name in told:
            continue
        if one.columns == other.columns and (other.unique or not one.unique):
            told.add(one.name)
            yield _duplicate(table, one, other)
        elif not one.unique and one.columns == other.columns[: len(one.columns)]:
            told.add(one.name)
            yield _redundant(table, one, other)


def _duplicate(table: str, one: _Index, other: _Index) -> SchemaProblem:
    return SchemaProblem(
        "duplicate-index",
        f"{table}.{one.name}",
        f"{other.name} is on {_list(one.columns)} too",
        f"drop {one.name}",
    )


def _redundant(table: str, one: _Index, other: _Index) -> SchemaProblem:
    return SchemaProblem(
        "redundant-index",
        f"{table}.{one.name}",
        f"{other.name} on {_list(other.columns)} begins with {_list(one.columns)}",
        f"drop {one.name}",
    )


def _money(table: str, columns: Iterable[Mapping[str, Any]]) -> Iterator[SchemaProblem]:
    for column in columns:
        words = set(column["name"].lower().split("_"))
        is_money = bool(words & _MONEY) and not words & _NO_MONEY
        if is_money and isinstance(column["type"], Float):
            yield SchemaProblem(
                "float-money",
                f"{table}.{column['name']}",
                f"money in a {column['type']} is rounded: 0.1 + 0.2 is not 0.3",
                "make it Numeric(precision, 2), or an Integer of cents",
            )


def _list(columns: Iterable[str]) -> str:
    return f"({', '.join(columns)})"


# -------------------------------------------------------------------------- the models
def _of_models(tables: Collection[str]) -> Iterator[SchemaProblem]:
    """Version columns that SQLAlchemy does not know to be some."""
    for mapper in sorted(every_mapper(), key=lambda each: each.class_.__qualname__):
        if mapper.version_id_col is None and mapper.inherits is None:
            yield from _versions(mapper, tables)


def _versions(mapper: Mapper[Any], tables: Collection[str]) -> Iterator[SchemaProblem]:
    for each in mapper.column_attrs:
        column: Any = each.columns[0]
        owner = getattr(column, "table", None)
        counts = isinstance(column.type, Integer) and not column.primary_key
        if each.key in _VERSIONS and counts and getattr(owner, "name", "") in tables:
            model = mapper.class_.__name__
            yield SchemaProblem(
                "version-in-python",
                f"{model}.{each.key}",
                "a version that Python compares does not see who commits in between",
                f'give {model} __mapper_args__ = {{"version_id_col": {each.key}}}',
            )
