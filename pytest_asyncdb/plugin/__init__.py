"""The pytest plugin: hooks only.

It is loaded in every run of pytest in an environment, so nothing is imported but pytest
until a project configures something of ours or a test asks for one of our fixtures.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest

from pytest_asyncdb.plugin import (
    _answers,
    _checks,
    _collection,
    _factories,
    _faults,
    _hookspecs,
    _lifecycle,
    _migrations_collection,
    _places,
    _race,
    _statements,
)
from pytest_asyncdb.plugin._concurrency import _real, db_concurrency
from pytest_asyncdb.plugin._faults import db_faults
from pytest_asyncdb.plugin._fixtures import (
    RunDatabase,
    _audit,
    _database,
    _isolation,
    _persist,
    _untouched,
    asyncdb,
    db_changes,
    db_engine,
    db_run,
    db_session,
    db_sessionmaker,
    db_sync_session,
)
from pytest_asyncdb.plugin._forgotten import Forgotten
from pytest_asyncdb.plugin._migrations import (
    asyncdb_revision,
    db_migrations,
    summary as _migrations,
)
from pytest_asyncdb.plugin._options import add_options, needs_variables
from pytest_asyncdb.plugin._overrides import (
    _target,
    asyncdb_alembic_config,
    asyncdb_capture,
    asyncdb_engine_options,
    asyncdb_metadata,
    asyncdb_schema,
    asyncdb_seed,
    asyncdb_session_options,
    asyncdb_target,
    asyncdb_template_key,
)
from pytest_asyncdb.plugin._race import _race as _race_fixture
from pytest_asyncdb.plugin._statements import db_statements
from pytest_asyncdb.plugin._suite import suite_of, usage_errors
from pytest_asyncdb.plugin._terminal import write
from pytest_asyncdb.plugin._versions import check_pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

__all__ = [
    "RunDatabase",
    "_audit",
    "_database",
    "_isolation",
    "_persist",
    "_race_fixture",
    "_real",
    "_target",
    "_untouched",
    "asyncdb",
    "asyncdb_alembic_config",
    "asyncdb_capture",
    "asyncdb_engine_options",
    "asyncdb_metadata",
    "asyncdb_revision",
    "asyncdb_schema",
    "asyncdb_seed",
    "asyncdb_session_options",
    "asyncdb_target",
    "asyncdb_template_key",
    "db_changes",
    "db_concurrency",
    "db_engine",
    "db_faults",
    "db_migrations",
    "db_run",
    "db_session",
    "db_sessionmaker",
    "db_statements",
    "db_sync_session",
]


class _Worker(Protocol):
    """What xdist's controller knows of a worker."""

    config: pytest.Config
    workerinput: dict[str, Any]
    workeroutput: Mapping[str, list[dict[str, Any]]]


check_pytest()
_FACTORY_MARK: Final = (
    "asyncdb_factory(fixture, *traits, **attributes): what the object is like that the"
    " fixture of a registered factory gives"
)
_RACE_MARK: Final = (
    "asyncdb_race(actors=2, **options): copies of the async test run against each other"
    " in every interleaving; options are those of db_concurrency.explore"
)
_MARK: Final = (
    "asyncdb(isolation=, backends=, requires=, capture=): the test uses the database;"
    " how it is isolated, and what the database must be"
)


