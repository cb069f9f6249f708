"""Isolated async SQLAlchemy sessions for pytest.

Every public name of the packages below can be imported from here; none is loaded before
it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pytest_asyncdb.backends import (
        Backend as Backend,
        Capability as Capability,
        Driver as Driver,
        ServerBackend as ServerBackend,
        backend_names as backend_names,
        get_backend as get_backend,
    )
    from pytest_asyncdb.errors import (
        AlembicConfigRefused as AlembicConfigRefused,
        AsyncDBError as AsyncDBError,
        AsyncDBWarning as AsyncDBWarning,
        CacheRefused as CacheRefused,
        ChecksFailed as ChecksFailed,
        CloneRefused as CloneRefused,
        DatabaseFailed as DatabaseFailed,
        DatabaseRefused as DatabaseRefused,
        DriverMissing as DriverMissing,
        EngineRefused as EngineRefused,
        EnvironmentFailed as EnvironmentFailed,
        FactoryRefused as FactoryRefused,
        FinishedTest as FinishedTest,
        HistoryRefused as HistoryRefused,
        IsolationError as IsolationError,
        IsolationWarning as IsolationWarning,
        LeftBehind as LeftBehind,
        Leftovers as Leftovers,
        LeftoverWarning as LeftoverWarning,
        LoopRefused as LoopRefused,
        MarkRefused as MarkRefused,
        MigrationError as MigrationError,
        NoRoom as NoRoom,
        NotPlanned as NotPlanned,
        PragmaIgnored as PragmaIgnored,
        ProvisioningError as ProvisioningError,
        RedirectRefused as RedirectRefused,
        RevisionFailed as RevisionFailed,
        RollbackRefused as RollbackRefused,
        RunEnded as RunEnded,
        SandboxBroken as SandboxBroken,
        ServerFailed as ServerFailed,
        ServerUnreachable as ServerUnreachable,
        SettingRefused as SettingRefused,
        SourceUnavailable as SourceUnavailable,
        StatementInFlight as StatementInFlight,
        TargetRefused as TargetRefused,
        TemplateBuildFailed as TemplateBuildFailed,
        TooManyWorkers as TooManyWorkers,
        TransactionControlRefused as TransactionControlRefused,
        UnknownBackend as UnknownBackend,
        UnrequestedConnection as UnrequestedConnection,
        UnrequestedWarning as UnrequestedWarning,
        ValuesExhausted as ValuesExhausted,
        ValueUnknown as ValueUnknown,
        VersionRefused as VersionRefused,
        WriteOutsideTest as WriteOutsideTest,
        WrongSource as WrongSource,
    )
    from pytest_asyncdb.factories import (
        AsyncModelFactory as AsyncModelFactory,
        Using as Using,
        register as register,
    )
    from pytest_asyncdb.isolation import (
        Changes as Changes,
        Finding as Finding,
        Isolation as Isolation,
        TableChanges as TableChanges,
    )
    from pytest_asyncdb.migrations import (
        Difference as Difference,
        Runner as Runner,
        Schema as Schema,
        snapshot as snapshot,
    )
    from pytest_asyncdb.plugin import (
        RunDatabase as RunDatabase,
    )
    from pytest_asyncdb.provisioning import (
        Database as Database,
        Run as Run,
        sweep as sweep,
    )
    from pytest_asyncdb.settings import (
        ServerOptions as ServerOptions,
        Settings as Settings,
        Target as Target,
        mask as mask,
        parse_target as parse_target,
    )
    from pytest_asyncdb.typing import (
        SchemaBuilder as SchemaBuilder,
        SchemaFunction as SchemaFunction,
        Seed as Seed,
    )

__version__ = "0.1.0"

_PLACES: Final = {
    "backends": (
        "Backend",
        "Capability",
        "Changes",
        "Driver",
        "ServerBackend",
        "backend_names",
        "get_backend",
    ),
    "errors": (
        "AlembicConfigRefused",
        "AsyncDBError",
        "AsyncDBWarning",
        "CacheRefused",
        "ChecksFailed",
        "CloneRefused",
        "DatabaseFailed",
        "DatabaseRefused",
        "DriverMissing",
        "EngineRefused",
        "EnvironmentFailed",
        "FactoryRefused",
        "FinishedTest",
        "HistoryRefused",
        "IsolationError",
        "IsolationWarning",
        "LeftBehind",
        "LeftoverWarning",
        "Leftovers",
        "LoopRefused",
        "MarkRefused",
        "MigrationError",
        "NoRoom",
        "NotPlanned",
        "PragmaIgnored",
        "ProvisioningError",
        "RedirectRefused",
        "RevisionFailed",
        "RollbackRefused",
        "RunEnded",
        "SandboxBroken",
        "ServerFailed",
        "ServerUnreachable",
        "SettingRefused",
        "SourceUnavailable",
        "StatementInFlight",
        "TargetRefused",
        "TemplateBuildFailed",
        "TooManyWorkers",
        "TransactionControlRefused",
        "UnknownBackend",
        "UnrequestedConnection",
        "UnrequestedWarning",
        "ValueUnknown",
        "ValuesExhausted",
        "VersionRefused",
        "WriteOutsideTest",
        "WrongSource",
    ),
    "factories": (
        "AsyncModelFactory",
        "Using",
        "register",
    ),
    "isolation": (
        "Changes",
        "Finding",
        "Isolation",
        "TableChanges",
    ),
    "migrations": (
        "Difference",
        "Runner",
        "Schema",
        "snapshot",
    ),
    "plugin": ("RunDatabase",),
    "provisioning": (
        "Database",
        "Run",
        "sweep",
    ),
    "settings": (
        "ServerOptions",
        "Settings",
        "Target",
        "mask",
        "parse_target",
    ),
    "typing": (
        "SchemaBuilder",
        "SchemaFunction",
        "Seed",
    ),
}
_HOME: Final = {name: place for place, names in _PLACES.items() for name in names}

__all__ = [
    "AlembicConfigRefused",
    "AsyncDBError",
    "AsyncDBWarning",
    "AsyncModelFactory",
    "Backend",
    "CacheRefused",
    "Capability",
    "ChecksFailed",
    "CloneRefused",
    "Database",
    "DatabaseFailed",
    "DatabaseRefused",
    "Difference",
    "Driver",
    "DriverMissing",
    "EngineRefused",
    "EnvironmentFailed",
    "FactoryRefused",
    "Finding",
    "FinishedTest",
    "HistoryRefused",
    "Isolation",
    "IsolationError",
    "IsolationWarning",
    "LeftBehind",
    "LeftoverWarning",
    "Leftovers",
    "LoopRefused",
    "MarkRefused",
    "MigrationError",
    "NoRoom",
    "NotPlanned",
    "PragmaIgnored",
    "ProvisioningError",
    "RedirectRefused",
    "RevisionFailed",
    "RollbackRefused",
    "Run",
    "RunDatabase",
    "RunEnded",
    "Runner",
    "SandboxBroken",
    "Schema",
    "SchemaBuilder",
    "SchemaFunction",
    "Seed",
    "ServerBackend",
    "ServerFailed",
    "ServerOptions",
    "ServerUnreachable",
    "SettingRefused",
    "Settings",
    "SourceUnavailable",
    "StatementInFlight",
    "TableChanges",
    "Target",
    "TargetRefused",
    "TemplateBuildFailed",
    "TooManyWorkers",
    "TransactionControlRefused",
    "UnknownBackend",
    "UnrequestedConnection",
    "UnrequestedWarning",
    "Using",
    "ValueUnknown",
    "ValuesExhausted",
    "VersionRefused",
    "WriteOutsideTest",
    "WrongSource",
    "__version__",
    "backend_names",
    "get_backend",
    "mask",
    "parse_target",
    "register",
    "snapshot",
    "sweep",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  (whatever the name stands for)
    """Load a public name from the package that defines it (PEP 562)."""
    if name not in _HOME:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
