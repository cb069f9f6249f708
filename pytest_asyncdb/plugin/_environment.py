"""What goes through the environment: the run's URL, and the way to xdist's workers."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import URL

    from pytest_asyncdb.settings import Settings, Target

__all__ = [
    "Variables",
    "give_directories",
    "take_directories",
    "with_preferred_drivers",
    "withdraw_directories",
]

WORKER: Final = "PYTEST_XDIST_WORKER"
WORKERS: Final = "PYTEST_XDIST_WORKER_COUNT"
_HANDOVER: Final = "ASYNCDB_RUN_DIRECTORIES"
_ALIASES: Final = {"postgres": "postgresql"}


class Variables:
    """Environment variables that hold the run's URL for as long as it lasts."""

    def __init__(self, names: Iterable[str]) -> None:
        self._before: Mapping[str, str | None] = {
            name: os.environ.get(name) for name in names
        }

    def put(self, url: URL) -> None:
        """Let each variable hold `url`, with the driver that it named before."""
        for name, before in self._before.items():
            scheme = _scheme(before)
            same = _product(scheme) == url.get_backend_name()
            own = url.set(drivername=scheme) if same else url
            os.environ[name] = own.render_as_string(hide_password=False)

    def restore(self) -> None:
        """Let each variable hold what it held."""
        for name, before in self._before.items():
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before


def with_preferred_drivers(settings: Settings) -> Settings:
    """`settings`, each target through the async driver that the application names.

    The application's own URL, in one of the variables of `asyncdb_env`, names it; a
    target that names one itself keeps it.
    """
    schemes = [_scheme(os.environ.get(name)) for name in settings.env]
    targets = tuple(_preferred(target, schemes) for target in settings.targets)
    return dataclasses.replace(settings, targets=targets)


def _preferred(target: Target, schemes: Iterable[str]) -> Target:
    from pytest_asyncdb.backends import get_backend

    backend = get_backend(target.product)
    drivers = {driver.name for driver in backend.drivers}
    for scheme in schemes:
        driver = scheme.partition("+")[2].removesuffix("_async")
        same = _product(scheme) in backend.dialects
        if same and target.driver is None and driver in drivers:
            return target.with_driver(driver)
    return target


def _scheme(url: str | None) -> str:
    return url.partition("://")[0] if url and "://" in url else ""


def _product(scheme: str) -> str:
    name = scheme.partition("+")[0]
    return _ALIASES.get(name, name)


def give_directories(directories: Sequence[Path]) -> None:
    """Leave the run's directories for the workers that this process starts."""
    given = {
        "controller": os.getpid(),
        "directories": [str(each) for each in directories],
    }
    os.environ[_HANDOVER] = json.dumps(given)


def take_directories() -> list[Path] | None:
    """The directories that xdist's controller left for this worker; None otherwise.

    Only a child of the controller is its worker, and takes them once: a run of pytest
    inside of a test inherits the environment, and has a run of its own.
    """
    given = json.loads(os.environ.get(_HANDOVER, "null"))
    if given is None or given["controller"] != os.getppid():
        return None
    if WORKER not in os.environ:
        return None
    del os.environ[_HANDOVER]
    return [Path(each) for each in given["directories"]]


def withdraw_directories() -> None:
    """The controller's run is over."""
    os.environ.pop(_HANDOVER, None)
