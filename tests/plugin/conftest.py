"""Projects for the plugin's tests: each is run by a pytest of its own."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT: Final = 60.0
# The plugins of a project's run, by their entry points: loading all that there are
# takes three times as long.
PLUGINS: Final = ("asyncdb", "asyncio")
MODELS: Final = """
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(unique=True)
"""
HEAD: Final = """
    import pytest
    from sqlalchemy import func, insert, select, text
    from models import User

    COUNT = select(func.count()).select_from(User)
"""
CONFTEST: Final = """
    import pytest
    from models import Base

    @pytest.fixture(scope="session")
    def asyncdb_metadata():
        return Base.metadata
"""
INI: Final = {
    "asyncio_mode": "auto",
    "asyncio_default_fixture_loop_scope": "function",
}


class Project:
    """A folder with models, a conftest.py and tests, as a team would have it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self.path = pytester.path
        self.write("models", MODELS)
        self.write("conftest", CONFTEST)
        self.ini()

    def write(self, name: str, source: str) -> None:
        """Let the module `name` (with folders, but without `.py`) hold `source`."""
        path = self.path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")

    def test(self, *sources: str) -> None:
        """Let the project's tests be `sources`, after the imports that all need."""
        text = "".join(textwrap.dedent(each) for each in (HEAD, *sources))
        (self.path / "test_it.py").write_text(text, encoding="utf-8")

    def ini(self, **values: str) -> None:
        """Set ini values besides those of pytest-asyncio."""
        lines = [f"{name} = {value}" for name, value in {**INI, **values}.items()]
        text = "\n".join(["[pytest]", *lines])
        (self.path / "pytest.ini").write_text(text, encoding="utf-8")

    def run(self, *args: str, plugins: Sequence[str] = PLUGINS) -> pytest.RunResult:
        """Run the tests in a process of their own, with these plugins."""
        loads = [f"-p{name}" for name in plugins]
        return self._pytester.runpytest_subprocess(*loads, *args, timeout=TIMEOUT)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with one table, `users`, in an environment that says nothing."""
    # Where CI is set, pytest's short summary holds the whole text of each error.
    for name in ("ASYNCDB", "BUILD_NUMBER", "CI", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return Project(pytester)
