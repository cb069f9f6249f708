"""The tables that a statement touches: never fewer than the server would say."""

from __future__ import annotations

from typing import Final

import pytest

from pytest_asyncdb.backends._footprint import EVERYTHING, Footprint, Footprints

FOOTPRINTS: Final = Footprints(
    {
        "product": frozenset({"product"}),
        "order_line": frozenset({"order_line"}),
        "log": frozenset({"log"}),
        "sold": frozenset({"product", "order_line"}),
    },
    {"order_line": frozenset({"product"}), "log": frozenset({EVERYTHING})},
)


def _read(*tables: str) -> Footprint:
    return Footprint(frozenset(tables))


def _write(*tables: str) -> Footprint:
    return Footprint(frozenset(tables), writes=True)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM product", _read("product")),
        ('SELECT p.id FROM "Product" p JOIN order_line USING (id)', None),
        ("SELECT * FROM products", _read()),
        ("SELECT * FROM sold", _read("product", "order_line")),
        ("SELECT * FROM product FOR UPDATE", _write("product")),
        ("UPDATE product SET id = 1", _write("product")),
        ("INSERT INTO order_line VALUES (1)", _write("order_line", "product")),
        ("INSERT INTO log VALUES (1)", _write("log", EVERYTHING)),
        ("SELECT my_function(id) FROM product", _write(EVERYTHING)),
        ("SELECT pg_advisory_xact_lock(1)", _write(EVERYTHING)),
        ("SELECT nextval('product_id_seq')", _read()),
        ("BEGIN IMMEDIATE", _write(EVERYTHING)),
        ("BEGIN", Footprint(quiet=True)),
        ("SAVEPOINT a", Footprint(quiet=True)),
        (
            "SET TRANSACTION ISOLATION LEVEL repeatable  read",
            Footprint(quiet=True, level="REPEATABLE READ"),
        ),
    ],
)
def test_what_a_statement_touches(sql: str, expected: Footprint | None) -> None:
    """Tables by their names, and what stands behind views, keys and triggers."""
    wanted = _read("product", "order_line") if expected is None else expected

    assert wanted == FOOTPRINTS.of(sql)


def test_a_change_of_the_schema_is_known() -> None:
    """Which no search can undo."""
    assert FOOTPRINTS.of("CREATE TABLE more (id int)").defines
    assert not FOOTPRINTS.of("DELETE FROM product").defines
