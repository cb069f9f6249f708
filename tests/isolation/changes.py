"""Kinds of change that a test may make, for the matrix: statements of each product."""

from __future__ import annotations

from typing import Final

POSTGRESQL_SCHEMA: Final = (
    "CREATE TABLE tree (id INT PRIMARY KEY, parent INT REFERENCES tree)",
    "CREATE TABLE egg (id INT PRIMARY KEY, hen INT)",
    "CREATE TABLE hen (id INT PRIMARY KEY, egg INT REFERENCES egg)",
    "ALTER TABLE egg ADD FOREIGN KEY (hen) REFERENCES hen",
    "CREATE TABLE notes (body TEXT)",
    "CREATE TABLE audit (id BIGINT GENERATED ALWAYS AS IDENTITY, what TEXT)",
    "CREATE TABLE sums (a INT PRIMARY KEY, b INT GENERATED ALWAYS AS (a + 1) STORED)",
    "CREATE UNLOGGED TABLE scratch (id SERIAL PRIMARY KEY, body TEXT)",
    "CREATE TABLE base (id INT PRIMARY KEY)",
    "CREATE TABLE derived (extra TEXT) INHERITS (base)",
    "CREATE TABLE part (id INT, kind TEXT) PARTITION BY LIST (kind)",
    "CREATE TABLE part_a PARTITION OF part FOR VALUES IN ('a')",
    (
        "CREATE TABLE child (id SERIAL PRIMARY KEY, seed VARCHAR(50)"
        " REFERENCES seeds ON DELETE CASCADE)"
    ),
    "CREATE VIEW all_notes AS SELECT * FROM notes",
    "CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM notes",
    "CREATE SEQUENCE numbers",
    "CREATE SEQUENCE untouched",
    (
        "CREATE FUNCTION write_note(body TEXT) RETURNS VOID LANGUAGE sql"
        " AS 'INSERT INTO notes VALUES (body)'"
    ),
    (
        "CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO audit (what) VALUES (TG_OP); RETURN NULL; END'"
    ),
    (
        "CREATE TRIGGER logs AFTER INSERT OR DELETE ON tree FOR EACH ROW"
        " EXECUTE FUNCTION log_it()"
    ),
    "INSERT INTO tree VALUES (1, NULL), (2, 1)",
    "INSERT INTO notes VALUES ('first'), ('first')",
    "INSERT INTO sums VALUES (1)",
    "INSERT INTO base VALUES (1)",
    "INSERT INTO derived VALUES (2, 'two')",
    "INSERT INTO part VALUES (1, 'a')",
    "INSERT INTO child (seed) VALUES ('seed')",
    "INSERT INTO egg VALUES (1, NULL)",
    "INSERT INTO hen VALUES (1, 1)",
    "UPDATE egg SET hen = 1",
    "SELECT nextval('numbers')",
)
POSTGRESQL: Final = {
    "insert": ("INSERT INTO users (name) VALUES ('ann')",),
    "update-of-seed": ("UPDATE seeds SET name = 'other' WHERE name <> 'seed'",),
    "delete-of-seed": ("DELETE FROM notes",),
    "cascade": ("DELETE FROM seeds",),
    "trigger": ("INSERT INTO tree VALUES (3, 2)",),
    "function": ("SELECT write_note('by a function')",),
    "block": ("DO 'BEGIN INSERT INTO notes VALUES (''by a block''); END'",),
    "view": ("INSERT INTO all_notes VALUES ('by a view')",),
    "cte": ("WITH w AS (INSERT INTO notes VALUES ('x') RETURNING 1) SELECT 1 FROM w",),
    "upsert": (
        (
            "INSERT INTO seeds VALUES ('seed') ON CONFLICT (name) DO UPDATE"
            " SET name = 'changed' WHERE false"
        ),
    ),
    "cyclic": ("UPDATE egg SET hen = NULL", "DELETE FROM hen", "DELETE FROM egg"),
    "no-primary-key": ("UPDATE notes SET body = 'second'",),
    "identity": ("INSERT INTO audit (what) VALUES ('by hand')",),
    "generated": ("UPDATE sums SET a = 7",),
    "unlogged": ("INSERT INTO scratch (body) VALUES ('gone')",),
    "inherited": ("UPDATE base SET id = id + 10",),
    "partitioned": ("INSERT INTO part VALUES (2, 'a')",),
    "truncate": ("TRUNCATE notes, tree",),
    "nextval": ("SELECT nextval('numbers')",),
    "setval": ("SELECT setval('untouched', 7, false)",),
    "alter-sequence": ("ALTER SEQUENCE numbers INCREMENT 5 RESTART 100",),
    "create-table": ("CREATE TABLE more (id INT)", "INSERT INTO more VALUES (1)"),
    "drop-table": ("DROP TABLE audit CASCADE",),
    "alter-table": ("ALTER TABLE notes ADD COLUMN extra INT DEFAULT 1",),
    "index": ("CREATE INDEX body ON notes (body)",),
    "comment": ("COMMENT ON TABLE notes IS 'mine'",),
    "grant": ("GRANT SELECT ON notes TO PUBLIC",),
    "large-object": ("SELECT lo_from_bytea(0, 'abc')",),
    "refresh": (
        "INSERT INTO notes VALUES ('more')",
        "REFRESH MATERIALIZED VIEW counted",
    ),
    "temporary-table": ("CREATE TEMP TABLE passing (id INT)",),
    "setting": ("SET search_path TO pg_catalog",),
    "advisory-lock": ("SELECT pg_advisory_lock(7)",),
    "listen": ("LISTEN news", "NOTIFY news, 'said'"),
    "prepared-statement": ("PREPARE one AS SELECT 1",),
    "held-cursor": ("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM notes",),
    "raw-commit": ("INSERT INTO notes VALUES ('kept')", "COMMIT"),
    "prepared-transaction": (
        "INSERT INTO notes VALUES ('prepared')",
        "PREPARE TRANSACTION 'later'",
    ),
    "drop-schema": ("DROP SCHEMA public CASCADE",),
    "policy": ("ALTER TABLE notes ENABLE ROW LEVEL SECURITY",),
    "extension": ("DROP FUNCTION write_note",),
}

