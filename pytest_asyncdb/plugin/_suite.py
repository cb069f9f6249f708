"""What the plugin knows of one run of pytest, in one process."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_asyncdb.plugin._options import is_configured, read_settings
from pytest_asyncdb.plugin._terminal import say
from pytest_asyncdb.plugin._versions import check_sqlalchemy

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_asyncdb.plugin._databases import Databases
    from pytest_asyncdb.plugin._environment import Variables
    from pytest_asyncdb.plugin._forgotten import Forgotten
    from pytest_asyncdb.plugin._terminal import Line
    from pytest_asyncdb.plugin._unrequested import Watch
    from pytest_asyncdb.provisioning import Run
    from pytest_asyncdb.settings import Settings

__all__ = ["OVERRIDES", "Suite", "suite_of", "usage_errors"]

OVERRIDES: Final = (
    "asyncdb_metadata",
    "asyncdb_alembic_config",
    "asyncdb_schema",
    "asyncdb_seed",
    "asyncdb_template_key",
    "asyncdb_engine_options",
    "asyncdb_session_options",
    "asyncdb_capture",
)
_PACKAGE: Final = "pytest_asyncdb."


class Suite:
    """The run's settings and databases, both made when they are first needed."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._settings: Settings | None = None
        self._databases: Databases | None = None
        self._directories: list[Path] | None = None
        self._variables: Variables | None = None
        self.ready: list[dict[str, Any]] = []
        """What became ready, in this process and in its workers."""
        self.migrations: list[Line] = []
        """What workers have to say of migrations."""
        self.overrides: dict[str, object] = {}
        """Values of the override fixtures that the database in use was built by."""
        self.seen_from: set[Path] = set()
        """Modules whose tests are known to see these values."""
        self.forgotten: Forgotten | None = None
        """What tests called and did not await."""
        self._watch: Watch | None = None
        self._watches: bool | None = None

    @property
    def is_configured(self) -> bool:
        """Whether an option, an ini value or a fixture of the project says anything."""
        return is_configured(self._config) or any(map(self.defines, OVERRIDES))

    def defines(self, name: str) -> bool:
        """Whether a conftest.py, or another plugin, has an override fixture `name`."""
        plugins = self._config.pluginmanager.get_plugins()
        return any(_overrides(plugin, name) for plugin in plugins)

    @property
    def settings(self) -> Settings:
        """Every decision of the run. Raises an `AsyncDBError` for one not known."""
        if self._settings is None:
            self._settings = read_settings(self._config)
        return self._settings

    def check(self) -> None:
        """Read the settings now. Raises an `AsyncDBError` for one not known."""
        self._settings = self._settings or read_settings(self._config)

    def audit(self) -> None:
        """Compare both runs of each test, where the user asked for an audit."""
        if self.settings.audit:
            from pytest_asyncdb.plugin._audit import Audit

            self._config.pluginmanager.register(Audit(self.settings.audit_json))

    def measure(self) -> None:
        """Record what each test spends in the database, where the user asked for it."""
        if self.settings.durations is not None or self.settings.report is not None:
            from pytest_asyncdb.plugin._costs import Costs

            self._config.pluginmanager.register(Costs(self.settings))

    @property
    def databases(self) -> Databases:
        """The run's databases. Raises an `AsyncDBError` for one that cannot be had."""
        if self._databases is None:
            check_sqlalchemy()
            from pytest_asyncdb.plugin._databases import Databases
            from pytest_asyncdb.plugin._environment import WORKERS

            self._databases = Databases(
                self.settings,
                directories=self._directories,
                worker=self._worker,
                workers=int(os.environ.get(WORKERS, "1")),
                say=lambda text: say(self._config, text),
            )
        return self._databases

    @property
    def started(self) -> Databases | None:
        """The databases, if anything has needed them."""
        return self._databases

    @property
    def _worker(self) -> str:
        from pytest_asyncdb.plugin._environment import WORKER

        is_worker = self._directories is not None
        return os.environ[WORKER] if is_worker else "main"

    def see(self, overrides: Mapping[str, object]) -> None:
        """Remember the values of the override fixtures."""
        self.overrides = dict(overrides)
        self.seen_from = set()

    # ------------------------------------------------------------ unrequested tests
    @property
    def watch(self) -> Watch | None:
        """What sees the connections of a test that asks for no fixture of ours.

        None where the project configures nothing, allows them, or has no engine yet.
        """
        if self._watches is None:
            self._watches = self.is_configured and self.settings.unrequested != "allow"
        if self._watches and self._watch is None and "sqlalchemy.engine" in sys.modules:
            from pytest_asyncdb.plugin._unrequested import Watch

            self._watch = Watch(refuses=self.settings.unrequested == "refuse")
        return self._watch

    def begin_unrequested(self, item: pytest.Item) -> None:
        """A test runs that asks for no fixture of ours."""
        if self._databases is not None:
            self._databases.begin_unrequested(item.nodeid)
        if self.watch is not None:
            self.watch.begin(item)

    def tell_unrequested(self, report: pytest.TestReport) -> None:
        """Let the report of a failed test say that it was not isolated."""
        seen = self._watch.seen if self._watch is not None else None
        if report.failed and seen is not None:
            report.sections.append(("asyncdb", str(seen)))

    def end_watch(self) -> None:
        """The test that was watched is over, or is isolated from here on."""
        if self._watch is not None:
            self._watch.end()

    # --------------------------------------------------------------- the environment
    def attach(self) -> None:
        """Join the controller's run, where this process is a worker of it."""
        from pytest_asyncdb.plugin._environment import take_directories

        self._directories = take_directories()

    def hand_over(self) -> None:
        """Let the workers that are started from here on join this run."""
        from pytest_asyncdb.plugin._environment import (
            give_directories,
            withdraw_directories,
        )

        targets = range(len(self.settings.targets))
        give_directories([self.databases[each].run.directory for each in targets])
        self._config.add_cleanup(withdraw_directories)

    def set_variables(self, namespace: argparse.Namespace) -> None:
        """Put the run's URL into the variables that the project names."""
        from pytest_asyncdb.plugin._environment import Variables, with_preferred_drivers

        settings = read_settings(self._config, namespace)
        self._settings = with_preferred_drivers(settings)
        self._variables = Variables(settings.env)
        self._config.add_cleanup(self._variables.restore)
        self.point_variables(self.databases[0].run)

    def point_variables(self, run: Run) -> None:
        """Let the variables, if the project names any, lead to the run's database."""
        if self._variables is not None:
            self._variables.put(run.url)

    # ----------------------------------------------------------------------- the end
    def finish(self) -> None:
        """The last test is over: note what was used, and let engines be."""
        if self._watch is not None:
            self._watch.close()
        if self._databases is None:
            return
        self._databases.release()
        self.ready += [
            {
                "worker": self._worker,
                "product": made.product,
                "version": ".".join(map(str, made.version)),
                "source": made.source,
                "bridge": bridge,
                "notes": made.notes,
                "seconds": made.seconds,
            }
            for made, bridge in self._databases.used
        ]
        self.hand_out("asyncdb", self.ready)

    def hand_out(self, name: str, said: list[Any]) -> None:
        """Let the controller know, where this process is a worker of its."""
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput[name] = said

    def close(self) -> None:
        """Remove the databases of this process; what stays is told in a warning."""
        if self._databases is None:
            return
        from pytest_asyncdb.errors import AsyncDBError, LeftoverWarning

        try:
            self._databases.close()
        except AsyncDBError as error:
            warnings.warn(str(error), LeftoverWarning, stacklevel=2)


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """Let an error of ours end the run as one of usage, without a traceback."""
    from pytest_asyncdb.errors import AsyncDBError

    try:
        yield
    except AsyncDBError as error:
        raise pytest.UsageError(str(error)) from error


_SUITE: Final = pytest.StashKey[Suite]()


def suite_of(config: pytest.Config) -> Suite:
    """The suite of a run; the first call makes it."""
    if _SUITE not in config.stash:
        suite = config.stash[_SUITE] = Suite(config)
        config.add_cleanup(suite.close)
    return config.stash[_SUITE]


def _overrides(plugin: object, name: str) -> bool:
    """Whether a plugin that is not ours, such as a conftest.py, has a fixture."""
    module = getattr(plugin, "__name__", "")
    return name in getattr(plugin, "__dict__", ()) and not module.startswith(_PACKAGE)
