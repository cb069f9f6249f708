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
        AsyncDBError as AsyncDBError,
        AsyncDBWarning as AsyncDBWarning,
        CacheRefused as CacheRefused,
        DatabaseFailed as DatabaseFailed,
        DatabaseRefused as DatabaseRefused,
        DriverMissing as DriverMissing,
        EngineRefused as EngineRefused,
        ExamplesRefused as ExamplesRefused,
        FactoryRefused as FactoryRefused,
        FinishedTest as FinishedTest,
        IsolationError as IsolationError,
        IsolationWarning as IsolationWarning,
        LeftBehind as LeftBehind,
        Leftovers as Leftovers,
        LeftoverWarning as LeftoverWarning,
        LoopRefused as LoopRefused,
        MarkRefused as MarkRefused,
        NoRoom as NoRoom,
        NotPlanned as NotPlanned,
        PragmaIgnored as PragmaIgnored,
        ProvisioningError as ProvisioningError,
        RollbackRefused as RollbackRefused,
        RunEnded as RunEnded,
        SandboxBroken as SandboxBroken,
        ServerFailed as ServerFailed,
        ServerUnreachable as ServerUnreachable,
        SettingRefused as SettingRefused,
        SourceUnavailable as SourceUnavailable,
        StatementInFlight as StatementInFlight,
        StrategyRefused as StrategyRefused,
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
        Finding as Finding,
        Isolation as Isolation,
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
    from pytest_asyncdb.strategies import (
        db_persist as db_persist,
        from_column as from_column,
        from_model as from_model,
        register_type as register_type,
    )
    from pytest_asyncdb.typing import (
        Schema as Schema,
        SchemaBuilder as SchemaBuilder,
        Seed as Seed,
    )

__version__ = "0.1.0"

_PLACES: Final = {
    "backends": (
        "Backend",
        "Capability",
        "Driver",
        "ServerBackend",
        "backend_names",
        "get_backend",
    ),
    "errors": (
        "AsyncDBError",
        "AsyncDBWarning",
        "CacheRefused",
        "DatabaseFailed",
        "DatabaseRefused",
        "DriverMissing",
        "EngineRefused",
        "ExamplesRefused",
        "FactoryRefused",
        "FinishedTest",
        "IsolationError",
        "IsolationWarning",
        "LeftBehind",
        "LeftoverWarning",
        "Leftovers",
        "LoopRefused",
        "MarkRefused",
        "NoRoom",
        "NotPlanned",
        "PragmaIgnored",
        "ProvisioningError",
        "RollbackRefused",
        "RunEnded",
        "SandboxBroken",
        "ServerFailed",
        "ServerUnreachable",
        "SettingRefused",
        "SourceUnavailable",
        "StatementInFlight",
        "StrategyRefused",
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
        "Finding",
        "Isolation",
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
    "strategies": (
        "db_persist",
        "from_column",
        "from_model",
        "register_type",
    ),
    "typing": (
        "Schema",
        "SchemaBuilder",
        "Seed",
    ),
}
_HOME: Final = {name: place for place, names in _PLACES.items() for name in names}

__all__ = [
    "AsyncDBError",
    "AsyncDBWarning",
    "AsyncModelFactory",
    "Backend",
    "CacheRefused",
    "Capability",
    "Database",
    "DatabaseFailed",
    "DatabaseRefused",
    "Driver",
    "DriverMissing",
    "EngineRefused",
    "ExamplesRefused",
    "FactoryRefused",
    "Finding",
    "FinishedTest",
    "Isolation",
    "IsolationError",
    "IsolationWarning",
    "LeftBehind",
    "LeftoverWarning",
    "Leftovers",
    "LoopRefused",
    "MarkRefused",
    "NoRoom",
    "NotPlanned",
    "PragmaIgnored",
    "ProvisioningError",
    "RollbackRefused",
    "Run",
    "RunDatabase",
    "RunEnded",
    "SandboxBroken",
    "Schema",
    "SchemaBuilder",
    "Seed",
    "ServerBackend",
    "ServerFailed",
    "ServerOptions",
    "ServerUnreachable",
    "SettingRefused",
    "Settings",
    "SourceUnavailable",
    "StatementInFlight",
    "StrategyRefused",
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
    "db_persist",
    "from_column",
    "from_model",
    "get_backend",
    "mask",
    "parse_target",
    "register",
    "register_type",
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