# ------------------------------------------------------------------------- the run
def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that others may implement."""
    pluginmanager.add_hookspecs(_hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare options and ini values."""
    add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Let the application's settings name the run's database, before it is imported."""
    suite = suite_of(early_config)
    suite.attach()
    if needs_variables(early_config):
        with usage_errors():
            suite.set_variables(early_config.known_args_namespace)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse settings that are not known, at once."""
    config.addinivalue_line("markers", _MARK)
    config.addinivalue_line("markers", _FACTORY_MARK)
    config.addinivalue_line("markers", _RACE_MARK)
    suite = suite_of(config)
    if suite.is_configured:
        with usage_errors():
            suite.check()
            suite.audit()
            suite.measure()
        suite.forgotten = Forgotten()
        config.pluginmanager.register(suite.forgotten)
        if suite.settings.factory_report:
            from pytest_asyncdb.plugin._factory_report import collect

            collect(config)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which databases the run is on, where anything is configured."""
    suite = suite_of(config)
    if not suite.is_configured:
        return []
    from pytest_asyncdb.plugin._report import header

    return [*header(suite.settings), *_factories.seed_lines(config)]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which databases were used, how long they took and where they were kept."""
    suite = suite_of(config)
    if suite.ready:
        from pytest_asyncdb.plugin._report import summary

        write(terminalreporter, summary(suite, quiet=config.get_verbosity() < 0))
    forgotten = suite.forgotten.lines if suite.forgotten is not None else ()
    write(terminalreporter, [*suite.migrations, *_migrations(config), *forgotten])
    if suite.is_configured and suite.settings.factory_report:
        from pytest_asyncdb.plugin._factory_report import lines

        write(terminalreporter, lines(config))


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Let engines be once the last finaliser has run, and before the summary."""
    try:
        return (yield)
    finally:
        suite = suite_of(session.config)
        suite.finish()
        suite.hand_out("asyncdb_migrations", _migrations(session.config))
        if suite.is_configured and suite.settings.factory_report:
            from pytest_asyncdb.plugin._factory_report import hand_back

            hand_back(session.config)


# --------------------------------------------------------------------------- xdist
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Let the workers share this process's servers."""
    suite = suite_of(config)
    if suite.is_configured:
        with usage_errors():
            suite.hand_over()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: _Worker) -> None:
    """Let a worker have random values of the same seed."""
    _factories.hand_seed(node.config, node.workerinput)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: _Worker) -> None:
    """Take over what a worker has to tell."""
    suite, said = suite_of(node.config), getattr(node, "workeroutput", {})
    suite.ready += said.get("asyncdb", [])
    suite.migrations += said.get("asyncdb_migrations", [])
    if suite.is_configured and suite.settings.factory_report:
        from pytest_asyncdb.plugin._factory_report import take_over

        take_over(node.config, said)


# ---------------------------------------------------------------------- collection
def pytest_collectstart(collector: pytest.Collector) -> None:
    """Remember the folders of the run."""
    _places.note_folder(collector)


def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> pytest.Collector | None:
    """Find the checks whose ids the command line has."""
    return _checks.collect_file(file_path, parent)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Collector, name: str, obj: object
) -> None:
    """Let a marked test be isolated that asks for no fixture."""
    _collection.request_by_mark(collector, name, obj)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let a marked test of unittest be isolated, too."""
    _collection.request_late(item)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Check the marks, and run a test on each of several databases."""
    _collection.generate(metafunc)
    _migrations_collection.generate_revisions(metafunc)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, items: list[pytest.Item]
) -> None:
    """Add checks of migrations, factories and the schema, before items are chosen."""
    _collection.repeat_for_audit(session.config, items)
    _checks.add(session, items)


# -------------------------------------------------------------------------- a test
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Isolate the test: after its marks for skipping, before its first fixture.

    The implementation of pytest's own that sets fixtures up comes after it.
    """
    __tracebackhide__ = True
    _lifecycle.begin(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Undo the test after its last finaliser."""
    __tracebackhide__ = True
    _statements.end(item)
    with _lifecycle.end(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Keep a fixture that outlives the test out of the test's transaction."""
    __tracebackhide__ = True
    if fixturedef.scope == "function":
        return (yield)
    with _lifecycle.wide_fixture(fixturedef, request):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Isolate each example of a property-based test; look for loads in a loop.

    Before Hypothesis looks at the test's fixtures, and before anybody runs coroutines.
    """
    __tracebackhide__ = True
    with contextlib.ExitStack() as stack:
        if "hypothesis" in sys.modules:
            from pytest_asyncdb.plugin._hypothesis import isolated_examples

            stack.enter_context(isolated_examples(item))
        stack.enter_context(_race.racing(item))
        stack.enter_context(_statements.calling(item))
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Say what is missing where nobody runs an async test."""
    __tracebackhide__ = True
    if not _lifecycle.is_requested(pyfuncitem):
        return (yield)
    from pytest_asyncdb.plugin._async import running_somewhere

    with running_somewhere(pyfuncitem):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show our errors by their text, not by our frames."""
    _migrations_collection.skip_here(item, call)
    if _lifecycle.audited_mode(item) is not None:
        report = yield
        _lifecycle.note_verdict(item, call, report)
        return report
    if not _collection.concerns_us(item, call) or item.config.getoption("fulltrace"):
        report = yield
        suite_of(item.config).tell_unrequested(report)
        return _factories.with_seed(item, call, report)
    from pytest_asyncdb.plugin import _report

    _report.shorten(call)
    report = yield
    suite = suite_of(item.config)
    if suite.started is not None and report.failed:
        suite.started.failed()
    _report.explain(call, report, suite)
    _report.show_changes(suite, report)
    _faults.with_condition(call, report)
    return _factories.with_seed(item, call, _answers.with_answer(item, call, report))
