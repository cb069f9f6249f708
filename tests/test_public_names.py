"""The public names: each defined in one place, and loaded only when asked for."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections import Counter
from typing import Final

import pytest

import pytest_asyncdb
from pytest_asyncdb import errors

PACKAGES: Final = (
    "backends",
    "concurrency",
    "errors",
    "factories",
    "isolation",
    "migrations",
    "plugin",
    "provisioning",
    "settings",
    "statements",
    "strategies",
    "typing",
    "values",
)


@pytest.mark.parametrize("name", pytest_asyncdb.__all__)
def test_a_public_name_is_exported_in_one_package(name: str) -> None:
    """The top exports it for that package, and no second one does."""
    if name == "__version__":
        return
    modules = [importlib.import_module(f"pytest_asyncdb.{each}") for each in PACKAGES]

    homes = [each for each in modules if name in each.__all__]
    assert 1 == len(homes)
    assert getattr(homes[0], name) is getattr(pytest_asyncdb, name)


def test_every_error_and_warning_is_public() -> None:
    """Whatever a user may want to catch or to filter."""
    defined = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    }

    assert defined == set(errors.__all__)
    assert defined <= set(pytest_asyncdb.__all__)
    assert Counter(pytest_asyncdb.__all__).most_common(1)[0][1] == 1


def test_importing_the_package_imports_nothing_else() -> None:
    """Names are looked up when they are asked for (PEP 562)."""
    program = """
import sys, pytest_asyncdb
assert not [name for name in sys.modules if name.startswith(("pytest_asyncdb.", "sql"))]
assert "Run" in dir(pytest_asyncdb)
from pytest_asyncdb import Run
try:
    pytest_asyncdb.Nothing
except AttributeError as error:
    assert "has no attribute 'Nothing'" in str(error)
else:
    raise AssertionError
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert "" == done.stderr
    assert 0 == done.returncode
