"""A schema on MariaDB, small changes to it, and what is no change."""

from __future__ import annotations

from typing import Final

__all__ = ["BASE", "CHANGES", "NOISE", "NOTES"]

BASE: Final = (
    "CREATE TABLE team (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50) UNIQUE)",
    """CREATE TABLE person (
        id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50) NOT NULL COMMENT 'theirs',
        nick VARCHAR(20) DEFAULT 'none', email VARCHAR(90) COLLATE utf8mb4_bin,
        mood ENUM('sad', 'ok', 'happy') DEFAULT 'ok', age INT UNSIGNED,
        pay DECIMAL(10, 2), born DATETIME(3), bio TEXT, team_id INT,
        seen TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
        total DECIMAL(12, 2) GENERATED ALWAYS AS (pay * 12) STORED,
        CONSTRAINT mail UNIQUE (email), CONSTRAINT adult CHECK (age > 17),
        CONSTRAINT person_team FOREIGN KEY (team_id) REFERENCES team (id)
            ON DELETE CASCADE,
        KEY person_nick (nick), KEY person_age (age DESC), KEY person_name (name(10)),
        UNIQUE KEY person_both (name, nick), FULLTEXT KEY person_bio (bio)
    ) COMMENT 'people'""",
    "CREATE TABLE plain (id INT) ENGINE=InnoDB",
    "CREATE SEQUENCE tickets START WITH 10 INCREMENT BY 5",
    "CREATE VIEW adults AS SELECT id FROM person WHERE age > 30",
    "CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN n * 2",
    "CREATE PROCEDURE tidy() DELETE FROM plain",
    "CREATE TRIGGER touch BEFORE UPDATE ON person FOR EACH ROW SET NEW.nick = 'x'",
    "CREATE EVENT daily ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM plain",
)

_MOOD: Final = "ALTER TABLE person MODIFY mood"
_NICK: Final = "ALTER TABLE person MODIFY nick"
_ADD_TOTAL: Final = "ALTER TABLE person ADD total DECIMAL(12, 2)"
_ADD_TEAM: Final = "ALTER TABLE person ADD CONSTRAINT person_team"
_TOTAL: Final = "ALTER TABLE person MODIFY total DECIMAL(12, 2)"

