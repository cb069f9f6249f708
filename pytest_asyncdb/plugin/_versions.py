"""The oldest pytest and SQLAlchemy that the plugin works with."""

from __future__ import annotations

from typing import Final

import pytest

__all__ = ["check_pytest", "check_sqlalchemy"]

_PYTEST: Final = 8
_SQLALCHEMY: Final = "2.0"


def check_pytest() -> None:
    """Raise `pytest.UsageError` under a pytest that lacks what the plugin needs."""
    if int(pytest.version_tuple[0]) < _PYTEST:
        from pytest_asyncdb.errors import VersionRefused

        refused = VersionRefused.of("pytest", pytest.__version__, f"{_PYTEST}.0")
        raise pytest.UsageError(str(refused))


def check_sqlalchemy() -> None:
    """Raise `VersionRefused` under an SQLAlchemy without its present async engine."""
    from sqlalchemy import __version__

    if not __version__.startswith(_SQLALCHEMY[:2]):
        from pytest_asyncdb.errors import VersionRefused

        raise VersionRefused.of("sqlalchemy", __version__, _SQLALCHEMY)
