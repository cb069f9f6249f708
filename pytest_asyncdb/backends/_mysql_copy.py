"""A database of MySQL's or MariaDB's, made again beside itself: neither has templates.

What SHOW CREATE tells of each object is written down once, and said again for each
copy. Each step is a generator of queries that is sent their rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_asyncdb.backends._base import Script

__all__ = ["as_text", "described", "literal", "moved", "quote"]

_COPIES: Final = "INSERT INTO"


def quote(name: str) -> str:
    """`name` as an SQL identifier, in whatever sql_mode."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """`text` as an SQL string; right with backslash escapes, the default."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def as_text(value: object) -> str:
    """A text of the catalog, which some drivers give as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def described(template: str, said: list[str]) -> Script:
    """Append to `said` the statements that make another database like `template`.

    They are for a session that is in that database, whose name `moved` puts in.
    """
    said.append("SET @asyncdb_mode = @@sql_mode")
    said.append("SET foreign_key_checks = 0, unique_checks = 0")
    found = yield (
        "SELECT table_name, table_type FROM information_schema.tables"
        f" WHERE table_schema = {literal(template)} ORDER BY table_name"
    )
    kinds = {as_text(name): as_text(kind) for name, kind in found}
    for name in (each for each in kinds if kinds[each] == "SEQUENCE"):
        yield from _sequence(template, name, said)
    tables = [name for name in kinds if kinds[name] == "BASE TABLE"]
    for name in tables:
        shown = yield f"SHOW CREATE TABLE {quote(template)}.{quote(name)}"
        said.append(as_text(shown[0][1]))
    for name in tables:
        yield from _rows(template, name, said)
    for kind in ("FUNCTION", "PROCEDURE"):
        yield from _programs(template, kind, _routines(template, kind), said)
    yield from _views(template, said)
    yield from _programs(template, "TRIGGER", _triggers(template), said)
    yield from _programs(template, "EVENT", _events(template), said, at=3)
    said.append(
        "SET sql_mode = @asyncdb_mode, foreign_key_checks = 1, unique_checks = 1"
    )


def moved(statement: str, template: str, database: str) -> str:
    """A statement for `database`, which is named where it names the template.

    No other name is like that of a template of ours. What copies rows stays as it is.
    """
    if statement.startswith(_COPIES):
        return statement
    return statement.replace(f"{quote(template)}.", f"{quote(database)}.")


def _sequence(template: str, name: str, said: list[str]) -> Script:
    source = f"{quote(template)}.{quote(name)}"
    shown = yield f"SHOW CREATE SEQUENCE {source}"
    said.append(as_text(shown[0][1]))
    ((value,),) = yield f"SELECT next_not_cached_value FROM {source}"
    said.append(f"SELECT SETVAL({quote(name)}, {int(value)}, 0)")


def _rows(template: str, name: str, said: list[str]) -> Script:
    """Rows of one table; generated columns come by themselves."""
    source = f"{quote(template)}.{quote(name)}"
    ((filled,),) = yield f"SELECT EXISTS (SELECT 1 FROM {source})"
    if not filled:
        return
    found = yield (
        "SELECT column_name FROM information_schema.columns WHERE"
        f" table_schema = {literal(template)} AND table_name = {literal(name)}"
        " AND coalesce(generation_expression, '') = '' ORDER BY ordinal_position"
    )
    columns = ", ".join(quote(as_text(column)) for (column,) in found)
    said.append(f"{_COPIES} {quote(name)} ({columns}) SELECT {columns} FROM {source}")


def _programs(
    template: str, kind: str, query: str, said: list[str], *, at: int = 2
) -> Script:
    """What has a text, each in the sql_mode that it was made in; `at` is its column."""
    for (name,) in (yield query):
        full = f"{quote(template)}.{quote(as_text(name))}"
        shown = yield f"SHOW CREATE {kind} {full}"
        said.append(f"SET sql_mode = {literal(as_text(shown[0][1]))}")
        said.append(as_text(shown[0][at]))


def _routines(template: str, kind: str) -> str:
    return (
        "SELECT routine_name FROM information_schema.routines"
        f" WHERE routine_schema = {literal(template)} AND routine_type = '{kind}'"
    )


def _triggers(template: str) -> str:
    return (
        "SELECT trigger_name FROM information_schema.triggers"
        f" WHERE trigger_schema = {literal(template)} ORDER BY event_object_table,"
        " action_timing, event_manipulation, action_order"
    )


def _events(template: str) -> str:
    return (
        "SELECT event_name FROM information_schema.events"
        f" WHERE event_schema = {literal(template)}"
    )


def _views(template: str, said: list[str]) -> Script:
    """Views may use each other, so their names are there before their texts."""
    found = yield (
        "SELECT table_name FROM information_schema.views"
        f" WHERE table_schema = {literal(template)}"
    )
    names = [as_text(name) for (name,) in found]
    for name in names:
        columns = yield (
            "SELECT column_name FROM information_schema.columns WHERE"
            f" table_schema = {literal(template)} AND table_name = {literal(name)}"
            " ORDER BY ordinal_position"
        )
        listed = ", ".join(f"1 AS {quote(as_text(each))}" for (each,) in columns)
        said.append(f"CREATE VIEW {quote(name)} AS SELECT {listed}")
    for name in names:
        shown = yield f"SHOW CREATE VIEW {quote(template)}.{quote(name)}"
        said.append(as_text(shown[0][1]).replace("CREATE ", "CREATE OR REPLACE ", 1))
