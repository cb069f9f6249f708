"""Decisions that a project can take itself: its fixture of that name overrides ours.

Each has an ini value of the same name, which ours reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_asyncdb.plugin._lifecycle import TARGET
from pytest_asyncdb.plugin._suite import suite_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Engine, MetaData

    from pytest_asyncdb.plugin._databases import WorkerDatabase
    from pytest_asyncdb.settings import Target
    from pytest_asyncdb.typing import SchemaFunction, Seed

__all__ = [
    "asyncdb_alembic_config",
    "asyncdb_capture",
    "asyncdb_engine_options",
    "asyncdb_metadata",
    "asyncdb_schema",
    "asyncdb_seed",
    "asyncdb_session_options",
    "asyncdb_target",
    "asyncdb_template_key",
]


@pytest.fixture(scope="session", name=TARGET)
def _target(request: pytest.FixtureRequest) -> WorkerDatabase:
    """The database that is in use: the run's only one, or one after the other."""
    __tracebackhide__ = True
    return suite_of(request.config).databases[getattr(request, "param", 0)]


@pytest.fixture(scope="session")
def asyncdb_target(_asyncdb_target: WorkerDatabase) -> Target:
    """Product, version and driver of the run's database; no server is started."""
    return _asyncdb_target.target.with_driver(_asyncdb_target.run.driver)


@pytest.fixture(scope="session")
def asyncdb_metadata(pytestconfig: pytest.Config) -> MetaData | None:
    """The MetaData of the models; override it, or set it in the ini file."""
    return _loaded(pytestconfig, "metadata")  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def asyncdb_alembic_config(pytestconfig: pytest.Config) -> Any:  # noqa: ANN401
    """The path of alembic.ini, or a Config of Alembic's own.

    With it the template is built by the project's migrations.
    """
    return suite_of(pytestconfig).settings.alembic_config


@pytest.fixture(scope="session")
def asyncdb_schema(
    pytestconfig: pytest.Config,
    asyncdb_metadata: MetaData | None,
    asyncdb_alembic_config: Any,  # noqa: ANN401  (a path, or a Config of Alembic's)
) -> SchemaFunction | None:
    """A coroutine function that builds the schema on an `AsyncConnection`.

    By default the head of the project's migrations, if `asyncdb_alembic_config` says
    where they are, else all tables of `asyncdb_metadata`.
    """
    __tracebackhide__ = True
    if suite_of(pytestconfig).settings.schema is not None:
        return _loaded(pytestconfig, "schema")  # type: ignore[no-any-return]
    if asyncdb_alembic_config is not None:
        from pytest_asyncdb.plugin._migrations_schema import UpgradeHead

        return UpgradeHead.of(asyncdb_alembic_config, pytestconfig.rootpath)
    if asyncdb_metadata is None:
        return None
    from pytest_asyncdb.plugin._schema import CreateAll, check_metadata

    return CreateAll(check_metadata("asyncdb_metadata", asyncdb_metadata))


@pytest.fixture(scope="session")
def asyncdb_seed(pytestconfig: pytest.Config) -> Seed | None:
    """A coroutine function that adds, with an `AsyncSession`, what every test finds."""
    return _loaded(pytestconfig, "seed")  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def asyncdb_template_key(pytestconfig: pytest.Config) -> str | None:
    """A text that changes whenever what the schema and the seed do changes."""
    return suite_of(pytestconfig).settings.template_key


@pytest.fixture(scope="session")
def asyncdb_engine_options(pytestconfig: pytest.Config) -> Mapping[str, Any]:
    """Arguments of `create_async_engine` for `db_engine`."""
    return suite_of(pytestconfig).settings.engine_options


@pytest.fixture(scope="session")
def asyncdb_session_options(pytestconfig: pytest.Config) -> Mapping[str, Any]:
    """Arguments of `async_sessionmaker` for `db_session` and `db_sessionmaker`."""
    return suite_of(pytestconfig).settings.session_options


@pytest.fixture(scope="session")
def asyncdb_capture(
    pytestconfig: pytest.Config,
) -> Callable[[Engine], bool | None] | None:
    """A function of an engine: True joins the test's transaction, False does not.

    None leaves it to the rule: engines of the run's product with one URL join.
    """
    return _loaded(pytestconfig, "capture")  # type: ignore[no-any-return]


def _loaded(config: pytest.Config, name: str) -> Any:  # noqa: ANN401
    __tracebackhide__ = True
    from pytest_asyncdb.plugin._loading import load

    path = getattr(suite_of(config).settings, name)
    return None if path is None else load(f"asyncdb_{name}", path)
