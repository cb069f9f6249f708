"""A schema on SQLite, small changes to it, and what is no change."""

from __future__ import annotations

from typing import Final

__all__ = ["BASE", "CHANGES", "NOISE", "NOTES"]

TEAM: Final = (
    "CREATE TABLE team (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(50) UNIQUE)"
)
PERSON: Final = (
    "CREATE TABLE person (id INTEGER NOT NULL, name VARCHAR(50) NOT NULL,"
    " nick VARCHAR(20) DEFAULT 'none', email TEXT COLLATE NOCASE, age INTEGER,"
    " pay NUMERIC(10, 2), team_id INTEGER,"
    " total NUMERIC GENERATED ALWAYS AS (pay * 12) STORED,"
    " PRIMARY KEY (id), CONSTRAINT mail UNIQUE (email),"
    " CONSTRAINT adult CHECK (age > 17),"
    " CONSTRAINT person_team FOREIGN KEY(team_id) REFERENCES team (id)"
    " ON DELETE CASCADE)"
)
BASE: Final = f"""
{TEAM};
{PERSON};
CREATE TABLE plain (a INTEGER, b INTEGER, PRIMARY KEY (a, b));
CREATE INDEX person_nick ON person (nick);
CREATE INDEX person_age ON person (age DESC);
CREATE INDEX person_adult ON person (age) WHERE age > 20;
CREATE INDEX person_lower ON person (lower(name));
CREATE INDEX person_case ON person (name COLLATE NOCASE);
CREATE UNIQUE INDEX person_both ON person (name, nick);
CREATE VIEW adults AS SELECT id FROM person WHERE age > 30;
CREATE TRIGGER touch AFTER UPDATE ON team BEGIN SELECT 1; END;
"""


def _person(old: str, new: str) -> str:
    """The table made again, with something else in it."""
    assert old in PERSON
    return f"DROP TABLE person; {PERSON.replace(old, new)}; {_INDEXES}"


_INDEXES: Final = "".join(
    f"{line}\n" for line in BASE.splitlines() if " ON person" in line
)

CHANGES: Final = {
    "check dropped": _person(" CONSTRAINT adult CHECK (age > 17),", ""),
    "check text": _person("age > 17", "age > 18"),
    "check added": _person(
        " CONSTRAINT adult", " CONSTRAINT rich CHECK (pay > 0), CONSTRAINT adult"
    ),
    "check renamed": _person("CONSTRAINT adult", "CONSTRAINT grown"),
    "collation dropped": _person(" COLLATE NOCASE", ""),
    "collation changed": _person("COLLATE NOCASE", "COLLATE RTRIM"),
    "autoincrement dropped": "DROP TABLE team;"
    + TEAM.replace(" AUTOINCREMENT", "")
    + ";CREATE TRIGGER touch AFTER UPDATE ON team BEGIN SELECT 1; END",
    "default text": _person("DEFAULT 'none'", "DEFAULT 'nobody'"),
    "default dropped": _person(" DEFAULT 'none'", ""),
    "nullability": _person("VARCHAR(50) NOT NULL", "VARCHAR(50)"),
    "length": _person("VARCHAR(20)", "VARCHAR(30)"),
    "type": _person("age INTEGER", "age BIGINT"),
    "precision": _person("NUMERIC(10, 2)", "NUMERIC(12, 2)"),
    "generated expression": _person("pay * 12", "pay * 13"),
    "generated to plain": _person(" GENERATED ALWAYS AS (pay * 12) STORED", ""),
    "generated to virtual": _person("STORED", "VIRTUAL"),
    "foreign key dropped": _person(
        ", CONSTRAINT person_team FOREIGN KEY(team_id) REFERENCES team (id)"
        " ON DELETE CASCADE",
        "",
    ),
    "foreign key on delete": _person("ON DELETE CASCADE", "ON DELETE SET NULL"),
    "foreign key deferrable": _person(
        "ON DELETE CASCADE", "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"
    ),
    "unique dropped": _person(" CONSTRAINT mail UNIQUE (email),", ""),
    "on conflict": _person("UNIQUE (email)", "UNIQUE (email) ON CONFLICT REPLACE"),
    "primary key": _person("PRIMARY KEY (id)", "PRIMARY KEY (id, name)"),
    "index dropped": "DROP INDEX person_nick",
    "index left over": "CREATE INDEX more ON person (pay)",
    "index not unique": "DROP INDEX person_both;"
    "CREATE INDEX person_both ON person (name, nick)",
    "index where": "DROP INDEX person_adult;"
    "CREATE INDEX person_adult ON person (age) WHERE age > 21",
    "index order": "DROP INDEX person_age; CREATE INDEX person_age ON person (age)",
    "index expression": "DROP INDEX person_lower;"
    "CREATE INDEX person_lower ON person (upper(name))",
    "index collation": "DROP INDEX person_case;"
    "CREATE INDEX person_case ON person (name)",
    "without rowid": "DROP TABLE plain;"
    "CREATE TABLE plain (a INTEGER, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID",
    "table left over": "CREATE TABLE more (id INTEGER)",
    "column left over": "ALTER TABLE plain ADD COLUMN c INTEGER",
    "column order": "DROP TABLE plain;"
    "CREATE TABLE plain (b INTEGER, a INTEGER, PRIMARY KEY (a, b))",
    "view changed": "DROP VIEW adults;"
    "CREATE VIEW adults AS SELECT id FROM person WHERE age > 40",
    "trigger dropped": "DROP TRIGGER touch",
}

NOTES: Final = frozenset({"column order"})

NOISE: Final = {
    "quoted": _person("CREATE TABLE person (id", 'CREATE TABLE "person" ("id"'),
    "int": _person("age INTEGER", "age INT"),
    "default in parentheses": _person("DEFAULT 'none'", "DEFAULT ('none')"),
    "blanks and case": _person(
        "name VARCHAR(50) NOT NULL", "name varchar( 50 )\n not null"
    ),
    "primary key at the column": _person(
        "id INTEGER NOT NULL", "id INTEGER NOT NULL PRIMARY KEY"
    ).replace(" PRIMARY KEY (id),", ""),
    "index made again": "DROP INDEX person_age;"
    'CREATE INDEX "person_age" ON "person" ("age" DESC)',
    "rows": "INSERT INTO team (name) VALUES ('red')",
}
