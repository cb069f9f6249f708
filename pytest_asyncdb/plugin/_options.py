"""Options and ini values, and what of them a project has set."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    import pytest

    from pytest_asyncdb.settings import Settings

__all__ = [
    "add_options",
    "is_configured",
    "needs_variables",
    "read_settings",
    "set_values",
]

ENVIRONMENT: Final = "ASYNCDB"


@dataclass(frozen=True, slots=True)
class _Decision:
    """One decision: an ini value and, where `option` has keywords, an option too."""

    name: str
    help: str
    ini: Any
    option: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        return f"asyncdb_{self.name}" if self.name != "targets" else "asyncdb"

    @property
    def flag(self) -> str:
        return f"--{self.key.replace('_', '-')}"


_DECISIONS: Final = (
    _Decision(
        "targets",
        "sqlite (the default), postgresql, product:version@source or a URL; several run"
        " each test of a database on each",
        "args",
        {"action": "append", "metavar": "DATABASE"},
    ),
    _Decision(
        "isolation",
        "how a test's writes vanish: sandbox (the default: rolled back), commit (really"
        " committed, and undone afterwards) or database (one for each test)",
        "string",
        {"metavar": "MODE"},
    ),
    _Decision(
        "keep",
        "leave the database in place when the run ends, and say where",
        "bool",
        {"action": "store_true"},
    ),
    _Decision(
        "reuse",
        "let the server run on for later runs, and use what is built on it again",
        "bool",
        {"action": "store_true"},
    ),
    _Decision(
        "require",
        "refuse to run unless the run is on this product (repeatable)",
        "args",
        {"action": "append", "metavar": "PRODUCT"},
    ),
    _Decision(
        "audit",
        "run each sandboxed test once more with real commits, and list those that"
        " differ",
        "bool",
        {"action": "store_true"},
    ),
    _Decision(
        "audit_json",
        "a file for what the audit finds",
        "string",
        {"metavar": "FILE"},
    ),
    _Decision(
        "show_changes",
        "show with each failed test which rows it had changed",
        "bool",
        {"action": "store_true"},
    ),
    _Decision(
        "diagrams",
        "a folder for pictures (SVG) of the schedules that fail",
        "string",
        {"metavar": "DIR"},
    ),
    _Decision(
        "leaks", "what a test left open is: warn (the default), fail, ignore", "string"
    ),
    _Decision(
        "unrequested",
        "a connection of a test that asks for no fixture of ours: warn (the default),"
        " refuse or allow",
        "string",
    ),
    _Decision(
        "n_plus_one",
        "objects that are loaded one after the other in a test: ignore (the default),"
        " warn or fail",
        "string",
        {"metavar": "WHAT"},
    ),
    _Decision("env", "environment variables that receive the run's URL", "args"),
    _Decision("metadata", "module:attribute of the MetaData of the models", "string"),
    _Decision(
        "schema",
        "module:attribute of an async function that takes an AsyncConnection and builds"
        " the schema on it",
        "string",
    ),
    _Decision(
        "seed",
        "module:attribute of an async function that takes an AsyncSession and adds what"
        " every test starts with",
        "string",
    ),
    _Decision(
        "template_key", "text that changes whenever what schema and seed do", "string"
    ),
    _Decision("engine_options", "lines option = value of db_engine", "linelist"),
    _Decision("session_options", "lines option = value of db_session", "linelist"),
    _Decision("capture", "module:attribute of a function(engine) -> bool", "string"),
    _Decision(
        "alembic_config",
        "the project's alembic.ini: templates are built by its migrations",
        "string",
    ),
    _Decision(
        "migrations",
        "check the migrations: every revision up, down and up again, and the models",
        "bool",
        {"action": "store_true"},
    ),
    _Decision("migration_heads", "revisions that nothing follows, if several", "args"),
    _Decision("migration_irreversible", "revisions that have no way back", "args"),
    _Decision(
        "migration_locks",
        "what migrations lock on a live PostgreSQL is observed: warn, fail or off (the"
        " default)",
        "string",
    ),
    _Decision(
        "migration_differences",
        "lines what = fail, note or ignore: how differences of schemas are taken",
        "linelist",
    ),
    _Decision(
        "sqlite_direct", "call SQLite in memory without aiosqlite's thread", "bool"
    ),
    _Decision(
        "container_image",
        "the image of @container, or lines product = image",
        "linelist",
    ),
    _Decision(
        "server_options",
        "lines option = value (or product.option = value) of servers of our own",
        "linelist",
    ),
    _Decision(
        "server_sql", "statements for servers of our own, one in a line", "linelist"
    ),
    _Decision(
        "server_tcp", "let servers of our own listen on a port, with a password", "bool"
    ),
    _Decision(
        "factories",
        "check each factory: with each of its traits it makes rows that are accepted",
        "bool",
        {"action": "store_true"},
    ),
    _Decision(
        "factory_report",
        "show what each factory has sent to the database in each test",
        "bool",
        {"action": "store_true"},
    ),
    _Decision(
        "random_seed",
        "the number that random values of factories come from",
        "string",
        {"metavar": "N"},
    ),
    _Decision(
        "lint_schema",
        "check the schema: indexes, versions that Python compares, money in a Float",
        "bool",
        {"action": "store_true"},
    ),
    _Decision("lint_ignore", "rule or rule:place of findings that are meant", "args"),
    _Decision(
        "durations",
        "show the N tests that spent most time in the database (0: all)",
        "string",
        {"metavar": "N"},
    ),
    _Decision(
        "report",
        "a JSON file for the statements of each test, and its time in the database",
        "string",
        {"metavar": "FILE"},
    ),
    _Decision(
        "report_parameters",
        "put the parameters of statements into the report, too",
        "bool",
        {"action": "store_true"},
    ),
    _Decision(
        "bridge",
        "loop of the database's connection: auto (the default), guest or thread",
        "string",
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option, each with its ini twin."""
    group = parser.getgroup("asyncdb", "databases for tests (pytest-asyncdb)")
    for each in _DECISIONS:
        parser.addini(each.key, each.help, type=each.ini, default=None)
        if each.option is not None:
            group.addoption(
                each.flag, dest=each.key, default=None, help=each.help, **each.option
            )


