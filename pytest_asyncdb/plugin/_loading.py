"""Objects that an ini value names by their path, `module:attribute`."""

from __future__ import annotations

import importlib
import operator
from typing import Any

from pytest_asyncdb.errors import SettingRefused

__all__ = ["load"]


def load(name: str, path: str) -> Any:  # noqa: ANN401  (whatever is there)
    """The object at `path`, for the setting `name`.

    Raises `SettingRefused` where the path is not one, or leads nowhere. An error inside
    the module that is imported is its own and comes out as it is.
    """
    module, colon, attribute = path.partition(":")
    if not (colon and module and attribute):
        raise SettingRefused.path(name, path, "that is not module:attribute")
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise
        raise SettingRefused.path(name, path, str(error)) from error
    try:
        return operator.attrgetter(attribute)(loaded)
    except AttributeError as error:
        raise SettingRefused.path(name, path, str(error)) from error
