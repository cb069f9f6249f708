"""One execution of the application's env.py, unmodified, against the test database."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import io
import logging.config
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import greenlet_spawn

from pytest_asyncdb.errors import (
    AsyncDBError,
    EnvironmentFailed,
    HistoryRefused,
    RevisionFailed,
)
from pytest_asyncdb.migrations._lent import lent
from pytest_asyncdb.migrations._redirect import current, redirected
from pytest_asyncdb.migrations._watch import PATIENCE, hung

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script import ScriptDirectory
    from sqlalchemy import URL, Connection

__all__ = ["Plan", "execute", "render_sql"]

Plan: TypeAlias = (
    "Callable[[MigrationContext, ScriptDirectory], Iterable[RevisionStep]]"
)
"""What to do once env.py has connected: steps, taken one at a time."""


@dataclass
class _Run:
    """What happened in one execution."""

    script: ScriptDirectory
    plan: Plan
    began: bool = False

    def steps(self, _: object, context: MigrationContext) -> Iterable[RevisionStep]:
        self.began = True
        return self.plan(context, self.script)


def execute(
    config: Config,
    plan: Plan,
    *,
    url: URL,
    each_alone: bool = True,
    destination: str = "heads",
) -> None:
    """Execute env.py; the steps of `plan` run on its own connection.

    With `each_alone` every step is committed by itself, whatever env.py asks for.
    Blocks; wants a thread without a running event loop. Raises `EnvironmentFailed`,
    `HistoryRefused`, `RevisionFailed`, and what `plan` raises.
    """
    from alembic.runtime.environment import EnvironmentContext

    from pytest_asyncdb.migrations._config import directory

    with redirected(url), _quiet():
        script = directory(config)
        run = _Run(script, plan)
        environment = EnvironmentContext(
            config, script, fn=run.steps, destination_rev=destination
        )
        if each_alone:
            _commit_each(environment)
        with _plain(), environment, _told(script):
            _run_env(config, script, url, lambda: run.began)
        if not run.began:
            raise EnvironmentFailed.idle(script.env_py_location)


class _Attributes(dict[str, Any]):
    """Of a Config: says when env.py insists on being given a connection."""

    def __missing__(self, key: str) -> Any:  # noqa: ANN401  (it never returns)
        raise _Wanted(key)


class _Wanted(KeyError):
    """An attribute that nobody has set."""


def _run_env(
    config: Config, script: ScriptDirectory, url: URL, began: Callable[[], bool]
) -> None:
    """Run env.py; one that wants `attributes["connection"]` gets one, and runs again.

    Most connect by themselves where there is none, which tests more of them. Where the
    URL is lent, so does one whose engine is sync: in a greenlet, as it is of an async
    driver's.
    """
    config.attributes = _Attributes(config.attributes)
    with lent(config, url) as is_lent:
        try:
            script.run_env()
        except _Wanted as error:
            if error.args != ("connection",):
                raise
            asyncio.run(_run_with_connection(config, script, url))
        except MissingGreenlet:
            if began() or not is_lent:
                raise
            asyncio.run(greenlet_spawn(script.run_env))


async def _run_with_connection(
    config: Config, script: ScriptDirectory, url: URL
) -> None:
    def run(connection: Connection) -> None:
        config.attributes["connection"] = connection
        try:
            script.run_env()
        finally:
            del config.attributes["connection"]

    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)


def render_sql(config: Config, *, url: URL, revisions: str = "heads") -> str:
    """The SQL that env.py renders in offline mode, from the base to `revisions`.

    Raises what `execute` raises.
    """
    from alembic.runtime.environment import EnvironmentContext

    from pytest_asyncdb.migrations._config import directory

    with redirected(url), _quiet():
        script = directory(config)
        buffer = io.StringIO()
        environment = EnvironmentContext(
            config,
            script,
            fn=lambda heads, _: script._upgrade_revs(revisions, heads),
            as_sql=True,
            destination_rev=revisions,
            output_buffer=buffer,
        )
        with _plain(), environment, _told(script):
            _run_env(config, script, url, lambda: buffer.tell() > 0)
    return buffer.getvalue()


def _commit_each(environment: Any) -> None:  # noqa: ANN401  (of Alembic)
    """Let each step commit by itself.

    A statement before configure(), such as SET search_path, has begun a transaction
    that Alembic would take for its caller's, and make one of the whole history. One
    that env.py has begun by name is left alone. Set on the instance: `alembic.context`
    is a proxy of it, which knows no subclasses.
    """
    original = environment.configure

    def configure(connection: Connection | None = None, **options: Any) -> None:  # noqa: ANN401
        if connection is not None and _has_begun_by_itself(connection):
            connection.commit()
        options["transaction_per_migration"] = True
        original(connection=connection, **options)

    environment.configure = configure


def _has_begun_by_itself(connection: Connection) -> bool:
    redirect = current()
    transaction = connection.get_transaction()
    if transaction is None or redirect is None:
        return False
    return transaction not in redirect.begun


# --------------------------------------------------------------------------- errors
@contextlib.contextmanager
def _plain() -> Iterator[None]:
    """Let an error of ours come without the frames of env.py and Alembic.

    Those of the migration are in its cause.
    """
    try:
        yield
    except AsyncDBError as error:
        raise error.with_traceback(None) from error.__cause__


@contextlib.contextmanager
def _told(script: ScriptDirectory) -> Iterator[None]:
    """Let what env.py raises say where it comes from."""
    from alembic.util import CommandError

    path = script.env_py_location
    try:
        yield
    except SystemExit as error:
        raise EnvironmentFailed.exited(path, error.code) from error
    except AsyncDBError:
        raise
    except BaseExceptionGroup as error:
        raise EnvironmentFailed.raised(path, error) from error
    except Exception as error:
        step = _step_of(error, script)
        if step is not None:
            raise failed(*step, error) from error
        is_ours = isinstance(error, SyntaxError) and error.filename == path
        if isinstance(error, CommandError | SyntaxError) and not is_ours:
            raise HistoryRefused.unreadable(_said(error)) from error
        raise EnvironmentFailed.raised(path, error) from error


def _said(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    return str(error)


def _step_of(error: BaseException, script: ScriptDirectory) -> tuple[str, str] | None:
    """The revision and the direction in which an error was raised."""
    places = {str(each) for each in script._version_locations}
    for frame, _ in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_name
        file = Path(frame.f_code.co_filename)
        inside = any(str(each) in places for each in file.parents)
        if inside and name in ("upgrade", "downgrade"):
            return str(frame.f_globals.get("revision", file.stem)), name
    return None


_EXTENSION: Final = ('extension "', "could not open extension control file")


def failed(revision: str, direction: str, error: BaseException) -> AsyncDBError:
    """What a migration raised, told by its revision; ours are left as they are."""
    if isinstance(error, AsyncDBError):
        return error
    waits = hung()
    if waits:
        return RevisionFailed.hung(revision, PATIENCE, waits)
    said = str(getattr(error, "orig", None) or error)
    if _EXTENSION[0] in said and ("is not available" in said or _EXTENSION[1] in said):
        name = said.partition(_EXTENSION[0])[2].partition('"')[0]
        return RevisionFailed.extension(revision, name)
    return RevisionFailed.raised(revision, direction, error)


# ------------------------------------------------------------------- the environment
@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep env.py from the suite's loggers, and from waiting for somebody to type."""
    with contextlib.ExitStack() as stack:
        for name in ("fileConfig", "dictConfig"):
            stack.enter_context(_within(logging.config, name, _nothing))
        stack.enter_context(_within(builtins, "input", _refuse_input))
        yield


@contextlib.contextmanager
def _within(owner: Any, name: str, ours: Callable[..., Any]) -> Iterator[None]:  # noqa: ANN401
    """While the block runs, a function of a module is ours in the run's context."""
    original = getattr(owner, name)

    def replaced(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return (original if current() is None else ours)(*args, **kwargs)

    setattr(owner, name, replaced)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _nothing(*_: object, **__: object) -> None:
    """The suite's loggers stay as they are."""


def _refuse_input(*_: object) -> str:
    frame = sys._getframe(2)
    raise EnvironmentFailed.asked(f"{frame.f_code.co_filename}, line {frame.f_lineno}")
