"""Names of what a run makes, and the tag that says whose it is."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pytest_asyncdb.provisioning._process import Process

__all__ = [
    "LENGTH",
    "PATTERN",
    "PREFIX",
    "TEMPLATES",
    "OwnerTag",
    "database_name",
    "is_alive",
    "lock_key",
    "marks_name",
    "new_short",
    "short_of",
    "stored_name",
    "template_name",
]

PREFIX: Final = "asyncdb"
PATTERN: Final = rf"{PREFIX}\_%"
"""Databases of any run, for LIKE."""

TEMPLATES: Final = rf"{PREFIX}t\_%"
"""Templates that stay for later runs, for LIKE."""

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
LENGTH: Final = 8
"""Letters that all names of one run share."""
_DATABASE: Final = re.compile(rf"{PREFIX}_([a-z2-7]{{{LENGTH}}})_\w+")


@dataclass(frozen=True, slots=True)
class OwnerTag:
    """Who made a thing: a process, and where its pid means something."""

    pid: int
    started: str
    boot: str
    host: str
    namespace: str

    @classmethod
    def here(cls) -> OwnerTag:
        """The tag of this process."""
        pid = os.getpid()
        process = Process.of(pid)
        return cls(
            pid=pid,
            started=process.started if process else "",
            boot=_boot(),
            host=socket.gethostname(),
            namespace=_namespace(),
        )

    @classmethod
    def parse(cls, text: str) -> OwnerTag | None:
        """The tag in a text that `text` wrote; None for any other text."""
        with suppress(ValueError, TypeError):
            return cls(**json.loads(text))
        return None

    def text(self) -> str:
        """The tag in one line, for `parse`."""
        return json.dumps(asdict(self))


def is_alive(tag: OwnerTag) -> bool | None:
    """Whether the owner still runs; None where this machine cannot know.

    A pid says something only within its boot and its pid namespace.
    """
    if tag.boot == _boot():
        if tag.namespace != _namespace() or not tag.started:
            return None
        return Process(tag.pid, tag.started).alive
    return False if tag.host == socket.gethostname() else None


def new_short() -> str:
    """Eight random letters that all names of one run share."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(LENGTH))


def database_name(short: str, worker: str) -> str:
    """The database of one worker, such as `asyncdb_k3j9x2ab_gw0`."""
    return f"{PREFIX}_{short}_{re.sub(r'[^a-z0-9]', '', worker.lower())[:32]}"


def template_name(short: str) -> str:
    """The template of one run."""
    return f"{PREFIX}_{short}_template"


def stored_name(digest: str) -> str:
    """A template that stays for later runs, by what built it."""
    return f"{PREFIX}t_{digest}"


def marks_name(short: str) -> str:
    """The database with the marks of one run, where databases cannot carry any."""
    return f"{PREFIX}_{short}_marks"


def short_of(database: str) -> str | None:
    """The eight letters in the name of a database; None for a name not of ours."""
    match = _DATABASE.fullmatch(database)
    return match[1] if match else None


def lock_key(name: str) -> int:
    """The 64-bit advisory lock of a run, by its eight letters, or of a database."""
    digest = hashlib.sha256(f"pytest-asyncdb:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _namespace() -> str:
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""
