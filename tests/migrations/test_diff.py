"""Differences of schemas, in words: pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pytest_asyncdb.migrations import Schema
from pytest_asyncdb.migrations._diff import compare, render
from pytest_asyncdb.migrations._rules import Rules

if TYPE_CHECKING:
    from pytest_asyncdb.migrations import Difference

COLUMN: Final = {"table": "public.t", "type": "integer", "nullable": "yes"}


def one(kind: str, name: str, before: object, after: object) -> Difference:
    """The only difference between two objects of a name; None is no object."""
    old = {kind: {name: before}} if before is not None else {}
    new = {kind: {name: after}} if after is not None else {}
    (found,) = compare(old, new)  # type: ignore[arg-type]
    return found


STATEMENTS: Final = [
    (
        one("column", "public.t.c", None, COLUMN | {"default": "1", "nullable": "no"}),
        "+ ALTER TABLE public.t ADD COLUMN c integer DEFAULT 1 NOT NULL",
        "ALTER TABLE public.t DROP COLUMN c",
    ),
    (
        one("column", "public.t.c", COLUMN, COLUMN | {"type": "bigint"}),
        "~ column public.t.c: type\n  - integer\n  + bigint",
        "ALTER TABLE public.t ALTER COLUMN c TYPE integer",
    ),
    (
        one("column", 'public."a.b".c', COLUMN | {"nullable": "no"}, COLUMN),
        '~ column public."a.b".c: nullable\n  - no\n  + yes',
        'ALTER TABLE public."a.b" ALTER COLUMN c SET NOT NULL',
    ),
    (
        one("column", "t.c", COLUMN | {"default": "1"}, COLUMN),
        "~ column t.c: default\n  - 1\n  + (none)",
        "ALTER TABLE t ALTER COLUMN c SET DEFAULT 1",
    ),
    (
        one("enum", "public.kind", None, {"values": "'a', 'b'"}),
        "+ CREATE TYPE public.kind AS ENUM ('a', 'b')",
        "DROP TYPE public.kind",
    ),
    (
        one("constraint", "t.one", {"table": "t", "definition": "UNIQUE (a)"}, None),
        "- ALTER TABLE t ADD CONSTRAINT one UNIQUE (a)",
        "ALTER TABLE t ADD CONSTRAINT one UNIQUE (a)",
    ),
    (
        one(
            "trigger", "t.touch", None, {"table": "t", "definition": "CREATE TRIGGER x"}
        ),
        "+ CREATE TRIGGER x",
        "DROP TRIGGER touch ON t",
    ),
    (
        one("comment", "column c of table public.t", {"text": "it's"}, None),
        "- COMMENT ON COLUMN public.t.c IS 'it''s'",
        "COMMENT ON COLUMN public.t.c IS 'it''s'",
    ),
    (
        one("sequence", "s", None, {"definition": "START 1", "owned by": "t.id"}),
        "+ CREATE SEQUENCE s START 1 OWNED BY t.id",
        "DROP SEQUENCE s",
    ),
    (
        one("view", "v", {"definition": "SELECT 1"}, {"definition": "SELECT 2"}),
        "~ view v: definition\n  - SELECT 1\n  + SELECT 2",
        "CREATE OR REPLACE VIEW v AS SELECT 1",
    ),
]


@pytest.mark.parametrize(("found", "shown", "back"), STATEMENTS)
def test_a_difference_reads_like_ddl(found: Difference, shown: str, back: str) -> None:
    """And says which statement would undo it."""
    assert shown == str(found)
    assert back == found.back
    assert "schema" == found.weight


def test_another_name_of_the_same_is_told_as_such() -> None:
    """It counts, unless the server had chosen it."""
    same = {"table": "t", "definition": "CREATE INDEX {} ON t (a)"}
    given = {"index": {"mine": same | {"definition": "CREATE INDEX mine ON t (a)"}}}
    other = {"index": {"yours": same | {"definition": "CREATE INDEX yours ON t (a)"}}}
    chosen = {
        "index": {"t_a_idx": same | {"definition": "CREATE INDEX t_a_idx ON t (a)"}}
    }
    (renamed,), (named,) = compare(given, other), compare(chosen, other)

    assert "~ index mine is now named yours" == str(renamed)
    assert "ALTER INDEX yours RENAME TO mine" == renamed.back
    assert (True, False) == (renamed.counts, named.counts)


SPELLINGS: Final = [
    ("'x'::text", "'x'::character varying"),
    ("CURRENT_TIMESTAMP", "now()"),
    ("int", "integer"),
    ("(a > 1)", "((a) > (1))"),
]


@pytest.mark.parametrize(("before", "after"), SPELLINGS)
def test_another_spelling_does_not_count(before: str, after: str) -> None:
    """It is a note."""
    found = one(
        "column", "t.c", COLUMN | {"default": before}, COLUMN | {"default": after}
    )

    assert ("spelling", False) == (found.weight, found.counts)


def test_text_in_quotes_is_no_spelling() -> None:
    """Blanks and words in it are the user's."""
    found = one(
        "column", "t.c", COLUMN | {"default": "'a b'"}, COLUMN | {"default": "'ab'"}
    )

    assert "schema" == found.weight


def test_what_a_table_has_is_not_told_besides() -> None:
    """Columns, constraints, indexes, owned sequences and comments go with it."""
    place = {"table": "public.t"}
    after = {
        "table": {"public.t": {"column order": "id, c"}},
        "column": {"public.t.id": COLUMN, "public.t.c": COLUMN},
        "constraint": {"public.t.pk": place},
        "index": {"public.i": place},
        "sequence": {"public.s": {"owned by": "public.t.id"}},
        "comment": {"column c of table public.t": {"text": "x"}},
    }

    assert "+ CREATE TABLE public.t (id, c)" == render(compare({}, after))
    assert "- CREATE TABLE public.t (id, c)" == render(compare(after, {}))


def test_columns_that_came_are_not_another_order() -> None:
    """Only the same ones in another order are."""
    before, more = {"column order": "a, b"}, {"column order": "a, c, b"}

    assert [] == compare({"table": {"t": before}}, {"table": {"t": more}})
    assert "order" == one("table", "t", before, {"column order": "b, a"}).weight


def test_a_project_says_what_counts() -> None:
    """The attribute before the kind, the kind before the weight."""
    found = [
        one("table", "t", {"owner": "a"}, {"owner": "b"}),
        one("table", "t", {"options": "a"}, {"options": "b"}),
        one("table", "t", {"column order": "a, b"}, {"column order": "b, a"}),
    ]
    said = {"table.owner": "ignore", "table": "note", "order": "fail"}
    ruled = Rules(said).apply(found)

    assert ["options", "column order"] == [each.attribute for each in ruled]
    assert [False, False] == [each.counts for each in ruled]
    assert [True] == [each.counts for each in Rules({"order": "fail"}).apply(found[2:])]


def test_schemas_are_equal_where_nothing_counts() -> None:
    """And are compared with schemas only."""
    one_way = Schema("postgresql", {"table": {"t": {"column order": "a, b"}}})
    other = Schema("postgresql", {"table": {"t": {"column order": "b, a"}}})

    assert one_way == other
    assert one_way != Schema("postgresql", {})
    assert one_way != {}
    assert ["t"] == list(one_way.names("table"))
