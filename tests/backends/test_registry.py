"""Which products there are."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from importlib.util import find_spec

import pytest

from pytest_asyncdb.backends import (
    ENTRY_POINTS,
    Capability,
    ServerBackend,
    _registry,
    backend_names,
    get_backend,
)
from pytest_asyncdb.backends._sqlite import SQLite
from pytest_asyncdb.errors import UnknownBackend


def test_the_built_in_products_are_there() -> None:
    """All four."""
    assert {"mariadb", "mysql", "postgresql", "sqlite"} <= set(backend_names())


def test_a_product_is_one_object() -> None:
    """Asked for twice, it is the same."""
    assert get_backend("sqlite") is get_backend("sqlite")


def test_an_unknown_product_lists_those_there_are() -> None:
    """The error says what could be asked for."""
    with pytest.raises(UnknownBackend, match="use one of: mariadb, mysql, postgresql"):
        get_backend("oracle")


def test_another_distribution_may_publish_a_product(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through the entry-point group."""
    entry = EntryPoint("other", "pytest_asyncdb.backends._sqlite:SQLite", ENTRY_POINTS)

    monkeypatch.setattr(_registry, "entry_points", lambda **_: [entry])
    found = get_backend.__wrapped__("other")

    assert isinstance(found, SQLite)
    assert "other" in backend_names()


@pytest.mark.parametrize(
    ("product", "drivers"),
    [
        ("postgresql", ["asyncpg", "psycopg"]),
        ("mariadb", ["asyncmy", "aiomysql"]),
        ("mysql", ["asyncmy", "aiomysql"]),
        ("sqlite", ["aiosqlite"]),
    ],
)
def test_each_driver_names_the_extra_with_it(product: str, drivers: list[str]) -> None:
    """The preferred one comes first."""
    backend = get_backend(product)

    assert drivers == [driver.name for driver in backend.drivers]
    assert all("pytest-asyncdb[" in driver.install for driver in backend.drivers)
    assert [find_spec(name) is not None for name in drivers] == [
        driver.installed for driver in backend.drivers
    ]


def test_capabilities_tell_the_products_apart() -> None:
    """Tests ask for them, never for a name."""
    assert isinstance(get_backend("postgresql"), ServerBackend)
    assert Capability.TEMPLATES in get_backend("postgresql").capabilities
    assert Capability.TEMPLATES not in get_backend("sqlite").capabilities
    assert Capability.IN_MEMORY in get_backend("sqlite").capabilities


def test_importing_all_backends_imports_nothing_heavy() -> None:
    """Neither SQLAlchemy nor a driver."""
    code = (
        "import sys; from pytest_asyncdb.backends import get_backend;"
        "[get_backend(n) for n in ('mariadb', 'postgresql', 'sqlite')];"
        "print([m for m in ('sqlalchemy','asyncpg','psycopg','aiosqlite','asyncmy')"
        " if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert "[]" == answer.stdout.strip()
