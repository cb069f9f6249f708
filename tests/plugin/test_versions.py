"""What is too old for the plugin says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_asyncdb.plugin import _versions

if TYPE_CHECKING:
    from tests.plugin.conftest import Project


def test_an_sqlalchemy_before_2_is_refused(project: Project) -> None:
    """The error names both versions; nothing of that SQLAlchemy is used."""
    project.write("sqlalchemy/__init__", "__version__ = '1.4.54'")
    project.write("conftest", "")
    (project.path / "test_it.py").write_text("def test_it(db_engine): pass")
    project.ini(pythonpath=".")

    result = project.run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        "*needs sqlalchemy 2.0 or newer, and 1.4.54 is installed*"
    )


def test_a_pytest_before_8_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is one of usage, and says how to do without the plugin."""
    monkeypatch.setattr(pytest, "version_tuple", (7, 4, 4))

    with pytest.raises(
        pytest.UsageError, match=r"needs pytest 8\.0 or newer"
    ) as refused:
        _versions.check_pytest()

    assert "pytest -p no:asyncdb" in str(refused.value)
