"""Every revision up, down and up again: what is found, and at which revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from tests.migrations.conftest import Project

TABLE = "CREATE TABLE one (id INTEGER PRIMARY KEY, n INTEGER)"


def test_a_sound_history_has_no_findings(project: Project) -> None:
    """With a branch and a merge, on every product."""
    project.revision("a1", TABLE, "DROP TABLE one")
    project.revision("b1", "CREATE TABLE b (id INTEGER)", "DROP TABLE b", after="a1")
    project.revision("c1", "CREATE TABLE c (id INTEGER)", "DROP TABLE c", after="a1")
    project.revision("d1", after=("b1", "c1"))
    report = project.runner().report()

    assert {"a1", "b1", "c1", "d1"} == set(report.results)
    assert [] == [
        each for result in report.results.values() for each in result.findings
    ]
    assert [] == report.base
    assert None is report.base_skipped


def test_what_a_downgrade_leaves_is_told_with_the_statement(project: Project) -> None:
    """At its revision, and not at others."""
    project.revision("a1", TABLE, "DROP TABLE one")
    project.revision("a2", "CREATE TABLE two (id INTEGER)", "SELECT 1")
    project.revision("a3", "CREATE TABLE three (id INTEGER)", "DROP TABLE three")
    results = project.runner().report().results
    failed = {name: each.failures for name, each in results.items() if each.failures}

    assert ["a2"] == list(failed)
    assert "downgrade() of a2 (a2 it.) does not lead back to before" in failed["a2"][0]
    assert "downgrade() of a2 lacks: DROP TABLE" in failed["a2"][0]


def test_a_broken_downgrade_does_not_hide_the_others(project: Project) -> None:
    """The walk goes on after it."""
    project.revision("a1", TABLE, "DROP TABLE one")
    project.revision("a2", "CREATE TABLE two (id INTEGER)", "DROP TABLE missing")
    project.revision("a3", "CREATE TABLE three (id INTEGER)", "SELECT 1")
    report = project.runner().report()

    assert "downgrade() of a2 raised" in report.results["a2"].failures[0]
    assert "DROP TABLE missing" in report.results["a2"].failures[0]
    assert "does not lead back" in report.results["a3"].failures[0]
    assert "there is no way back from a2" == report.base_skipped


def test_half_of_a_downgrade_is_undone_before_the_next(project: Project) -> None:
    """Also where the server does not undo it."""
    project.revision("a1", TABLE, "DROP TABLE one")
    project.revision("a2", "CREATE TABLE two (id INTEGER)", "DROP TABLE two;DROP x")
    project.revision("a3", "ALTER TABLE two ADD n INTEGER", "ALTER TABLE two DROP n")
    report = project.runner().report()

    assert 1 == len(report.results["a2"].failures)
    assert [] == report.results["a3"].findings
    assert None is not report.head


def test_the_second_upgrade_has_to_work_too(pg_project: Project) -> None:
    """What stayed is in its way; the walk goes on from an empty database."""
    kind = "CREATE TYPE kind AS ENUM ('a')"
    pg_project.revision("a1", f"{kind};{TABLE}", "DROP TABLE one")
    pg_project.revision("a2", "CREATE TABLE two (k kind)", "DROP TABLE two")
    results = pg_project.runner().report().results

    assert "a1 lacks: DROP TYPE public.kind" in results["a1"].failures[0]
    assert 'type "kind" already exists' in results["a1"].failures[1]
    assert "on the way up again" in results["a1"].failures[1]
    assert [] == results["a2"].findings


def test_an_upgrade_that_fails_ends_the_walk(project: Project) -> None:
    """Those after it are not reached."""
    project.revision("a1", TABLE, "DROP TABLE one")
    project.revision("a2", "CREATE TABLE one (id INTEGER)", "SELECT 1")
    project.revision("a3", "CREATE TABLE three (id INTEGER)", "DROP TABLE three")
    report = project.runner().report()

    assert "upgrade() of a2 raised" in report.results["a2"].failures[0]
    assert None is report.results["a3"].up
    assert "upgrade() of a2 raised" in str(report.stopped)
    assert None is report.head


def test_an_upgrade_that_fails_for_what_was_left_is_tried_again(
    project: Project,
) -> None:
    """On a clean database it succeeds: the finding is of the one that left it."""
    table = "CREATE TABLE two (id INTEGER)"
    project.revision(
        "a1", f"DROP TABLE IF EXISTS two;{TABLE}", f"DROP TABLE one;{table}"
    )
    project.revision("a2", "SELECT 1", "SELECT 1")
    project.revision("a3", "CREATE TABLE three (id INTEGER)", table)
    project.revision("a4", table, "DROP TABLE two")
    results = project.runner().report().results

    assert ["a1", "a3"] == [name for name, each in results.items() if each.failures]
    assert None is not results["a4"].up


def test_three_ways_to_say_that_there_is_no_way_back(project: Project) -> None:
    """An error, a variable of the file, and the project's list: none is a failure."""
    project.revision("one", TABLE, "raise NotImplementedError('rows are lost')")
    project.revision(
        "two", "CREATE TABLE two (id INTEGER)", head="asyncdb_irreversible = 'by law'"
    )
    project.revision("three", "CREATE TABLE three (id INTEGER)")
    results = project.runner(irreversible=["three"]).report().results

    assert [] == [each for result in results.values() for each in result.failures]
    assert ["rows are lost", "by law", "declared"] == [
        each.irreversible for each in results.values()
    ]