MARIADB_SCHEMA: Final = (
    (
        "CREATE TABLE tree (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent)"
        " REFERENCES tree (id))"
    ),
    "CREATE TABLE notes (body VARCHAR(50))",
    "CREATE TABLE egg (id INT PRIMARY KEY, hen INT)",
    "CREATE TABLE hen (id INT PRIMARY KEY, egg INT REFERENCES egg (id))",
    "ALTER TABLE egg ADD FOREIGN KEY (hen) REFERENCES hen (id)",
    "CREATE TABLE audit (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(50))",
    "CREATE TABLE sums (a INT PRIMARY KEY, b INT AS (a + 1) STORED)",
    (
        "CREATE TABLE child (id INT AUTO_INCREMENT PRIMARY KEY, seed VARCHAR(50),"
        " FOREIGN KEY (seed) REFERENCES seeds (name) ON DELETE CASCADE)"
    ),
    "CREATE TABLE part (id INT) PARTITION BY HASH (id) PARTITIONS 2",
    "CREATE TABLE plain (id INT) ENGINE MyISAM",
    "CREATE VIEW all_notes AS SELECT * FROM notes",
    "CREATE SEQUENCE numbers",
    (
        "CREATE FUNCTION write_note(what VARCHAR(50)) RETURNS INT MODIFIES SQL DATA"
        " BEGIN INSERT INTO notes VALUES (what); RETURN 1; END"
    ),
    "CREATE PROCEDURE note_it() INSERT INTO notes VALUES ('by a procedure')",
    "CREATE PROCEDURE keep_it() BEGIN INSERT INTO notes VALUES ('kept'); COMMIT; END",
    (
        "CREATE TRIGGER logs AFTER INSERT ON tree FOR EACH ROW"
        " INSERT INTO audit (what) VALUES ('insert')"
    ),
    "INSERT INTO notes VALUES ('first'), ('first')",
    "INSERT INTO sums (a) VALUES (1)",
    "INSERT INTO child (seed) VALUES ('seed')",
    "INSERT INTO part VALUES (1)",
    "INSERT INTO egg VALUES (1, NULL)",
    "INSERT INTO hen VALUES (1, 1)",
    "UPDATE egg SET hen = 1",
)
MARIADB: Final = {
    "insert": ("INSERT INTO users (name) VALUES ('ann')",),
    "delete-of-seed": ("DELETE FROM notes",),
    "update-of-seed": ("UPDATE notes SET body = 'second'",),
    "cascade": ("DELETE FROM seeds",),
    "trigger": ("INSERT INTO tree VALUES (3, NULL)",),
    "function": ("SELECT write_note('by a function')",),
    "procedure": ("CALL note_it()",),
    "committing-procedure": ("CALL keep_it()",),
    "view": ("INSERT INTO all_notes VALUES ('by a view')",),
    "cyclic": ("UPDATE egg SET hen = NULL", "DELETE FROM hen", "DELETE FROM egg"),
    "replace": ("REPLACE INTO sums (a) VALUES (1), (2)",),
    "upsert": ("INSERT INTO sums (a) VALUES (1) ON DUPLICATE KEY UPDATE a = 5",),
    "generated": ("UPDATE sums SET a = 7",),
    "partitioned": ("INSERT INTO part VALUES (2)",),
    "no-transactions": ("INSERT INTO plain VALUES (1)",),
    "auto-increment": ("INSERT INTO audit (what) VALUES ('by hand')",),
    "nextval": ("SELECT NEXTVAL(numbers)",),
    "setval": ("SELECT SETVAL(numbers, 50)",),
    "truncate": ("TRUNCATE notes",),
    "create-table": ("CREATE TABLE more (id INT)",),
    "drop-table": ("DROP TABLE audit",),
    "alter-table": ("ALTER TABLE notes ADD COLUMN extra INT DEFAULT 1",),
    "index": ("CREATE INDEX body ON notes (body)",),
    "comment": ("ALTER TABLE notes COMMENT 'mine'",),
    "create-view": ("CREATE VIEW more AS SELECT 1 AS one",),
    "drop-trigger": ("DROP TRIGGER logs",),
    "rename": ("RENAME TABLE notes TO words",),
    "temporary-table": ("CREATE TEMPORARY TABLE passing (id INT)",),
    "setting": ("SET SESSION sql_mode = 'ANSI'",),
    "user-lock": ("SELECT GET_LOCK('asyncdb test', 0)",),
    "raw-commit": ("INSERT INTO notes VALUES ('kept')", "COMMIT"),
    "lock-tables": ("LOCK TABLES notes WRITE",),
    "prepared-statement": ("PREPARE one FROM 'SELECT 1'",),
    "variable": ("SET @mine = 1",),
    "drop-routine": ("DROP PROCEDURE note_it",),
    "prepared-transaction": (
        "XA START 'later'",
        "INSERT INTO notes VALUES ('prepared')",
        "XA END 'later'",
        "XA PREPARE 'later'",
    ),
}

