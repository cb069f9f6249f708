"""The site: its reference has every public name, and README's links lead somewhere.

Links between pages are checked by `mkdocs build --strict`: see `make site`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest_asyncdb
from pytest_asyncdb import errors

ROOT: Final = Path(__file__).parents[2]
LINK: Final = re.compile(r"\]\(([^)#]+)[^)]*\)")


def test_the_reference_has_every_public_name() -> None:
    """Each has a line `::: pytest_asyncdb...` on a page in docs/reference."""
    pages = sorted((ROOT / "docs" / "reference").glob("*.md"))
    lines = [line for page in pages for line in page.read_text("utf-8").splitlines()]
    named = {line.rpartition(".")[2] for line in lines if line.startswith("::: ")}
    public = set(pytest_asyncdb.__all__) - set(errors.__all__) - {"__version__"}

    assert set() == public - named, "add them to a page in docs/reference"


def test_the_quick_start_of_the_site_is_that_of_the_readme() -> None:
    """Pages build upon README's files; a reader of the site finds the same ones."""
    readme = (ROOT / "README.md").read_text("utf-8")
    start = (ROOT / "docs" / "start.md").read_text("utf-8")
    files = re.findall(
        r"```python\n(# (?:models|conftest)\.py\n.*?)```", readme, re.DOTALL
    )

    assert 2 == len(files)
    assert [] == [file for file in files if file not in start]


def test_the_client_of_the_readme_is_one_that_is_run() -> None:
    """It stands in the guide, whose code is run, with the application that it needs."""
    readme = (ROOT / "README.md").read_text("utf-8")
    guide = (ROOT / "docs" / "guides" / "fastapi.md").read_text("utf-8")
    shown = re.findall(r"```text\n(@pytest.fixture\n.*?)```", readme, re.DOTALL)

    assert 1 == len(shown)
    assert shown[0] in guide


def test_links_of_the_readme_lead_somewhere() -> None:
    """Each relative link names a file of the repository."""
    links = LINK.findall((ROOT / "README.md").read_text("utf-8"))
    relative = [link for link in links if "://" not in link]

    assert relative
    assert [] == [link for link in relative if not (ROOT / link).is_file()]
