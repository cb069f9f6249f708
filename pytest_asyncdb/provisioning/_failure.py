"""What a driver says when a connection fails, told without passwords."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus

from pytest_asyncdb.errors import AsyncDBError, ServerUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import URL

__all__ = ["Translated", "bare", "code_of", "said", "shown", "unreachable"]

_PASSWORD: Final = frozenset({"28P01", "28000", "1045", "1698"})
_DATABASE: Final = frozenset({"3D000", "1049"})
# psycopg has no code for a connection that was not made, only libpq's words.
_WORDS: Final = {
    "password": ("password authentication failed", "no password supplied"),
    "database": ("does not exist",),
    "host": ("could not translate host name", "failed to resolve host"),
}
_SHOWN: Final = frozenset({"host", "port"})


class Translated:
    """A block out of which comes `make(error)` instead of any foreign error.

    The original is the cause; without its frames when `stripped`.
    """

    def __init__(
        self, make: Callable[[Exception], AsyncDBError], *, stripped: bool = False
    ) -> None:
        self._make = make
        self._stripped = stripped

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Translate an error that is not ours; let interruptions pass."""
        if isinstance(error, Exception) and not isinstance(error, AsyncDBError):
            raise self._make(error) from (bare(error) if self._stripped else error)


def shown(url: URL) -> str:
    """A URL for a message: neither a password nor options that may hold one."""
    kept = {name: value for name, value in url.query.items() if name in _SHOWN}
    return url.set(query=kept).render_as_string(hide_password=True)


def said(error: BaseException, url: URL) -> str:
    """The first line of an error, with the password of `url` masked."""
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    for secret in _secrets(url):
        text = text.replace(secret, "***")
    return f"{type(error).__name__}: {text}"


def code_of(error: BaseException) -> str | None:
    """The SQLSTATE of a driver's error, also when SQLAlchemy has wrapped it.

    For MySQL and MariaDB the number of the error, which says more.
    """
    seen: BaseException | None = error
    while seen is not None:
        if _is_numbered(seen):
            return str(seen.args[0])
        if code := getattr(seen, "sqlstate", None):
            return str(code)
        seen = getattr(seen, "orig", None) or seen.__cause__
    return None


def unreachable(error: BaseException, url: URL) -> ServerUnreachable:
    """The error to raise when no connection to `url` could be made."""
    found = getattr(error, "orig", None) or error
    return _kind(found)(shown(url), said(found, url))


def bare(error: BaseException) -> BaseException:
    """`error` without its frames, whose arguments would show a password.

    pytest prints the arguments of the last frame of each error in a chain, and those of
    a driver's connect hold the password.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _kind(error: BaseException) -> Callable[[str, str], ServerUnreachable]:
    code, words = code_of(error), str(error)
    if code in _PASSWORD or _says(words, "password"):
        return ServerUnreachable.password
    if isinstance(error, socket.gaierror) or _says(words, "host"):
        return ServerUnreachable.host
    if code in _DATABASE or _says(words, "database"):
        return ServerUnreachable.database
    return ServerUnreachable.down


def _is_numbered(error: BaseException) -> bool:
    numbered = type(error).__module__.startswith(("pymysql.", "asyncmy."))
    return numbered and bool(error.args) and isinstance(error.args[0], int)


def _says(words: str, kind: str) -> bool:
    return any(part in words for part in _WORDS[kind])


def _secrets(url: URL) -> set[str]:
    queried = url.query.get("password", "")
    found = {str(url.password or ""), *([queried] if isinstance(queried, str) else ())}
    return {form for text in found if text for form in (text, quote_plus(text))}
