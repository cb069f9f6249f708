"""Rows survive: what is told of migrations that lose them, or fail because of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from pytest_asyncdb.errors import DataRefused
from pytest_asyncdb.migrations import _given, migration_data
from tests.migrations.changes_data import BAD, BASE, NOTED, ORDINARY, UNSEEN

if TYPE_CHECKING:
    from pytest_asyncdb.migrations._findings import Finding
    from tests.migrations.conftest import Project

TABLE = "CREATE TABLE one (id INTEGER PRIMARY KEY, n INTEGER, name VARCHAR(20))"
GONE = "DROP TABLE one"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(_given, "_GIVEN", {})


def found(project: Project, up: str, down: str, **options: Any) -> list[Finding]:
    """What is found of a second revision."""
    project.revision("a2", up, down, **options)
    return project.runner().survival("a2") or []


# ------------------------------------------------------------------------ the matrix
@pytest.mark.parametrize("change", BAD)
def test_what_loses_rows_is_found(pg_project: Project, change: str) -> None:
    """As a failure, as a note where it may be meant, or not at all."""
    pg_project.revision("a1", BASE, "SELECT 1")
    told = found(pg_project, *BAD[change])

    assert (change in NOTED) == (bool(told) and not any(each.fails for each in told))
    assert (change in UNSEEN) == (told == []), [each.text for each in told]


@pytest.mark.parametrize("change", ORDINARY)
def test_an_ordinary_migration_is_no_failure(pg_project: Project, change: str) -> None:
    """It may have a note."""
    pg_project.revision("a1", BASE, "SELECT 1")
    told = found(pg_project, *ORDINARY[change])

    assert [] == [each.text for each in told if each.fails]


# -------------------------------------------------------------------- every product
def test_rows_are_lost(project: Project) -> None:
    """How many, and of which table."""
    project.revision("a1", TABLE, GONE)
    (told, *_) = found(project, "DELETE FROM one WHERE n IS NOT NULL", "SELECT 1")

    assert told.fails
    assert "upgrade() of a2: 2 of 3 rows of one are gone" == told.text


def test_an_upgrade_that_fails_on_rows(project: Project) -> None:
    """With the server's words; the revisions after it are walked all the same."""
    project.revision("a1", TABLE, GONE)
    project.revision(
        "a2", "CREATE UNIQUE INDEX i ON one (name)", "SELECT 1", head="x = 1"
    )
    project.revision("a3", "DELETE FROM one", "SELECT 1")
    runner = project.runner(irreversible=["a2"])
    (told,) = runner.survival("a2") or []
    (after, *_) = runner.survival("a3") or []

    assert "upgrade() of a2 fails where tables have rows" in told.text
    assert "3 of 3 rows of one are gone" in after.text


def test_a_file_says_that_it_is_meant(project: Project) -> None:
    """Then it is a note, with the reason."""
    project.revision("a1", TABLE, GONE)
    (told, *_) = found(
        project,
        "DELETE FROM one",
        "SELECT 1",
        head="asyncdb_rows_accepted = 'they are too old'",
    )

    assert not told.fails
    assert "(they are too old)" in told.text


def test_a_downgrade_that_fails_on_rows(project: Project) -> None:
    """It succeeds on empty tables."""
    project.revision("a1", TABLE, GONE)
    fails = "INSERT INTO one (id) SELECT max(id) FROM one HAVING max(id) > 0"
    (told,) = found(project, "SELECT 1", fails)

    assert "downgrade() of a2 fails where tables have rows" in told.text


def test_tables_refer_to_each_other(project: Project) -> None:
    """Rows of a child and of one that refers to itself are lost with their parent."""
    child = "CREATE TABLE child (id INTEGER PRIMARY KEY, one_id INTEGER NOT NULL"
    itself = ", parent INTEGER, FOREIGN KEY (parent) REFERENCES child (id)"
    key = ", FOREIGN KEY (one_id) REFERENCES one (id))"
    project.revision("a1", f"{TABLE};{child}{itself}{key}", f"DROP TABLE child;{GONE}")
    told = found(project, "DELETE FROM child;DELETE FROM one", "SELECT 1")

    assert {
        "upgrade() of a2: 3 of 3 rows of child are gone",
        "upgrade() of a2: 3 of 3 rows of one are gone",
    } <= {each.text for each in told}


def test_what_fails_without_rows_is_not_told_again(project: Project) -> None:
    """The walk without rows has told it."""
    project.revision("a1", TABLE, GONE)

    project.revision("a2", "DROP TABLE missing", "SELECT 1")
    runner = project.runner()

    assert None is runner.survival("a2")
    assert [] == runner.survival()


# ------------------------------------------------------------------ a project's own
def test_a_project_s_own_rows_and_expectations(project: Project) -> None:
    """They are there before, and looked at after; what is raised is a finding."""
    seen = []

    @migration_data("a2")
    class _Names:
        @staticmethod
        def before(connection: Any) -> None:
            connection.execute(text("INSERT INTO one VALUES (1, 1, 'ann')"))

        @staticmethod
        def after(connection: Any) -> None:
            name = connection.scalar(text("SELECT name FROM one WHERE id = 1"))
            seen.append(name)
            assert "Ann" == name, f"it is {name}"

    project.revision("a1", TABLE, GONE)
    told = found(
        project,
        "UPDATE one SET name = upper(name) WHERE id = 1",
        "UPDATE one SET name = lower(name) WHERE id = 1",
    )

    assert ["ANN"] == seen
    assert ["after() of migration_data: AssertionError: it is ANN"] == [
        each.text.partition("\n")[0] for each in told if each.fails
    ]


def test_rows_that_cannot_be_inserted(project: Project) -> None:
    """The finding says that it is the project's own function."""

    @migration_data("a2")
    class _Names:
        @staticmethod
        def before(connection: Any) -> None:
            connection.execute(text("INSERT INTO missing VALUES (1)"))

    project.revision("a1", TABLE, GONE)
    (told,) = found(project, "SELECT 1", "SELECT 1")

    assert "before() of migration_data: " in told.text


def test_data_for_a_revision_that_there_is_not(project: Project) -> None:
    """It is said, lest it is never looked at."""

    @migration_data("b7")
    class _Names:
        before = print

    project.revision("a1", TABLE, GONE)

    assert ["migration_data names b7, which there is not"] == (
        project.runner().unmet_data()
    )


def test_a_class_without_functions_is_refused() -> None:
    """Both names are said."""
    with pytest.raises(DataRefused, match=r"neither before\(\) nor after\(\)"):
        migration_data("a1")(object)


def test_a_revision_has_one_class() -> None:
    """Of two only one would be called."""

    @migration_data("a1")
    class _One:
        before = print

    with pytest.raises(DataRefused, match="there twice"):

        @migration_data("a1")
        class _Other:
            before = input
