"""Asking the database which rows a CHECK constraint lets pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, literal, literal_column, select, text, union_all

from pytest_asyncdb.values._columns import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import CheckConstraint, Column, Select

__all__ = ["passing"]


def passing(
    checks: Sequence[CheckConstraint],
    columns: Sequence[Column[Any]],
    rows: Sequence[Mapping[str, Any]],
) -> Select[Any]:
    """A query for the places in `rows` of those that all checks let pass.

    A row has a value for each column, by the column's name. What is NULL passes, as it
    does when a row is inserted.
    """
    candidates = union_all(
        *(
            select(
                literal(place).label("asyncdb_place"),
                *(
                    literal(row[each.name], each.type).label(each.name)
                    for each in columns
                ),
            )
            for place, row in enumerate(rows)
        )
    ).subquery(str(columns[0].table.name))
    place = literal_column("asyncdb_place", Integer)
    query = select(place).select_from(candidates)
    for check in checks:
        refused = f"CASE WHEN NOT ({text_of(check)}) THEN 1 ELSE 0 END"
        query = query.where(text(f"{refused} = 0"))
    return query.order_by(place)
