"""A database of MySQL's or MariaDB's, made again beside itself: neither has templates.

What SHOW CREATE tells of each object is said again in the other database. Each step is
a generator of statements that is sent their rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.backends._base import Script

__all__ = ["as_text", "copied", "literal", "quote"]


def quote(name: str) -> str:
    """`name` as an SQL identifier, in whatever sql_mode."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """`text` as an SQL string; right with backslash escapes, the default."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def as_text(value: object) -> str:
    """A text of the catalog, which some drivers give as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def copied(template: str, database: str) -> Script:
    """Statements that fill `database`, which the session is in, as `template` is."""

    def moved(text: object) -> str:
        """What names the template names the database; no other name is like its."""
        return as_text(text).replace(f"{quote(template)}.", f"{quote(database)}.")

    yield "SET @asyncdb_mode = @@sql_mode, foreign_key_checks = 0, unique_checks = 0"
    found = yield (
        "SELECT table_name, table_type FROM information_schema.tables"
        f" WHERE table_schema = {literal(template)} ORDER BY table_name"
    )
    kinds = {as_text(name): as_text(kind) for name, kind in found}
    for name in (each for each in kinds if kinds[each] == "SEQUENCE"):
        yield from _sequence(template, name)
    tables = [name for name in kinds if kinds[name] == "BASE TABLE"]
    for name in tables:
        shown = yield f"SHOW CREATE TABLE {quote(template)}.{quote(name)}"
        yield moved(shown[0][1])
    for name in tables:
        yield from _rows(template, name)
    yield from _programs(template, moved, "FUNCTION", _routines(template, "FUNCTION"))
    yield from _programs(template, moved, "PROCEDURE", _routines(template, "PROCEDURE"))
    yield from _views(template, moved)
    yield from _programs(template, moved, "TRIGGER", _triggers(template))
    yield from _programs(template, moved, "EVENT", _events(template), at=3)
    yield "SET sql_mode = @asyncdb_mode, foreign_key_checks = 1, unique_checks = 1"


def _sequence(template: str, name: str) -> Script:
    source = f"{quote(template)}.{quote(name)}"
    shown = yield f"SHOW CREATE SEQUENCE {source}"
    yield as_text(shown[0][1])
    ((value,),) = yield f"SELECT next_not_cached_value FROM {source}"
    yield f"SELECT SETVAL({quote(name)}, {int(value)}, 0)"


def _rows(template: str, name: str) -> Script:
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
    yield f"INSERT INTO {quote(name)} ({columns}) SELECT {columns} FROM {source}"


def _programs(
    template: str, moved: Callable[[object], str], kind: str, query: str, *, at: int = 2
) -> Script:
    """What has a text, each in the sql_mode that it was made in; `at` is its column."""
    for (name,) in (yield query):
        full = f"{quote(template)}.{quote(as_text(name))}"
        shown = yield f"SHOW CREATE {kind} {full}"
        yield f"SET sql_mode = {literal(as_text(shown[0][1]))}"
        yield moved(shown[0][at])


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


def _views(template: str, moved: Callable[[object], str]) -> Script:
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
        yield f"CREATE VIEW {quote(name)} AS SELECT {listed}"
    for name in names:
        shown = yield f"SHOW CREATE VIEW {quote(template)}.{quote(name)}"
        yield moved(shown[0][1]).replace("CREATE ", "CREATE OR REPLACE ", 1)
