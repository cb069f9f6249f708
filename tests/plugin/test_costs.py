"""What tests spend in the database: `--asyncdb-durations` and `--asyncdb-report`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.plugin.conftest import PLUGINS
from tests.plugin.test_statements import DATABASES, MODELS

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

TESTS: Final = """
    async def test_writes(db_session):
        db_session.add(User(name="secret"))
        await db_session.commit()

    async def test_reads(db_session, db_statements):
        await db_session.scalar(COUNT)
        await db_session.scalar(COUNT)
        await db_session.scalar(COUNT)

    def test_none():
        pass
"""


@pytest.fixture
def project(project: Project) -> Project:
    """A project with users."""
    project.write("models", MODELS)
    return project


def _report(project: Project) -> dict[str, Any]:
    tests = json.loads((project.path / "report.json").read_text())["tests"]
    return {each["test"].partition("::")[2]: each for each in tests}


@DATABASES
def test_the_slowest_tests_are_shown(project: Project, database: str) -> None:
    """With what their statements took, isolating them and undoing them."""
    project.test(TESTS)
    result = project.run(f"--asyncdb={database}", "--asyncdb-durations=1")

    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "asyncdb: ms in the database, the slowest first",
            "*total*statements*set-up*reset*sent*test",
            "*test_it.py::test_*",
        ]
    )
    lines = [line for line in result.outlines if "test_it.py::" in line]
    assert 1 == len(lines)


@pytest.mark.parametrize("isolation", ["sandbox", "commit"])
@DATABASES
def test_a_report(project: Project, database: str, isolation: str) -> None:
    """Holds each statement of each isolated test, but no parameters."""
    project.test(TESTS)
    mode = f"--asyncdb-isolation={isolation}"
    result = project.run(f"--asyncdb={database}", mode, "--asyncdb-report=report.json")

    result.assert_outcomes(passed=3)
    report = _report(project)
    assert {"test_writes", "test_reads"} == set(report)
    (insert,) = report["test_writes"]["statements"]
    assert "flush" == insert["kind"]
    assert insert["line"].startswith("test_it.py:")
    assert insert["seconds"] > 0
    assert isolation == report["test_writes"]["isolation"]
    assert {"statements", "setup", "reset"} == set(report["test_reads"]["seconds"])
    assert 3 == report["test_reads"]["count"]
    assert "secret" not in (project.path / "report.json").read_text()


def test_parameters_where_they_are_asked_for(project: Project) -> None:
    """Those of an engine that hides them stay hidden."""
    project.test(TESTS)
    options = ("--asyncdb-report=report.json", "--asyncdb-report-parameters")
    project.run(*options).assert_outcomes(passed=3)
    shown = _report(project)["test_writes"]["statements"][0]
    project.ini(asyncdb_engine_options="\n    hide_parameters = true")
    project.run(*options).assert_outcomes(passed=3)
    hidden = _report(project)["test_writes"]["statements"][0]

    assert "('secret',)" == shown["parameters"]
    assert "parameters" not in hidden


def test_workers_hand_theirs_over(project: Project) -> None:
    """The controller writes one report of all, and shows the slowest of all."""
    project.test(TESTS)
    options = ("-n2", "--asyncdb-report=report.json", "--asyncdb-durations=0")
    result = project.run(*options, plugins=(*PLUGINS, "xdist"))

    result.assert_outcomes(passed=3)
    assert {"test_writes", "test_reads"} == set(_report(project))
    result.stdout.fnmatch_lines(["asyncdb: ms in the database, the slowest first"])


def test_what_is_looked_up_for_an_answer_is_not_reported(project: Project) -> None:
    """The test has not sent it."""
    project.test(
        """
        async def test_it(db_session):
            db_session.add_all([User(name="ann"), User(name="bob")])
            await db_session.commit()
            db_session.add(User(name="ann"))
            await db_session.commit()
        """
    )
    result = project.run("--asyncdb-report=report.json")

    result.stdout.fnmatch_lines(["*users has the row already: *name='ann'*"])
    kinds = [each["kind"] for each in _report(project)["test_it"]["statements"]]
    assert {"flush"} == set(kinds)


def test_a_folder_that_there_is_not(project: Project) -> None:
    """Is refused before any test runs."""
    project.test(TESTS)
    result = project.run("--asyncdb-report=nowhere/report.json")

    result.stderr.fnmatch_lines(["*asyncdb_report is 'nowhere/report.json'*"])


@pytest.mark.parametrize("value", ["-1", "many"])
def test_a_number_of_tests_that_is_none(project: Project, value: str) -> None:
    """Is refused at once."""
    project.test(TESTS)
    result = project.run(f"--asyncdb-durations={value}")

    result.stderr.fnmatch_lines(
        ["*--asyncdb-durations is *, which is no whole number*"]
    )
