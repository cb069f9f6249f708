"""Checks of the project's migrations, as tests that a project may import.

    from pytest_asyncdb.migrations.checks import *

`--asyncdb-migrations` collects the same ones. They walk through the history once in a
process, whichever of them comes first, and report what was found.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final
from unittest import SkipTest

from pytest_asyncdb.errors import ChecksFailed, MigrationLockWarning

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from pytest_asyncdb.migrations._runner import Runner

__all__ = [
    "test_downgrade_to_base_leaves_nothing",
    "test_env_py_knows_all_models",
    "test_history_has_the_declared_heads",
    "test_history_is_well_formed",
    "test_models_equal_migrations",
    "test_offline_sql_gives_the_same_schema",
    "test_revision_does_not_lock_for_long",
    "test_revision_goes_up_down_and_up",
    "test_rows_survive_the_revision",
    "test_upgrade_from_empty_to_head",
]

_NO_MODELS: Final = (
    "no models are named: set asyncdb_metadata, as a fixture in conftest.py or in the"
    " ini file (asyncdb_metadata = app.models:Base.metadata)"
)


def _fail(what: str, findings: list[str]) -> None:
    __tracebackhide__ = True
    if findings:
        raise ChecksFailed.of(what, findings)


def test_history_has_the_declared_heads(db_migrations: Runner) -> None:
    """One head, or those of asyncdb_migration_heads."""
    __tracebackhide__ = True
    _fail("the history has other heads", db_migrations.wrong_heads())


def test_history_is_well_formed(db_migrations: Runner) -> None:
    """No duplicate or empty revision; env.py shows those that the files are."""
    __tracebackhide__ = True
    found = [
        *db_migrations.history.problems,
        *db_migrations.hidden_revisions(),
        *db_migrations.unmet_data(),
    ]
    _fail("the revision files do not make a sound history", found)


def test_upgrade_from_empty_to_head(db_migrations: Runner) -> None:
    """All revisions run on an empty database."""
    __tracebackhide__ = True
    report = db_migrations.report()
    stopped = [report.stopped] if report.head is None and report.stopped else []
    _fail("head cannot be reached from an empty database", stopped)


def test_revision_goes_up_down_and_up(
    db_migrations: Runner, asyncdb_revision: str | None
) -> None:
    """Down is before again, and up is after again, by the server's own catalog."""
    __tracebackhide__ = True
    results = db_migrations.results(asyncdb_revision)
    failures = [text for each in results for text in each.failures]
    _fail("up, down and up again is not what it should be", failures)
    missed = [each.revision.id for each in results if each.up is None]
    if missed:
        reason = db_migrations.report().stopped or "the walk has ended before"
        message = f"not reached: {reason}"
        raise SkipTest(message)
    reasons = [each.irreversible for each in results if each.irreversible]
    if reasons and asyncdb_revision is not None:
        message = f"irreversible: {reasons[0]}"
        raise SkipTest(message)


def test_rows_survive_the_revision(
    db_migrations: Runner, asyncdb_revision: str | None
) -> None:
    """On filled tables it succeeds, and no row or value is lost."""
    __tracebackhide__ = True
    found = db_migrations.survival(asyncdb_revision)
    if found is None:
        reason = db_migrations.report().stopped or "the walk has ended before"
        message = f"not reached: {reason}"
        raise SkipTest(message)
    _fail("rows do not survive", [each.text for each in found if each.fails])


def test_revision_does_not_lock_for_long(
    db_migrations: Runner, asyncdb_revision: str | None
) -> None:
    """What it would do to a live PostgreSQL, as asyncdb_migration_locks says."""
    __tracebackhide__ = True
    mode = db_migrations.locks
    if mode == "off":
        message = "asyncdb_migration_locks = off"
        raise SkipTest(message)
    names = [asyncdb_revision] if asyncdb_revision else db_migrations.revisions
    seen = [(name, db_migrations.locks_of(name)) for name in names]
    if all(locks is None for _, locks in seen):
        message = "locks are observed on PostgreSQL, at revisions that are reached"
        raise SkipTest(message)
    found = [
        f"upgrade() of {name} {danger}"
        for name, locks in seen
        for danger in (locks.dangers if locks is not None else ())
    ]
    if mode == "fail":
        _fail("a live database would wait, or running code fail", found)
    for each in found:
        warnings.warn(MigrationLockWarning(each), stacklevel=2)


def test_downgrade_to_base_leaves_nothing(db_migrations: Runner) -> None:
    """Nothing is left in the database, and nothing new on the server."""
    __tracebackhide__ = True
    report = db_migrations.report()
    _fail(
        "something is left at base", [each.text for each in report.base if each.fails]
    )
    if report.cluster:
        left = ", ".join(report.cluster)
        _fail("migrations leave behind, outside of the database", [left])
    reason = report.base_skipped or (None if report.head else report.stopped)
    if reason is not None:
        raise SkipTest(reason)


def test_models_equal_migrations(
    db_migrations: Runner, asyncdb_metadata: MetaData | None
) -> None:
    """The schema at head is the one that the models' create_all() makes."""
    __tracebackhide__ = True
    if asyncdb_metadata is None:
        raise SkipTest(_NO_MODELS)
    _fail(
        "the models are not what the migrations make",
        db_migrations.compare_models(asyncdb_metadata),
    )


def test_offline_sql_gives_the_same_schema(db_migrations: Runner) -> None:
    """`alembic upgrade --sql`, run by another client, leads to the same schema."""
    __tracebackhide__ = True
    _fail("offline SQL is not what the migrations do", db_migrations.compare_offline())


def test_env_py_knows_all_models(
    db_migrations: Runner, asyncdb_metadata: MetaData | None
) -> None:
    """A module of models that env.py does not import is missing in autogenerate."""
    __tracebackhide__ = True
    if asyncdb_metadata is None:
        raise SkipTest(_NO_MODELS)
    unknown = db_migrations.unknown_tables(asyncdb_metadata)
    _fail("env.py does not know all models", unknown)
