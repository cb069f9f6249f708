"""factory_boy on an `AsyncSession`: declarations unmodified, objects awaited.

Names are loaded when they are asked for, so that the plugin can say which test runs
without importing factory_boy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.factories._installed import needing_factory_boy

if TYPE_CHECKING:
    from pytest_asyncdb.factories._factory import (
        AsyncModelFactory as AsyncModelFactory,
        Using as Using,
    )
    from pytest_asyncdb.factories._lint import (
        Problem as Problem,
        lint as lint,
    )
    from pytest_asyncdb.factories._registration import (
        register as register,
    )

_PLACES: Final = {
    "AsyncModelFactory": "_factory",
    "Problem": "_lint",
    "Using": "_factory",
    "lint": "_lint",
    "register": "_registration",
}

__all__ = ["AsyncModelFactory", "Problem", "Using", "lint", "register"]


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it (PEP 562).

    Raises `FactoryRefused` where factory_boy is not installed.
    """
    if name not in _PLACES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    with needing_factory_boy(name):
        module = import_module(f"{__name__}.{_PLACES[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
