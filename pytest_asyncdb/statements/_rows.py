"""Answers that are looked up: which row has the key, and which one has changed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    select,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from pytest_asyncdb.statements._clues import in_sqlalchemy, told
from pytest_asyncdb.statements._lines import line_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_asyncdb.statements._clues import Clues

__all__ = ["duplicate", "stale"]

_DUPLICATE: Final = ("duplicate", "unique constraint")
_MOST: Final = 50


# ------------------------------------------------------------------- IntegrityError
def duplicate(error: BaseException, clues: Clues) -> str | None:
    """The row that already has the key which was written once more."""
    if not isinstance(error, IntegrityError) or clues.rows is None:
        return None
    if not any(word in str(error.orig).lower() for word in _DUPLICATE):
        return None
    written = _written(error)
    used = line_of(error.__traceback__)
    if written is None or used is None:
        return None
    table, rows = written
    found = [
        answer
        for columns in _unique(table)
        if (answer := _taken(table, columns, rows, clues, error))
    ]
    if len(found) != 1:
        return None
    return told(
        f"the INSERT at {used} failed: {found[0]}",
        [
            "give the row another key; a factory does by factory.Sequence",
            (
                "or look whether it exists, and write in `async with begin_nested()`:"
                " two may look at once"
            ),
        ],
    )


def _written(error: BaseException) -> tuple[Table, Sequence[Mapping[str, Any]]] | None:
    """The table of an INSERT, and its rows."""
    for name, values in in_sqlalchemy(error, "engine."):
        context: Any = values.get("context")
        if name == "handle_dbapi_exception" and getattr(context, "isinsert", False):
            state = getattr(context.compiled, "compile_state", None)
            table = getattr(state, "dml_table", None)
            rows = context.compiled_parameters
            if isinstance(table, Table) and 0 < len(rows) <= _MOST:
                return table, rows
    return None


def _unique(table: Table) -> Iterator[Sequence[Any]]:
    """Groups of columns that are different in each two rows."""
    kinds = (PrimaryKeyConstraint, UniqueConstraint)
    for each in sorted(table.constraints, key=str):
        if isinstance(each, kinds):
            yield list(each.columns)
    for index in table.indexes:
        if index.unique and _is_plain(index):
            yield list(index.columns)


def _is_plain(index: Index) -> bool:
    """Whether it is of columns, and of all rows."""
    whole = not any(name.endswith("_where") for name in index.kwargs)
    return whole and len(index.expressions) == len(index.columns)


def _taken(
    table: Table,
    columns: Sequence[Any],
    rows: Sequence[Mapping[str, Any]],
    clues: Clues,
    error: IntegrityError,
) -> str | None:
    """What has the key of one of the rows; None where none has."""
    keys = [
        tuple(row.get(column.key) for column in columns)
        for row in rows
        if all(row.get(column.key) is not None for column in columns)
    ]
    assert clues.rows is not None  # noqa: S101 - whoever calls has looked
    for key in dict.fromkeys(keys):
        pairs = zip(columns, key, strict=True)
        query = select(table).where(*(column == value for column, value in pairs))
        for row in clues.rows(query):
            return f"{table.name} has the row already: {_shown(row, columns, error)}"
    (key, count), *_ = Counter(keys).most_common(1) or [((), 0)]
    if count > 1:
        shown = _shown(_named(columns, key), columns, error)
        return f"{count} of its own rows for {table.name} have {shown}"
    return None


def _named(columns: Sequence[Any], key: Sequence[Any]) -> dict[str, Any]:
    return {column.name: value for column, value in zip(columns, key, strict=True)}


def _shown(row: Mapping[str, Any], keys: Sequence[Any], error: IntegrityError) -> str:
    """A row; where the engine hides parameters, only the names of its key."""
    if error.hide_parameters:
        return "of the same " + ", ".join(each.name for each in keys)
    return ", ".join(f"{name}={value!r}" for name, value in row.items())


# ------------------------------------------------------------------- StaleDataError
def stale(error: BaseException, clues: Clues) -> str | None:
    """The row that an UPDATE or DELETE did not find, and what has become of it."""
    used = line_of(error.__traceback__)
    if not isinstance(error, StaleDataError) or clues.rows is None or used is None:
        return None
    found = [
        text
        for mapper, key, expected in _missed(error)
        if (text := _become(mapper, key, expected, clues))
    ]
    if len(found) != 1:
        return None
    return told(
        f"a flush at {used} changed a row that is not as it was read: {found[0]}",
        [
            "read it again and repeat the whole unit of work, or tell the user",
            "or lock it while it is read: select(...).with_for_update()",
        ],
    )


def _missed(error: BaseException) -> Iterator[tuple[Any, Sequence[Any], object]]:
    """Mapper, primary key and expected version of the rows of the statement."""
    for name, values in in_sqlalchemy(error, "orm.persistence"):
        mapper: Any = values.get("mapper")
        version = None if mapper is None else mapper.version_id_col
        if name == "emit_update_statements":
            # The names of an UPDATE's parameters are those of its WHERE clause.
            label = getattr(version, "_label", None)
            for state, _, parameters, *_ in values["records"]:
                yield mapper, state.key[1], parameters.get(label)
        if name == "emit_delete_statements":
            name_of = getattr(version, "key", None)
            for parameters in values["del_objects"]:
                key = [parameters.get(each.key) for each in mapper.primary_key]
                yield mapper, key, parameters.get(name_of)


def _become(
    mapper: Any,  # noqa: ANN401 - of any class
    key: Sequence[Any],
    expected: object,
    clues: Clues,
) -> str | None:
    """What the row is now; None where nothing of it explains the error."""
    columns = mapper.primary_key
    version = mapper.version_id_col
    wanted = [*columns, *([] if version is None else [version])]
    pairs = zip(columns, key, strict=True)
    query = select(*wanted).where(*(column == value for column, value in pairs))
    assert clues.rows is not None  # noqa: S101 - whoever calls has looked
    rows = clues.rows(query)
    which = f"{mapper.class_.__name__} {', '.join(map(str, key))}"
    if not rows:
        return f"{which} is gone"
    now = None if version is None else rows[0][version.name]
    if expected is None or now == expected:
        return None
    return f"{which} is of {version.name} {now!r} by now, not of {expected!r}"
