"""Servers that cannot be reached, and passwords that are never shown."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import URL, make_url

from pytest_asyncdb.errors import AsyncDBError, DatabaseFailed, ServerUnreachable
from pytest_asyncdb.provisioning._failure import said, shown

if TYPE_CHECKING:
    from pytest_asyncdb.provisioning import Run
    from tests.provisioning.conftest import Build, MakeRun, Rows


SECRET = "s3cr3t/@pw"
DRIVERS = pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])


def failure(run: Run, build: Build) -> AsyncDBError:
    """What asking for a database raises."""
    with pytest.raises(AsyncDBError) as caught:
        run.database(build)
    return caught.value


def everything_shown(error: BaseException, run: Run) -> str:
    """All that a report could print: the chain with its frames' variables."""
    chain = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(chain.format()) + repr(run) + repr(run.url)


def foreign_frames(error: BaseException) -> list[str]:
    """Arguments of frames outside of this package, in the whole chain."""
    frames, seen = [], error.__cause__
    while seen is not None:
        frames += [
            repr(frame.f_locals) for frame, _ in traceback.walk_tb(seen.__traceback__)
        ]
        seen = seen.__cause__ or seen.__context__
    return frames


def given(url: URL, driver: str) -> str:
    """The URL as a user would write it."""
    named = url.set(drivername=f"postgresql+{driver}")
    return named.render_as_string(hide_password=False)


@DRIVERS
def test_a_password_serves(
    make_run: MakeRun, build: Build, rows: Rows, tcp_server: URL, driver: str
) -> None:
    """The database of our own is reached with the given one."""
    database = make_run(given(tcp_server, driver)).database(build)

    assert [(1, "seed")] == rows(database.url, "SELECT * FROM note")
    assert SECRET not in repr(database)


@DRIVERS
def test_a_wrong_password_is_said_and_not_shown(
    make_run: MakeRun, build: Build, tcp_server: URL, driver: str
) -> None:
    """Neither it nor the frames of the driver, which hold it."""
    run = make_run(given(tcp_server.set(password="wr0ng/@pw"), driver))
    error = failure(run, build)

    assert isinstance(error, ServerUnreachable)
    assert "refuses the user name or the password" in str(error)
    assert "wr0ng" not in everything_shown(error, run)
    assert [] == foreign_frames(error)


@DRIVERS
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"host": "no-such-host.invalid"}, "the host of"),
        ({"port": 1}, "cannot be reached"),
        ({"database": "no_such_database"}, "that database does not exist"),
    ],
)
def test_what_is_wrong_with_a_url_is_said(
    *,
    make_run: MakeRun,
    build: Build,
    tcp_server: URL,
    driver: str,
    change: dict[str, Any],
    words: str,
) -> None:
    """Server down, unknown host and unknown database have texts of their own."""
    run = make_run(given(tcp_server.set(**change), driver))
    error = failure(run, build)

    assert words in str(error)
    assert error.remedies
    assert SECRET not in everything_shown(error, run)
    assert [] == foreign_frames(error)


def test_a_refused_statement_does_not_show_the_password(
    make_run: MakeRun, build: Build, tcp_server: URL
) -> None:
    """SQLAlchemy's own text is not passed on."""
    run = make_run(given(tcp_server, "asyncpg"))
    run.database(build)
    administration = run._source._administration()  # type: ignore[attr-defined]

    with pytest.raises(DatabaseFailed, match="nonsense failed") as caught:
        administration.execute("nonsense", "NONSENSE")
    assert SECRET not in everything_shown(caught.value, run)


def test_a_url_is_shown_without_password_and_options() -> None:
    """Options may hold a password too."""
    url = make_url("postgresql+asyncpg://u:hidden@/d?host=/tmp&password=hidden2")

    assert "hidden" not in shown(url)
    assert "host=" in shown(url)


@pytest.mark.parametrize("form", ["s3cr3t/@pw", "s3cr3t%2F%40pw"])
def test_the_words_of_a_driver_are_masked(form: str) -> None:
    """In plain and in URL form."""
    url = URL.create("postgresql+asyncpg", "u", SECRET)

    assert "OSError: no *** here" == said(OSError(f"no {form} here"), url)
