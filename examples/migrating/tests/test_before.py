"""The suites as they were still run, in a process without pytest-asyncdb."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import measure

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.asyncdb(isolation="database")
def test_before(db_engine: AsyncEngine, tmp_path: Path) -> None:
    """On a database of its own, as their fixtures drop all tables."""
    url = db_engine.url.render_as_string(hide_password=False)
    if db_engine.dialect.name == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path}/test.db"
    _, passed = measure.run("before", *measure.SERVED, url=url)

    assert 34 == passed


@pytest.mark.asyncdb(backends=["postgresql"])
def test_before_in_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an image that is there: nothing is pulled by a test."""
    docker = pytest.importorskip("docker")
    try:
        images = docker.from_env().images.list("postgres")
    except docker.errors.DockerException as error:
        pytest.skip(f"no container engine: {error}")
    if not images:
        pytest.skip("the container engine has no image of PostgreSQL")
    monkeypatch.setenv("POSTGRES_IMAGE", images[0].tags[0])
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")  # an image more
    _, passed = measure.run("before", "containers", url="")

    assert 10 == passed


@pytest.mark.parametrize("style", measure.STYLES)
def test_lines_are_as_the_readme_says(style: str) -> None:
    """The numbers of its table are those of the files."""
    old, old_tests = measure.lines(style, "before")
    new, new_tests = measure.lines(style, "after")
    row = f"| {old} → {new} | {old_tests} → {new_tests} |"

    assert row in README.read_text(encoding="utf-8")
