"""The command with which a kept database is looked at."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import URL

    from pytest_asyncdb.provisioning._place import Place

__all__ = ["client_command"]


def client_command(url: URL, place: Place, programs: Path | None) -> str:
    """A line for a shell that opens the database at `url`, without its password.

    That is read from a file beside the run's records, which only its owner may read.
    `programs` is where the server's own client may be.
    """
    match url.get_backend_name():
        case "sqlite":
            return shlex.join(["sqlite3", str(url.database)])
        case "postgresql":
            return _psql(url, place, _client(programs, "psql"))
        case _:
            return _mariadb(url, place, _client(programs, "mariadb", "mysql"))


def _client(programs: Path | None, *names: str) -> str:
    """The client on the PATH, else the one beside the server, else its name."""
    for name in names:
        if shutil.which(name):
            return name
    beside = [programs / name for name in names] if programs is not None else []
    return next((str(path) for path in beside if path.is_file()), names[0])


def _psql(url: URL, place: Place, client: str) -> str:
    host = url.host or url.query.get("host", "localhost")
    port = url.port or url.query.get("port", 5432)
    said = (str(host), str(port), str(url.database), str(url.username or ""))
    words = [client, "-h", said[0], "-p", said[1], "-U", said[3], said[2]]
    if url.password is None:
        return shlex.join(words)
    line = ":".join(_escaped(each) for each in (*said, str(url.password)))
    file = place.note_secret(f"pgpass.{place.worker}", f"{line}\n")
    return f"PGPASSFILE={shlex.quote(str(file))} {shlex.join(words)}"


def _escaped(field: str) -> str:
    """A field of a line of pgpass (The Password File, PostgreSQL manual)."""
    return field.replace("\\", "\\\\").replace(":", "\\:")


def _mariadb(url: URL, place: Place, client: str) -> str:
    words = [f"--user={url.username}"]
    if socket := url.query.get("unix_socket"):
        words.append(f"--socket={socket}")
    else:
        port = url.port or 3306
        words += [f"--host={url.host}", f"--port={port}", "--protocol=tcp"]
    if url.password is not None:
        quoted = str(url.password).replace("\\", "\\\\").replace('"', '\\"')
        text = f'[client]\npassword="{quoted}"\n'
        file = place.note_secret(f"my.{place.worker}.cnf", text)
        words.insert(0, f"--defaults-extra-file={file}")
    return shlex.join([client, *words, str(url.database)])
