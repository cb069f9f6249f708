"""Properties that rows of any schema should have, each in one line of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import ONETOMANY

from pytest_asyncdb.errors import PropertyFailed
from pytest_asyncdb.strategies._persist import db_persist, graph_of, objects_of
from pytest_asyncdb.strategies._running import session_of_test

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

__all__ = [
    "assert_constraints_agree",
    "assert_equivalent",
    "assert_no_orphans",
    "assert_round_trip",
    "assert_schema_round_trip",
]

_REFUSED: Final = (ValueError, TypeError)


async def assert_round_trip(
    graph: Any, /, *, session: AsyncSession | None = None
) -> None:
    """Write `graph`, read every row again, and compare it with what was set.

    Finds text that is cut or padded, time zones that are lost, numbers that drift.
    `session` is the running test's where none is given. Raises `PropertyFailed`, and
    what the database says of a row that it refuses.
    """
    chosen = session_of_test() if session is None else session
    objects = [each for root in objects_of(graph) for each in graph_of(root)]
    wanted = [(each, _values(each)) for each in objects]
    await db_persist(graph, session=chosen)
    wrong = []
    for each, values in wanted:
        row = await _row(chosen, each, values)
        wrong += [
            f"{type(each).__name__}.{name}: {was!r} comes back as {row[name]!r}"
            for name, was in values.items()
            if was != row[name]
        ]
    if wrong:
        raise PropertyFailed.round_trip(wrong)


def _values(instance: Any) -> dict[str, Any]:
    """Values of columns that have been set, by attribute; keys are the database's."""
    state = inspect(instance)
    return {
        each.key: state.dict[each.key]
        for each in state.mapper.column_attrs
        if each.key in state.dict
        and not each.columns[0].foreign_keys
        and not hasattr(state.dict[each.key], "compile")
    }


async def _row(
    session: AsyncSession, instance: Any, names: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The columns as they are read, past the session's own objects."""
    if not names:
        return {}
    mapper = inspect(instance).mapper
    query = select(*(getattr(mapper.class_, name).label(name) for name in names))
    found = (await session.execute(query.where(*_is(instance)))).mappings().all()
    if not found:
        raise PropertyFailed.gone(type(instance).__name__)
    return dict(found[0])


def _is(instance: Any) -> Iterator[Any]:
    state = inspect(instance)
    for column, value in zip(state.mapper.primary_key, state.identity, strict=True):
        yield column == value


async def assert_equivalent(
    graph: Any, attribute: Any, /, *, session: AsyncSession | None = None
) -> None:
    """Write `graph`; an attribute has to be the same in Python and in SQL.

    `attribute` is a hybrid property, such as `User.full_name`. Raises `PropertyFailed`.
    """
    chosen = session_of_test() if session is None else session
    name = getattr(attribute, "__name__", None) or attribute.key
    owner = attribute.parent.class_ if hasattr(attribute, "parent") else None
    await db_persist(graph, session=chosen)
    wrong = []
    for each in (each for root in objects_of(graph) for each in graph_of(root)):
        if owner is not None and not isinstance(each, owner):
            continue
        there = await chosen.scalar(select(attribute).where(*_is(each)))
        here = getattr(each, name)
        if here != there:
            wrong.append(f"{each!r}.{name}: Python has {here!r}, SQL has {there!r}")
    if wrong:
        raise PropertyFailed.equivalent(name, wrong)


async def assert_no_orphans(
    graph: Any, /, *, session: AsyncSession | None = None
) -> None:
    """Write `graph` and delete it; nothing may refer to what is gone.

    Neither by a foreign key that nobody checks, nor as a child whose relationship says
    that it is deleted with its parent. Raises `PropertyFailed`, also where the database
    refuses to delete it.
    """
    chosen = session_of_test() if session is None else session
    await db_persist(graph, session=chosen)
    roots = [*objects_of(graph)]
    children = [child for root in roots for child in _children(root)]
    try:
        async with chosen.begin_nested():
            for each in roots:
                await chosen.delete(each)
    except DBAPIError as error:
        raise PropertyFailed.not_deleted(str(error.orig)) from error
    left = []
    for name, mapper, identity in children:
        keys = zip(mapper.primary_key, identity, strict=True)
        query = select(mapper.primary_key[0]).where(*(a == b for a, b in keys))
        if (await chosen.execute(query)).first() is not None:
            left.append(f"{name}: {mapper.class_.__name__} {identity} is still there")
    if left:
        raise PropertyFailed.orphans(left)


def _children(root: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Rows that have to go with it: they cascade, or their key may not be NULL."""
    state = inspect(root)
    for each in state.mapper.relationships:
        if each.direction is not ONETOMANY or each.viewonly:
            continue
        if not (each.cascade.delete or _is_needed(each)):
            continue
        value = state.dict.get(each.key) or ()
        for child in value if each.uselist else [value]:
            found = inspect(child)
            name = f"{type(root).__name__}.{each.key}"
            yield name, found.mapper, found.identity
            yield from _children(child)


def _is_needed(relationship: Any) -> bool:
    return any(not each.nullable for each in relationship.remote_side)


async def assert_constraints_agree(
    model: type[Any],
    values: Mapping[str, Any],
    /,
    *,
    session: AsyncSession | None = None,
) -> None:
    """What the class accepts the database has to accept, and the reverse.

    `values` are by attribute; the class refuses them by `ValueError` or `TypeError`.
    Nothing of it stays. Raises `PropertyFailed`.
    """
    chosen = session_of_test() if session is None else session
    python = _refusal_of_python(model, values)
    mapper = inspect(model)
    row = {mapper.attrs[name].columns[0].name: each for name, each in values.items()}
    sql: Exception | None = None
    savepoint = await chosen.begin_nested()
    try:
        await chosen.execute(mapper.local_table.insert().values(row))
    except DBAPIError as error:
        sql = error
    await savepoint.rollback()
    if (python is None) is not (sql is None):
        raise PropertyFailed.disagree(model.__name__, dict(values), python, sql)


def _refusal_of_python(model: type[Any], values: Mapping[str, Any]) -> Exception | None:
    try:
        model(**values)
    except _REFUSED as error:
        return error
    return None


def assert_schema_round_trip(schema: Any, instance: Any, /) -> None:
    """What a Pydantic schema reads of an object has to make the same object again.

    Of the columns that both have. Raises `PropertyFailed`, and what Pydantic says of an
    object that it refuses.
    """
    read = schema.model_validate(instance, from_attributes=True)
    again = schema.model_validate_json(read.model_dump_json())
    names = inspect(instance).mapper.column_attrs.keys() & schema.model_fields.keys()
    wrong = [
        f"{name}: {getattr(instance, name)!r} comes back as {getattr(again, name)!r}"
        for name in sorted(names)
        if getattr(instance, name) != getattr(again, name)
    ]
    if wrong:
        raise PropertyFailed.schema(schema.__name__, wrong)
