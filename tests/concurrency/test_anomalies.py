"""What went wrong in a schedule has a name, which its steps tell."""

from __future__ import annotations

from typing import Final

import pytest

from pytest_asyncdb.concurrency._anomaly import anomaly, unneeded
from pytest_asyncdb.concurrency._touching import tables_of
from tests.concurrency.traces import trace

_LOST: Final = (
    "a: SELECT v FROM account WHERE id = 1",
    "b: SELECT v FROM account WHERE id = 1",
    "a: UPDATE account SET v = 2 WHERE id = 1 -- 1 row",
    "a: COMMIT",
    "b: UPDATE account SET v = 3 WHERE id = 1 -- 1 row",
    "b: COMMIT",
)
_CASES: Final = {
    "lost update": (_LOST, (1, 2, 4)),
    "lost update over two transactions": (
        (
            "b: SELECT v FROM account WHERE id = 1",
            "b: COMMIT",
            "a: UPDATE account SET v = 2 WHERE id = 1 -- 1 row",
            "a: COMMIT",
            "b: UPDATE account SET v = 3 WHERE id = 1 -- 1 row",
            "b: COMMIT",
        ),
        (0, 2, 4),
    ),
    "write skew": (
        (
            "a: SELECT v FROM doctor WHERE on_call",
            "b: SELECT v FROM doctor WHERE on_call",
            "a: UPDATE doctor SET on_call = false WHERE id = 1 -- 1 row",
            "b: UPDATE doctor SET on_call = false WHERE id = 2 -- 1 row",
            "a: COMMIT",
            "b: COMMIT",
        ),
        (0, 1, 2, 3),
    ),
    "write skew over rows found by another column": (
        (
            "a: SELECT count(*) FROM doctor WHERE on_call = 1",
            "b: SELECT count(*) FROM doctor WHERE on_call = 1",
            "a: UPDATE doctor SET on_call = 0 WHERE id = 2 -- 1 row",
            "a: COMMIT",
            "b: UPDATE doctor SET on_call = 0 WHERE id = 3 -- 1 row",
            "b: COMMIT",
        ),
        (0, 1, 2, 4),
    ),
    "double insert": (
        (
            "a: SELECT id FROM users WHERE email = 'x'",
            "b: SELECT id FROM users WHERE email = 'x'",
            "a: INSERT INTO users VALUES ('x')",
            "a: COMMIT",
            "b: INSERT INTO users VALUES ('x')",
            "b: COMMIT",
        ),
        (0, 1, 2, 4),
    ),
    "phantom": (
        (
            "a: SELECT count(*) FROM users",
            "b: INSERT INTO users VALUES ('x')",
            "b: COMMIT",
            "a: SELECT count(*) FROM users",
            "a: COMMIT",
        ),
        (0, 1, 3),
    ),
    "non-repeatable read": (
        (
            "a: SELECT v FROM account WHERE id = 1",
            "b: UPDATE account SET v = 2 WHERE id = 1 -- 1 row",
            "b: COMMIT",
            "a: SELECT v FROM account WHERE id = 1",
        ),
        (0, 1, 3),
    ),
    "dirty write": (
        (
            "a: UPDATE account SET v = 2 WHERE id = 1 -- 1 row",
            "b: UPDATE account SET v = 3 WHERE id = 1 -- 1 row",
            "a: COMMIT",
            "b: COMMIT",
        ),
        (0, 1),
    ),
    "deadlock": (
        (
            "a: UPDATE account SET v = 2 WHERE id = 1 -- 1 row",
            "b: UPDATE account SET v = 3 WHERE id = 2 -- 1 row",
            "a: UPDATE account SET v = 2 WHERE id = 2 -- waits for b",
            "b: UPDATE account SET v = 3 WHERE id = 1 -- deadlock_detected",
        ),
        (2, 3),
    ),
}


@pytest.mark.parametrize("name", _CASES)
def test_a_schedule_is_named_by_its_steps(name: str) -> None:
    """With the steps that make it, and what helps against it."""
    lines, places = _CASES[name]
    found = anomaly(trace(*lines))

    assert found is not None
    assert name.partition(" over ")[0] == found.name
    assert places == found.steps
    assert found.remedy


@pytest.mark.parametrize("name", ["lost update", "write skew", "double insert"])
def test_a_database_without_row_locks_is_not_told_to_lock_rows(name: str) -> None:
    """SQLAlchemy leaves FOR UPDATE out there."""
    schedule = trace(*_CASES[name][0])
    schedule.row_locks = False
    found = anomaly(schedule)

    assert found is not None
    assert "SQLite has no row locks: begin with BEGIN IMMEDIATE" in found.remedy
    assert "with_for_update" not in found.remedy


def test_a_row_that_is_locked_too_late_needs_no_other_lock() -> None:
    """An object that was read before keeps its values, whatever the lock reads."""
    late = (
        "b: SELECT v FROM account WHERE id = 1",
        "a: UPDATE account SET v = 2 WHERE id = 1 -- 1 row",
        "a: COMMIT",
        "b: SELECT v FROM account WHERE id = 1 FOR UPDATE -- 1 row",
        "b: UPDATE account SET v = 3 WHERE id = 1 -- 1 row",
        "b: COMMIT",
    )
    found = anomaly(trace(*late))

    assert found is not None
    assert ("lost update", (0, 1, 4)) == (found.name, found.steps)
    assert "with_for_update" not in found.remedy
    assert "let the first read lock the row" in found.remedy