def set_values(
    config: pytest.Config, namespace: argparse.Namespace | None = None
) -> dict[str, Any]:
    """What the command line, else the ini file, says; None where neither does.

    `namespace` stands for the parsed options while `config` has none yet.
    """
    options = vars(namespace or config.option)
    return {
        each.name: config.getini(each.key)
        if options.get(each.key) is None
        else options[each.key]
        for each in _DECISIONS
    }


def _names(options: Mapping[str, Any]) -> dict[str, str]:
    """What settings are named by on the command line, of those that it says."""
    said = [each for each in _DECISIONS if options.get(each.key) is not None]
    return {each.name: each.flag for each in said}


def is_configured(config: pytest.Config) -> bool:
    """Whether the project or the command line sets anything of ours."""
    return any(value is not None for value in set_values(config).values())


def needs_variables(config: pytest.Config) -> bool:
    """Whether the project names environment variables for the run's URL."""
    return bool(config.getini("asyncdb_env"))


def read_settings(
    config: pytest.Config, namespace: argparse.Namespace | None = None
) -> Settings:
    """The settings of a run: option, then the variable ASYNCDB, then the ini file.

    Raises an `AsyncDBError` for a value that is not known.
    """
    from pytest_asyncdb.settings import Settings

    options = vars(namespace or config.option)
    values = set_values(config, namespace)
    said = os.environ.get(ENVIRONMENT, "").split()
    if said and options.get("asyncdb") is None:
        values["targets"] = said
    return Settings.from_mapping(values, names=_names(options))
