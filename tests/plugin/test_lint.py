"""`--asyncdb-lint-schema`: a check for each rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.plugin.test_statements import DATABASES

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

MODELS: Final = """
    from sqlalchemy import ForeignKey, Index, String
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        __table_args__ = (Index("ix_age", "age"), Index("ix_again", "age"))
        id: Mapped[int] = mapped_column(primary_key=True)
        age: Mapped[int]
        version: Mapped[int]

    class Order(Base):
        __tablename__ = "orders"
        id: Mapped[int] = mapped_column(primary_key=True)
        user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
        price: Mapped[float]
"""
TESTS: Final = """
    def test_it():
        pass
"""


@pytest.fixture
def project(project: Project) -> Project:
    """A project whose schema breaks most rules."""
    project.write("models", MODELS)
    project.test(TESTS)
    return project


@DATABASES
def test_each_rule_is_a_test(project: Project, database: str) -> None:
    """Its failure names what would silence it; InnoDB indexes foreign keys itself."""
    result = project.run(f"--asyncdb={database}", "--asyncdb-lint-schema")

    failed = 3 if database == "mariadb" else 4
    result.assert_outcomes(failed=failed, passed=6 - failed)
    text = str(result.stdout)
    assert (database != "mariadb") == ("unindexed-foreign-key:orders.user_id" in text)
    assert "duplicate-index:users.ix_again" in text or "users.ix_age" in text
    assert "version-in-python:User.version" in text
    assert "float-money:orders.price" in text
    assert "redundant-index:" not in text


@pytest.mark.parametrize("first", ["a", "z"])
def test_the_conftest_of_another_folder_is_seen(project: Project, first: str) -> None:
    """Wherever the first test is."""
    conftest = project.path / "conftest.py"
    project.write("tests/conftest", conftest.read_text())
    conftest.unlink()
    project.write("tests/test_b", TESTS)
    project.write(f"{first}/test_{first}", TESTS)
    project.ini(pythonpath=".")

    project.run("--asyncdb-lint-schema").assert_outcomes(failed=4, passed=4)


def test_each_of_several_databases_is_looked_at(project: Project) -> None:
    """By a test of its own."""
    databases = ["--asyncdb=sqlite", "--asyncdb=sqlite@file"]
    result = project.run(*databases, "--asyncdb-lint-schema", "-k", "schema")

    result.assert_outcomes(failed=8, passed=2, deselected=1)


def test_the_id_of_a_failed_check_leads_to_it(project: Project) -> None:
    """Alone, with the fixtures of modules that the project uses for all tests."""
    name = "conftest.py::schema[float-money]"
    conftest = (project.path / "conftest.py").read_text()
    wide = "@pytest.fixture(scope='module', autouse=True)\ndef wide(): pass\n"
    (project.path / "conftest.py").write_text(conftest + wide)
    result = project.run("--asyncdb-lint-schema")

    result.stdout.fnmatch_lines(["*_ schema[[]float-money] _*"])
    result.stdout.fnmatch_lines(["FAILED conftest.py::schema[[]float-money]*"])
    project.run(name).assert_outcomes(failed=1)
    project.run("conftest.py::schema").assert_outcomes(failed=4, passed=1)
    project.run("--asyncdb-lint-schema", "--lf", "-pcacheprovider").assert_outcomes(
        failed=4
    )


def test_findings_are_silenced_by_name(project: Project) -> None:
    """A finding by rule and place, or all of a rule."""
    project.ini(
        asyncdb_lint_schema="true",
        asyncdb_lint_ignore="float-money duplicate-index version-in-python:User.version"
        " unindexed-foreign-key:orders.user_id",
    )

    project.run().assert_outcomes(passed=4)


def test_a_rule_that_there_is_not(project: Project) -> None:
    """Is refused, and the rules are listed."""
    project.ini(
        asyncdb_lint_schema="true", asyncdb_lint_ignore="float-mony:orders.price"
    )
    result = project.run()

    result.stderr.fnmatch_lines(["*asyncdb_lint_ignore is 'float-mony:orders.price'*"])
    result.stderr.fnmatch_lines(["*unindexed-foreign-key*float-money*"])


def test_without_the_option_nobody_looks(project: Project) -> None:
    """The schema is the project's business."""
    project.run().assert_outcomes(passed=1)
