"""A project that configures nothing of ours does not notice that we are installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.plugin.conftest import Project

HEAVY: Final = (
    "sqlalchemy",
    "alembic",
    "factory",
    "hypothesis",
    "asyncpg",
    "aiosqlite",
)
SUITE: Final = """
import sys, unittest

import pytest

@pytest.fixture(scope="session")
def wide():
    yield 1

@pytest.fixture
def db_session(wide):
    return "theirs"

def test_plain(wide):
    assert 1 == wide

async def test_async(db_session):
    assert "theirs" == db_session

@pytest.mark.parametrize("x", [1, 2])
def test_parameters(x):
    assert 1 == x

def test_error(missing):
    pass

class TestUnit(unittest.TestCase):
    def test_it(self):
        self.skipTest("reason")

def test_warns():
    import warnings
    warnings.warn("careful")

def test_fails():
    raise ValueError("x")
"""


def _plain(project: Project) -> None:
    project.write("conftest", "")
    (project.path / "test_it.py").write_text(SUITE)


def _comparable(lines: Sequence[str]) -> list[str]:
    """Output without what differs from run to run, and lists of all that there is."""
    lists = ("plugins:", ">       available fixtures:")
    text = "\n".join(line for line in lines if not line.startswith(lists))
    return re.sub(r"in \d+\.\d+s|0x[0-9a-f]+|runpytest-\d", "", text).splitlines()


@pytest.mark.parametrize("options", [(), ("-v", "-rA"), ("-n1",)])
def test_the_output_is_the_same_with_the_plugin_and_without(
    project: Project, options: Sequence[str]
) -> None:
    """Header, outcomes, warnings and summary: not a word more, not one less."""
    _plain(project)
    others = ("asyncio", "xdist")

    without = project.run(*options, plugins=("no:asyncdb", *others))
    with_it = project.run(*options, plugins=("asyncdb", *others))

    assert _comparable(without.outlines) == _comparable(
        [line.replace("[asyncdb]", "") for line in with_it.outlines]
    )
    assert without.errlines == with_it.errlines
    assert without.ret == with_it.ret


def test_the_variable_alone_configures_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine on which ASYNCDB is set runs other projects as before."""
    _plain(project)
    without = project.run()

    monkeypatch.setenv("ASYNCDB", "no such word at all")
    with_it = project.run()

    assert _comparable(without.outlines) == _comparable(with_it.outlines)


def test_nothing_heavy_is_imported(project: Project) -> None:
    """Neither SQLAlchemy nor what any extra brings, nor our own isolation.

    Of factories only the two small modules that say which test runs.
    """
    project.write("conftest", "")
    (project.path / "test_it.py").write_text(
        f"""
import sys

def test_it(request):
    assert [] == [name for name in sys.modules if name.startswith({HEAVY})]
    ours = {{name.split(".")[1] for name in sys.modules if "pytest_asyncdb." in name}}
    assert {{"factories", "plugin"}} == ours
    assert request.config.pluginmanager.has_plugin("asyncdb")
"""
    )

    result = project.run(plugins=("asyncdb",))

    result.assert_outcomes(passed=1)


def test_nothing_heavy_is_imported_for_the_plain_tests_of_a_project_of_ours(
    project: Project,
) -> None:
    """An ini value alone costs no import, as long as no test asks for a fixture."""
    project.ini(asyncdb="postgresql", asyncdb_metadata="models:Base.metadata")
    project.write("conftest", "")
    (project.path / "test_it.py").write_text(
        """
import sys

def test_it():
    assert "sqlalchemy" not in sys.modules
"""
    )

    result = project.run()

    result.assert_outcomes(passed=1)


def test_our_names_carry_our_prefix(project: Project) -> None:
    """No option, ini value or mark of ours can collide with another plugin's."""
    help_ = project.run("--help", plugins=("asyncdb",)).outlines
    plain = project.run("--help", plugins=("no:asyncdb",)).outlines

    added = [line.strip() for line in help_ if line not in plain]
    names = [
        line for line in added if re.match(r"--?\w|\w+ \((string|args|bool|line)", line)
    ]
    assert names
    assert [] == [name for name in names if not re.match(r"(--)?asyncdb", name)]
