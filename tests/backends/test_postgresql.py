"""PostgreSQL's administration SQL, as text; provisioning's tests run it."""

from __future__ import annotations

import pytest

from pytest_asyncdb.backends._postgresql import PostgreSQL, literal, quote


@pytest.mark.parametrize(
    ("durable", "version", "strategy"),
    [
        (True, (18, 4), " STRATEGY WAL_LOG"),
        (False, (15, 0), " STRATEGY FILE_COPY"),
        (False, (14, 9), ""),
        (True, (13,), ""),
    ],
)
def test_only_a_server_that_syncs_nothing_copies_files(
    *, durable: bool, version: tuple[int, ...], strategy: str
) -> None:
    """Copying files checkpoints twice; before 15 there is no choice."""
    script = PostgreSQL().copy("a", "b", durable=durable, version=version)

    assert [f'CREATE DATABASE "b" TEMPLATE "a"{strategy}'] == list(script)


def test_names_and_texts_are_quoted() -> None:
    """Whatever is in them."""
    assert '"a""b"' == quote('a"b')
    assert "'it''s'" == literal("it's")


@pytest.mark.parametrize("key", [1, -1, 2**63 - 1, -(2**63)])
def test_a_lock_is_looked_for_in_two_halves(key: int) -> None:
    """pg_locks shows a 64-bit key as two unsigned ones of 32 bits."""
    unsigned = key % 2**64
    sql = PostgreSQL().held(key)

    assert f"classid = {unsigned >> 32} AND objid = {unsigned % 2**32} " in sql
