"""Migrations that lose data or fail on it, and ordinary ones, on one schema."""

from __future__ import annotations

from typing import Final

__all__ = ["BAD", "BASE", "NOTED", "ORDINARY", "UNSEEN"]

BASE: Final = """
    CREATE TYPE kind AS ENUM ('new', 'old', 'gone');
    CREATE TABLE customer (
        id SERIAL PRIMARY KEY, name VARCHAR(50) NOT NULL, email VARCHAR(80),
        kind kind NOT NULL, price NUMERIC(10, 4) NOT NULL, made TIMESTAMP NOT NULL,
        note TEXT, age INTEGER CHECK (age >= 0), street VARCHAR(50));
    CREATE TABLE orders (
        id SERIAL PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customer,
        amount INTEGER NOT NULL)
"""
_KEPT: Final = "ALTER TABLE customer ADD pet TEXT", "ALTER TABLE customer DROP pet"
_ADDRESS: Final = "CREATE TABLE address (customer_id INTEGER PRIMARY KEY, street TEXT)"

BAD: Final = {
    "not null without default": (
        "ALTER TABLE customer ADD size INTEGER NOT NULL",
        "ALTER TABLE customer DROP size",
    ),
    "unique on duplicates": (
        "ALTER TABLE customer ADD CONSTRAINT one_name UNIQUE (name)",
        "ALTER TABLE customer DROP CONSTRAINT one_name",
    ),
    "set not null": (
        "ALTER TABLE customer ALTER email SET NOT NULL",
        "ALTER TABLE customer ALTER email DROP NOT NULL",
    ),
    "too short": (
        "ALTER TABLE customer ALTER name TYPE VARCHAR(10)",
        "ALTER TABLE customer ALTER name TYPE VARCHAR(50)",
    ),
    "violated check": (
        "ALTER TABLE customer ADD CONSTRAINT short CHECK (length(name) < 5)",
        "ALTER TABLE customer DROP CONSTRAINT short",
    ),
    "cut text": (
        "ALTER TABLE customer ALTER name TYPE VARCHAR(10) USING left(name, 10)",
        "ALTER TABLE customer ALTER name TYPE VARCHAR(50)",
    ),
    "lost scale": (
        "ALTER TABLE customer ALTER price TYPE NUMERIC(10, 2)",
        "ALTER TABLE customer ALTER price TYPE NUMERIC(10, 4)",
    ),
    "timestamp to date": (
        "ALTER TABLE customer ALTER made TYPE DATE",
        "ALTER TABLE customer ALTER made TYPE TIMESTAMP",
    ),
    "enum mapped away": (
        (
            "CREATE TYPE kind2 AS ENUM ('any');"
            "ALTER TABLE customer ALTER kind TYPE kind2 USING 'any'::kind2"
        ),
        "ALTER TABLE customer ALTER kind TYPE kind USING 'new'::kind;DROP TYPE kind2",
    ),
    "rename by drop and add": (
        "ALTER TABLE customer DROP note;ALTER TABLE customer ADD remark TEXT",
        "ALTER TABLE customer DROP remark;ALTER TABLE customer ADD note TEXT",
    ),
    "table split without copying": (
        f"{_ADDRESS};ALTER TABLE customer DROP street",
        "ALTER TABLE customer ADD street VARCHAR(50);DROP TABLE address",
    ),
    "wrong backfill on the way back": (
        "ALTER TABLE customer DROP age",
        (
            "ALTER TABLE customer ADD age INTEGER CHECK (age >= 0) DEFAULT 7;"
            "ALTER TABLE customer ALTER age DROP DEFAULT"
        ),
    ),
    "delete with a condition": (
        "DELETE FROM customer WHERE name = 'nobody'",
        "SELECT 1",
    ),
}
NOTED: Final = ("table split without copying", "wrong backfill on the way back")
UNSEEN: Final = ("delete with a condition",)

ORDINARY: Final = {
    "nullable column": _KEPT,
    "column with default": (
        "ALTER TABLE customer ADD size INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE customer DROP size",
    ),
    "index": ("CREATE INDEX i ON customer (name)", "DROP INDEX i"),
    "rename of a column": (
        "ALTER TABLE customer RENAME note TO remark",
        "ALTER TABLE customer RENAME remark TO note",
    ),
    "rename of a table": (
        "ALTER TABLE customer RENAME TO client",
        "ALTER TABLE client RENAME TO customer",
    ),
    "widened text": (
        "ALTER TABLE customer ALTER name TYPE VARCHAR(100)",
        "ALTER TABLE customer ALTER name TYPE VARCHAR(50)",
    ),
    "bigger integer": (
        "ALTER TABLE orders ALTER amount TYPE BIGINT",
        "ALTER TABLE orders ALTER amount TYPE INTEGER",
    ),
    "with a zone": (
        "ALTER TABLE customer ALTER made TYPE TIMESTAMPTZ",
        "ALTER TABLE customer ALTER made TYPE TIMESTAMP",
    ),
    "foreign key that is new": (
        "ALTER TABLE orders ADD giver INTEGER REFERENCES customer",
        "ALTER TABLE orders DROP giver",
    ),
    "backfill": (
        (
            "ALTER TABLE customer ADD label TEXT;UPDATE customer SET label = name;"
            "ALTER TABLE customer ALTER label SET NOT NULL"
        ),
        "ALTER TABLE customer DROP label",
    ),
    "seed row": (
        (
            "INSERT INTO customer (name, kind, price, made) VALUES"
            " ('house', 'new', 0, '2020-01-01')"
        ),
        "DELETE FROM customer WHERE name = 'house'",
    ),
    "deliberate drop": (
        "ALTER TABLE customer DROP note",
        "ALTER TABLE customer ADD note TEXT",
    ),
    "check that holds": (
        "ALTER TABLE orders ADD CONSTRAINT some CHECK (amount > 0)",
        "ALTER TABLE orders DROP CONSTRAINT some",
    ),
    "table split with its values": (
        (
            f"{_ADDRESS};INSERT INTO address SELECT id, street FROM customer;"
            "ALTER TABLE customer DROP street"
        ),
        (
            "ALTER TABLE customer ADD street VARCHAR(50);UPDATE customer SET street ="
            " (SELECT street FROM address WHERE customer_id = id);DROP TABLE address"
        ),
    ),
    "values in lower case": (
        "UPDATE customer SET email = lower(email)",
        "SELECT 1",
    ),
}