SQLITE_SCHEMA: Final = (
    "CREATE TABLE notes (body TEXT)",
    "CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT)",
    "CREATE TABLE sums (a INTEGER PRIMARY KEY, b INT AS (a + 1) STORED)",
    "CREATE VIEW all_notes AS SELECT * FROM notes",
    (
        "CREATE TRIGGER logs AFTER INSERT ON notes"
        " BEGIN INSERT INTO audit (what) VALUES ('insert'); END"
    ),
    (
        "CREATE TRIGGER through INSTEAD OF INSERT ON all_notes"
        " BEGIN INSERT INTO notes VALUES (new.body); END"
    ),
    "INSERT INTO notes VALUES ('first')",
    "INSERT INTO sums (a) VALUES (1)",
)
SQLITE: Final = {
    "insert": ("INSERT INTO users (name) VALUES ('ann')",),
    "delete-of-seed": ("DELETE FROM seeds",),
    "update-of-seed": ("UPDATE notes SET body = 'second'",),
    "trigger": ("INSERT INTO notes VALUES ('more')",),
    "view": ("INSERT INTO all_notes VALUES ('by a view')",),
    "replace": ("REPLACE INTO sums (a) VALUES (1), (2)",),
    "upsert": ("INSERT INTO sums (a) VALUES (1) ON CONFLICT DO UPDATE SET a = 5",),
    "conflict-rollback": (
        "INSERT INTO notes VALUES ('x')",
        "INSERT OR ROLLBACK INTO sums (a) VALUES (1)",
    ),
    "autoincrement": ("INSERT INTO audit (what) VALUES ('by hand')",),
    "create-table": ("CREATE TABLE more (id INT)",),
    "drop-table": ("DROP TABLE audit",),
    "alter-table": ("ALTER TABLE notes ADD COLUMN extra INT DEFAULT 1",),
    "index": ("CREATE INDEX body ON notes (body)",),
    "rename": ("ALTER TABLE notes RENAME TO words",),
    "create-view": ("CREATE VIEW more AS SELECT 1 AS one",),
    "drop-trigger": ("DROP TRIGGER logs",),
    "temporary-table": ("CREATE TEMP TABLE passing (id INT)",),
    "user-version": ("PRAGMA user_version = 7",),
    "application-id": ("PRAGMA application_id = 7",),
    "setting": ("PRAGMA foreign_keys = ON",),
    "raw-commit": ("INSERT INTO notes VALUES ('kept')", "COMMIT"),
    "analyze": ("ANALYZE",),
    "journal-mode": ("PRAGMA journal_mode = WAL",),
    "vacuum": ("VACUUM",),
}