def test_rows_that_are_counted_before_an_insert_may_need_a_lock() -> None:
    """No unique constraint knows of a limit, nor of rows that nobody could lock."""
    look = "SELECT count(*) FROM loans WHERE member = 1"
    lines = [f"{actor}: {look}" for actor in "ab"]
    lines += [f"{actor}: INSERT INTO loans (member) VALUES (1)" for actor in "ab"]
    ends = "a: COMMIT", "b: COMMIT"
    counted = anomaly(trace(*lines, *ends))
    locked = anomaly(
        trace(
            *(each.replace("= 1", "= 1 FOR UPDATE -- 0 rows") for each in lines), *ends
        )
    )

    assert counted is not None
    assert locked is not None
    assert ("double insert", "double insert") == (counted.name, locked.name)
    assert "or lock the parent row, or SERIALIZABLE with a retry" in counted.remedy


@pytest.mark.parametrize("name", ["lost update", "double insert", "phantom"])
def test_a_sentence_names_the_tables_of_its_steps(name: str) -> None:
    """Not what is looked at besides: parents of foreign keys, SQLite's one lock."""
    plain, schedule = (trace(*_CASES[name][0]) for _ in range(2))
    for step in schedule.steps:
        step.tables |= {"parents", "(the file's lock)"}
    expected, found = anomaly(plain), anomaly(schedule)

    assert expected is not None
    assert expected == found


def test_a_column_with_the_name_of_a_table_is_none() -> None:
    """To read a table and insert into another one is no write over it."""
    schedule = trace(
        "a: DELETE FROM department WHERE id = 1",
        "b: INSERT INTO employee (id, department) VALUES (1, 1)",
        "a: COMMIT",
        "b: COMMIT",
    )
    schedule.steps[1].tables |= {"department"}

    assert anomaly(schedule) is None


def test_a_statement_for_several_rows_touches_all_of_them() -> None:
    """The second row of an UPDATE is the one that was read."""
    lines = list(_CASES["lost update"][0])
    lines[2] = "a: UPDATE account SET v = ? WHERE id = ? -- 2 rows"
    schedule = trace(*lines)
    schedule.steps[2].parameters = [(5, 7), (2, 1)]
    found = anomaly(schedule)

    assert found is not None
    assert ("lost update", (1, 2, 4)) == (found.name, found.steps)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT x FROM a, b WHERE a.c = b.id", "a b"),
        ("SELECT x FROM a JOIN b ON a.c = b.id LEFT JOIN c ON c.id = b.c", "a b c"),
        ("SELECT x FROM (SELECT c FROM a) AS n JOIN b USING (c)", "a b"),
        ('UPDATE shop."a" SET c = (SELECT max(c) FROM b) WHERE id = 1', "a b"),
        ("INSERT INTO a (b, c) VALUES (1, 2) RETURNING a.id", "a"),
        ("DELETE FROM a USING b WHERE a.c = 1", "a b"),
        ("SELECT f()", "a b c"),
    ],
)
def test_the_tables_that_a_statement_names(sql: str, expected: str) -> None:
    """As sources and targets, not as columns; where it names none, all there are."""
    step = trace(f"a: {sql}").steps[0]
    step.tables = frozenset("abc")

    assert set(expected.split()) == tables_of(step)


_HARMLESS: Final = {
    "one after the other": (
        "a: SELECT v FROM account WHERE id = 1",
        "a: UPDATE account SET v = 2 WHERE id = 1 -- 1 row",
        "a: COMMIT",
        "b: SELECT v FROM account WHERE id = 1",
        "b: UPDATE account SET v = 3 WHERE id = 1 -- 1 row",
        "b: COMMIT",
    ),
    "other rows": tuple(
        line.replace("id = 1", "id = 2") if line.startswith("b") else line
        for line in _LOST
    ),
    "the second wrote nothing": tuple(
        line.replace("v = 3 WHERE id = 1 -- 1", "v = 3 WHERE id = 1 -- 0")
        for line in _LOST
    ),
    "the second rolled back": (*_LOST[:5], "b: ROLLBACK"),
    "other rows, by two columns": tuple(
        line.replace("id = 1", "kind = 1 AND id IN (2, 3)")
        if line.startswith("b")
        else line
        for line in _LOST
    ),
    "the other one had not committed": (
        "a: SELECT v FROM account WHERE id = 1",
        "b: UPDATE account SET v = 2 WHERE id = 1 -- 1 row",
        "a: SELECT v FROM account WHERE id = 1",
        "a: COMMIT",
        "b: COMMIT",
    ),
}


@pytest.mark.parametrize("name", _HARMLESS)
def test_what_is_no_anomaly_has_no_name(name: str) -> None:
    """Rows, failures and rollbacks are told apart."""
    assert anomaly(trace(*_HARMLESS[name])) is None


def test_a_transaction_that_failed_has_no_part_in_it() -> None:
    """What it had read and written, it has not."""
    failed = f"{_LOST[4].partition(' -- ')[0]} -- serialization_failure"
    found = anomaly(trace(*_LOST[:4], failed, "b: ROLLBACK"))

    assert found is None


def test_an_actor_that_tried_again_is_named_by_its_last_try() -> None:
    """A retry after a failure reads anew."""
    failed = f"{_LOST[4].partition(' -- ')[0]} -- serialization_failure"
    again = (_LOST[1], _LOST[4], _LOST[5])
    found = anomaly(trace(*_LOST[:4], failed, "b: ROLLBACK", *again))

    assert found is None


def test_statements_that_nobody_else_meets_are_not_needed() -> None:
    """Tables that one actor alone touches, or that all only read."""
    found = unneeded(
        trace(
            "a: SELECT x FROM settings",
            *_LOST[:2],
            "b: SELECT x FROM settings",
            "b: INSERT INTO log VALUES (1)",
            *_LOST[2:],
        )
    )

    assert [0, 3, 4] == found
