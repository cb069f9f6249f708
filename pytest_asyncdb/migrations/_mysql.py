"""The schema of a MariaDB or MySQL database, from SHOW CREATE and information_schema.

A line of SHOW CREATE TABLE is one element, rendered by the server with its defaults and
collations. The names of the database and of definers are left out, and the position of
AUTO_INCREMENT.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from pytest_asyncdb.migrations._schema import Schema

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

__all__ = ["read"]

_NAME: Final = r"`(?:[^`]|``)+`"
_LINE: Final = re.compile(
    r"(?:(?P<primary>PRIMARY KEY)"
    rf"|CONSTRAINT (?P<constraint>{_NAME})"
    rf"|(?P<key>(?:UNIQUE |FULLTEXT |SPATIAL )?KEY) (?P<index>{_NAME})"
    rf"|(?P<column>{_NAME}))\s*(?P<rest>.*)",
    re.DOTALL,
)
_BETWEEN: Final = re.compile(r",\n(?=  [`A-Z])")
_POSITION: Final = re.compile(r" AUTO_INCREMENT=\d+")
_DEFINER: Final = re.compile(r"DEFINER=\S+ ")
_PLAIN: Final = re.compile(r"\w+")

_TRIGGERS: Final = """SELECT event_object_table, trigger_name,
    concat(action_timing, ' ', event_manipulation, ' ', action_statement)
    FROM information_schema.triggers WHERE trigger_schema = :database"""
_ROUTINES: Final = """SELECT lower(r.routine_type), r.routine_name,
    concat('(', coalesce((SELECT group_concat(
            concat_ws(' ', p.parameter_mode, p.parameter_name, p.dtd_identifier)
            ORDER BY ordinal_position SEPARATOR ', ')
        FROM information_schema.parameters p
        WHERE p.specific_schema = r.routine_schema
        AND p.specific_name = r.specific_name AND ordinal_position > 0), ''), ')',
        coalesce(concat(' RETURNS ', r.dtd_identifier), ''),
        CASE r.is_deterministic WHEN 'YES' THEN ' DETERMINISTIC ' ELSE ' ' END,
        r.sql_data_access, ' SQL SECURITY ', r.security_type, ' ',
        r.routine_definition), r.routine_comment
    FROM information_schema.routines r WHERE r.routine_schema = :database"""
_EVENTS: Final = """SELECT event_name, concat(
        coalesce(concat('EVERY ', interval_value, ' ', interval_field),
            concat('AT ', execute_at)), ' ', status, ' DO ', event_definition),
    event_comment
    FROM information_schema.events WHERE event_schema = :database"""
_GRANTS: Final = """SELECT concat(table_name, ' TO ', grantee),
    group_concat(privilege_type ORDER BY 1 SEPARATOR ', ')
    FROM information_schema.table_privileges WHERE table_schema = :database
    GROUP BY table_name, grantee"""
_DATABASE: Final = """SELECT default_character_set_name, default_collation_name
    FROM information_schema.schemata WHERE schema_name = :database"""


def read(connection: Connection, ignore: Collection[str]) -> Schema:
    """The schema of the session's database, without the tables named in `ignore`."""
    reader = _Reader(connection)
    reader.tables(ignore)
    reader.others(ignore)
    return Schema(connection.dialect.name, reader.objects)


def _unquoted(name: str) -> str:
    """A name as people write it: in backticks only where it needs them."""
    own = name[1:-1].replace("``", "`")
    return own if _PLAIN.fullmatch(own) else name


@dataclass(slots=True)
class _Reader:
    connection: Connection
    objects: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    database: str = ""

    def __post_init__(self) -> None:
        self.database = str(self._rows("SELECT database()")[0][0])

    def _rows(self, sql: str) -> Sequence[Any]:
        said = {"database": self.database} if ":database" in sql else {}
        return self.connection.execute(text(sql), said).all()

    def _add(self, kind: str, name: str, **properties: str | None) -> None:
        given = {
            key.replace("_", " "): value for key, value in properties.items() if value
        }
        self.objects.setdefault(kind, {})[name] = given

    def _plain(self, sql: str) -> str:
        return _DEFINER.sub("", sql.replace(f"`{self.database}`.", ""))

    def tables(self, ignore: Collection[str]) -> None:
        """Tables, views and sequences."""
        for name, kind in self._rows("SHOW FULL TABLES"):
            if name in ignore:
                continue
            word = "SEQUENCE" if kind == "SEQUENCE" else "TABLE"
            quoted = name.replace("`", "``").replace(":", "\\:")
            sql = self._plain(self._rows(f"SHOW CREATE {word} `{quoted}`")[0][1])
            if kind == "SEQUENCE":
                self._add("sequence", name, definition=sql)
            elif "VIEW" in kind:
                self._add("view", name, definition=sql)
            else:
                self._table(name, sql)

    def _table(self, table: str, sql: str) -> None:
        body, _, options = sql.partition("(\n")[2].rpartition("\n)")
        columns, others = [], []
        for item in _BETWEEN.split(body):
            match = _LINE.fullmatch(item.strip())
            if match is None:
                others.append(item.strip())
                continue
            if match["column"]:
                columns.append(_unquoted(match["column"]))
            self._element(table, match)
        self._add(
            "table",
            table,
            column_order=", ".join(columns),
            options=_POSITION.sub("", options).strip(),
            others=", ".join(others),
        )

    def _element(self, table: str, match: re.Match[str]) -> None:
        rest = match["rest"].strip()
        if match["column"]:
            name = f"{table}.{_unquoted(match['column'])}"
            self._add("column", name, table=table, definition=rest)
        elif match["primary"]:
            name = f"{table}.PRIMARY"
            self._add("constraint", name, table=table, definition=f"PRIMARY KEY {rest}")
        elif match["constraint"]:
            name = f"{table}.{_unquoted(match['constraint'])}"
            self._add("constraint", name, table=table, definition=rest)
        else:
            own = match["index"]
            said = f"{match['key']} {own} {rest}"
            self._add(
                "index", f"{table}.{_unquoted(own)}", table=table, definition=said
            )

    def others(self, ignore: Collection[str]) -> None:
        """Triggers, routines, events, grants, and the database itself."""
        for table, name, said in self._rows(_TRIGGERS):
            if table not in ignore:
                self._add("trigger", f"{table}.{name}", table=table, definition=said)
        for kind, name, said, comment in self._rows(_ROUTINES):
            self._add(kind, name, definition=self._plain(said), comment=comment)
        for name, said, comment in self._rows(_EVENTS):
            self._add("event", name, definition=self._plain(said), comment=comment)
        for name, privileges in self._rows(_GRANTS):
            self._add("grant", name, privileges=privileges)
        charset, collation = self._rows(_DATABASE)[0]
        self._add("database", "(this one)", charset=charset, collation=collation)