CHANGES: Final = {
    "check dropped": ("ALTER TABLE person DROP CONSTRAINT adult",),
    "check text": (
        "ALTER TABLE person DROP CONSTRAINT adult",
        "ALTER TABLE person ADD CONSTRAINT adult CHECK (age > 18)",
    ),
    "check added": ("ALTER TABLE person ADD CONSTRAINT rich CHECK (pay > 0)",),
    "default text": ("ALTER TABLE person ALTER nick SET DEFAULT 'nobody'",),
    "default dropped": ("ALTER TABLE person ALTER nick DROP DEFAULT",),
    "on update": (
        "ALTER TABLE person MODIFY seen TIMESTAMP DEFAULT CURRENT_TIMESTAMP",
    ),
    "auto increment dropped": ("ALTER TABLE person MODIFY id INT",),
    "enum value added": (f"{_MOOD} ENUM('sad', 'ok', 'happy', 'wild') DEFAULT 'ok'",),
    "enum order": (
        "ALTER TABLE person MODIFY mood ENUM('happy', 'ok', 'sad') DEFAULT 'ok'",
    ),
    "nullability": ("ALTER TABLE person MODIFY name VARCHAR(50) COMMENT 'theirs'",),
    "length": ("ALTER TABLE person MODIFY nick VARCHAR(30) DEFAULT 'none'",),
    "precision": (
        "ALTER TABLE person DROP total",
        "ALTER TABLE person MODIFY pay DECIMAL(12, 2)",
        f"{_ADD_TOTAL} GENERATED ALWAYS AS (pay * 12) STORED",
    ),
    "fraction": ("ALTER TABLE person MODIFY born DATETIME(6)",),
    "unsigned": ("ALTER TABLE plain MODIFY id INT UNSIGNED",),
    "type": ("ALTER TABLE plain MODIFY id BIGINT",),
    "column collation": (
        "ALTER TABLE person MODIFY email VARCHAR(90) COLLATE utf8mb4_general_ci",
    ),
    "column charset": (f"{_NICK} VARCHAR(20) CHARACTER SET latin1 DEFAULT 'none'",),
    "table collation": ("ALTER TABLE plain COLLATE utf8mb4_bin",),
    "engine": ("ALTER TABLE plain ENGINE=MyISAM",),
    "row format": ("ALTER TABLE plain ROW_FORMAT=COMPRESSED",),
    "table comment": ("ALTER TABLE person COMMENT 'persons'",),
    "column comment": ("ALTER TABLE person MODIFY name VARCHAR(50) NOT NULL",),
    "index dropped": ("DROP INDEX person_nick ON person",),
    "index left over": ("CREATE INDEX more ON person (pay)",),
    "index not unique": (
        "DROP INDEX person_both ON person",
        "CREATE INDEX person_both ON person (name, nick)",
    ),
    "index order": (
        "DROP INDEX person_age ON person",
        "CREATE INDEX person_age ON person (age)",
    ),
    "index prefix": (
        "DROP INDEX person_name ON person",
        "CREATE INDEX person_name ON person (name(12))",
    ),
    "index not fulltext": (
        "DROP INDEX person_bio ON person",
        "CREATE INDEX person_bio ON person (bio(20))",
    ),
    "index renamed": ("ALTER TABLE person RENAME INDEX person_nick TO nicks",),
    "foreign key on delete": (
        "ALTER TABLE person DROP FOREIGN KEY person_team",
        f"{_ADD_TEAM} FOREIGN KEY (team_id) REFERENCES team (id)",
    ),
    "foreign key's index left over": (
        "ALTER TABLE person DROP FOREIGN KEY person_team",
    ),
    "generated expression": (
        "ALTER TABLE person DROP total",
        f"{_ADD_TOTAL} GENERATED ALWAYS AS (pay * 13) STORED",
    ),
    "generated to plain": (_TOTAL,),
    "column left over": ("ALTER TABLE plain ADD extra INT",),
    "table left over": ("CREATE TABLE more (id INT)",),
    "column order": ("ALTER TABLE person MODIFY age INT UNSIGNED AFTER id",),
    "view changed": ("ALTER VIEW adults AS SELECT id FROM person WHERE age > 40",),
    "function body": (
        "DROP FUNCTION twice",
        "CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN n + n",
    ),
    "procedure left over": ("CREATE PROCEDURE more() SELECT 1",),
    "trigger dropped": ("DROP TRIGGER touch",),
    "event": ("ALTER EVENT daily ON SCHEDULE EVERY 2 DAY",),
    "sequence increment": ("ALTER SEQUENCE tickets INCREMENT BY 1",),
}

NOTES: Final = frozenset({"column order"})

NOISE: Final = {
    "rows": ("INSERT INTO team (name) VALUES ('red')", "DELETE FROM team"),
    "index made again": (
        "DROP INDEX person_nick ON person",
        "CREATE INDEX person_nick ON person (nick)",
    ),
    "column added and dropped": (
        "ALTER TABLE plain ADD x INT",
        "ALTER TABLE plain DROP x",
    ),
    "table made again": ("DROP TABLE plain", "CREATE TABLE plain (id INT)"),
    "view made again": (
        "DROP VIEW adults",
        "CREATE VIEW adults AS SELECT id FROM person WHERE age > 30",
    ),
    "check spelt otherwise": (
        "ALTER TABLE person DROP CONSTRAINT adult",
        "ALTER TABLE person ADD CONSTRAINT adult CHECK ((age) > (17))",
    ),
    "analyzed": ("ANALYZE TABLE person",),
    "optimized": ("OPTIMIZE TABLE person",),
    "widened and narrowed": (
        "ALTER TABLE person MODIFY nick VARCHAR(99) DEFAULT 'none'",
        "ALTER TABLE person MODIFY nick VARCHAR(20) DEFAULT 'none'",
    ),
    "sequence advanced": ("SELECT nextval(tickets)",),
    "collation spelt out": (
        "ALTER TABLE plain DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    ),
}
