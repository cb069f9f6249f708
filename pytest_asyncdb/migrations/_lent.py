"""An address for an env.py whose configuration has none.

Where a deployment says it, by `attributes["connection"]` or by a URL that it sets, the
file has no `sqlalchemy.url`, or still the one of Alembic's template.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config
    from sqlalchemy import URL

__all__ = ["lent"]

_OPTION: Final = "sqlalchemy.url"
_TEMPLATE: Final = "driver://"


@contextlib.contextmanager
def lent(config: Config, url: URL) -> Iterator[bool]:
    """While the block runs, the configuration has a URL; True where it is ours."""
    section = config.config_ini_section
    said = config.file_config.get(section, _OPTION, raw=True, fallback=None)
    if said and not said.startswith(_TEMPLATE):
        yield False
        return
    ours = _async(url).render_as_string(hide_password=False)
    config.set_main_option(_OPTION, ours.replace("%", "%%"))
    try:
        yield True
    finally:
        if said is None:
            config.remove_main_option(_OPTION)
        else:
            config.set_main_option(_OPTION, said)


def _async(url: URL) -> URL:
    """By the name that psycopg has for async engines alone; AsyncEngine wants it."""
    both = url.drivername == "postgresql+psycopg"
    return url.set(drivername="postgresql+psycopg_async") if both else url
