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
        BudgetExceeded as BudgetExceeded,
        CacheRefused as CacheRefused,
        DatabaseFailed as DatabaseFailed,
        DatabaseRefused as DatabaseRefused,
        DriverMissing as DriverMissing,
        EngineRefused as EngineRefused,
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
        NPlusOneFound as NPlusOneFound,
        NPlusOneWarning as NPlusOneWarning,
        PlanUnexpected as PlanUnexpected,
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
        StatementsRefused as StatementsRefused,
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
    from pytest_asyncdb.statements import (
        Expectation as Expectation,
        Line as Line,
        Loop as Loop,
        Plan as Plan,
        Plans as Plans,
        Recorder as Recorder,
        Statement as Statement,
        answer as answer,
        record as record,
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
        "BudgetExceeded",
        "CacheRefused",
        "DatabaseFailed",
        "DatabaseRefused",
        "DriverMissing",
        "EngineRefused",
        "FactoryRefused",
        "FinishedTest",
        "IsolationError",
        "IsolationWarning",
        "LeftBehind",
        "LeftoverWarning",
        "Leftovers",
        "LoopRefused",
        "MarkRefused",
        "NPlusOneFound",
        "NPlusOneWarning",
        "NoRoom",
        "NotPlanned",
        "PlanUnexpected",
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
        "StatementsRefused",
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
    "statements": (
        "Expectation",
        "Line",
        "Loop",
        "Plan",
        "Plans",
        "Recorder",
        "Statement",
        "answer",
        "record",
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
    "BudgetExceeded",
    "CacheRefused",
    "Capability",
    "Database",
    "DatabaseFailed",
    "DatabaseRefused",
    "Driver",
    "DriverMissing",
    "EngineRefused",
    "Expectation",
    "FactoryRefused",
    "Finding",
    "FinishedTest",
    "Isolation",
    "IsolationError",
    "IsolationWarning",
    "LeftBehind",
    "LeftoverWarning",
    "Leftovers",
    "Line",
    "Loop",
    "LoopRefused",
    "MarkRefused",
    "NPlusOneFound",
    "NPlusOneWarning",
    "NoRoom",
    "NotPlanned",
    "Plan",
    "PlanUnexpected",
    "Plans",
    "PragmaIgnored",
    "ProvisioningError",
    "Recorder",
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
    "Statement",
    "StatementInFlight",
    "StatementsRefused",
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
    "answer",
    "backend_names",
    "get_backend",
    "mask",
    "parse_target",
    "record",
    "register",
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