def test_a_downgrade_that_is_empty_is_told_so(project: Project) -> None:
    """With what to write if there is no way back."""
    project.revision("a1", TABLE, "pass")
    (text,) = project.runner().report().results["a1"].failures[:1]

    assert "downgrade() of a1 (a1 it.) does nothing" in text
    assert "asyncdb_irreversible = 'why'" in text


def test_an_enum_s_new_value_stays(pg_project: Project) -> None:
    """PostgreSQL cannot take it back."""
    kind = "CREATE TYPE kind AS ENUM ('a')"
    pg_project.revision("a1", kind, "DROP TYPE kind")
    pg_project.revision("a2", "ALTER TYPE kind ADD VALUE 'b'", "pass")
    failures = pg_project.runner().report().results["a2"].failures

    assert "~ enum public.kind: values" in failures[0]
    assert "already exists" in failures[1]


def test_a_migration_outside_of_its_transaction(pg_project: Project) -> None:
    """An index that is built concurrently, there and back."""
    block = "with op.get_context().autocommit_block():\n    op.execute({!r})"
    pg_project.revision("a1", TABLE, "DROP TABLE one")
    pg_project.revision(
        "a2",
        block.format("CREATE INDEX CONCURRENTLY i ON one (n)"),
        block.format("DROP INDEX CONCURRENTLY i"),
    )
    pg_project.revision("a3", "ALTER TABLE one ADD m INT", "ALTER TABLE one DROP m")
    report = pg_project.runner().report()

    assert [] == [
        each for result in report.results.values() for each in result.findings
    ]


def test_one_that_fails_outside_of_its_transaction(pg_project: Project) -> None:
    """It cannot be undone: the walk goes on from an empty database."""
    block = "with op.get_context().autocommit_block():\n    op.execute({!r})"
    pg_project.revision("a1", TABLE, "DROP TABLE one")
    pg_project.revision("a2", "SELECT 1", block.format("DROP INDEX missing"))
    pg_project.revision("a3", "ALTER TABLE one ADD m INT", "SELECT 1")
    report = pg_project.runner().report()

    assert 'index "missing" does not exist' in report.results["a2"].failures[0]
    assert ["a2", "a3"] == [n for n, each in report.results.items() if each.failures]


def test_a_migration_that_commits_by_itself(pg_project: Project) -> None:
    """In Python, or as text."""
    pg_project.revision("a1", TABLE, "DROP TABLE one")
    pg_project.revision("a2", "SELECT 1", "op.get_bind().commit()")
    pg_project.revision("a3", "ALTER TABLE one ADD m INT", "ALTER TABLE one DROP m")
    report = pg_project.runner().report()

    assert [] == report.results["a3"].findings
    assert None is not report.head


def test_the_watch_is_not_in_the_way_of_a_new_database(
    pg_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session may be ended while it looks who waits for whom."""
    monkeypatch.setattr("pytest_asyncdb.migrations._watch.PATIENCE", 0.0)
    for name in ("a1", "b1", "c1", "d1"):
        pg_project.revision(name, f"CREATE TABLE {name} (id INTEGER)", "SELECT 1")
    report = pg_project.runner().report()

    assert [2, 2, 2, 2] == [len(each.failures) for each in report.results.values()]


def test_what_is_left_on_the_server_is_told(pg_project: Project) -> None:
    """A role belongs to no database."""
    pg_project.revision("a1", "CREATE ROLE writer", "SELECT 1")
    report = pg_project.runner(irreversible=["a1"]).report()
    pg_project.revision("a1", "DROP ROLE IF EXISTS writer", after=None)
    pg_project.database.replace()
    pg_project.runner().report()

    assert ["role writer"] == report.cluster


def test_order_of_columns_is_a_note(pg_project: Project) -> None:
    """A column that was dropped and made again is the last one."""
    pg_project.revision("a1", TABLE, "DROP TABLE one")
    pg_project.revision("a2", "ALTER TABLE one ADD m INT", "ALTER TABLE one DROP m")
    pg_project.revision("a3", "ALTER TABLE one DROP n", "ALTER TABLE one ADD n INT")
    result = pg_project.runner().report().results["a3"]
    strict = {"order": "fail"}
    pg_project.database.replace()
    told = pg_project.runner(differences=strict).report().results["a3"]

    assert [] == result.failures
    assert "column order" in result.notes[0]
    assert "column order" in told.failures[0]


def test_progress_is_said(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many of how many revisions."""
    monkeypatch.setattr("pytest_asyncdb.migrations._walk._EVERY", 0.0)
    said: list[str] = []
    project.revision("a1", TABLE, "DROP TABLE one")
    project.runner(say=said.append).report()

    assert ["migrations: 1 of 1 revisions"] == said
