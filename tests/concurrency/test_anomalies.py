"""What went wrong in a schedule has a name, which its steps tell."""

from __future__ import annotations

from typing import Final

import pytest

from pytest_asyncdb.concurrency._anomaly import anomaly, unneeded
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
