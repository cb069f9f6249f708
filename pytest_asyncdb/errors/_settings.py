"""Errors in what a project says: settings, marks, versions, loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.errors._base import REAL_COMMITS, AsyncDBError, meant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

__all__ = [
    "LoopRefused",
    "MarkRefused",
    "NotPlanned",
    "SettingRefused",
    "TargetRefused",
    "VersionRefused",
]


class TargetRefused(AsyncDBError):
    """The word or URL that names the database cannot be used. It shows no password."""

    @classmethod
    def unreadable(cls, word: str) -> Self:
        """`word` is neither a product nor a URL."""
        return cls(
            f"{word!r} names no database",
            remedies=[
                (
                    "write product, and driver, version, source if they matter: "
                    "postgresql:18, postgresql+psycopg:16@embedded, sqlite@file"
                ),
                "or a URL: postgresql+asyncpg://user:password@host/database",
            ],
        )

    @classmethod
    def version(cls, word: str, product: str, version: str) -> Self:
        """`version` is no version that can be asked for."""
        if product == "sqlite":
            return cls(
                f"{word!r}: SQLite has the version that Python was built with",
                remedies=["leave the version out: sqlite, sqlite@file"],
            )
        return cls(
            f"{word!r}: {version!r} is no version of {product}",
            remedies=[f"give the number: {product}:18"],
        )

    @classmethod
    def driver(cls, word: str, driver: str, product: str, known: Sequence[str]) -> Self:
        """`driver` is no async driver of the product."""
        return cls(
            f"{word!r}: {driver!r} is no async driver of {product}",
            remedies=[f"use one of: {', '.join(known)}"],
        )

    @classmethod
    def sync_url(cls, url: str, known: Sequence[str]) -> Self:
        """`url` names no driver, so that SQLAlchemy would take a synchronous one."""
        return cls(
            f"{url} names no async driver",
            remedies=[f"write {each}" for each in known],
        )


class SettingRefused(AsyncDBError):
    """An option, an ini value or an override fixture holds what it cannot mean."""

    @classmethod
    def choice(cls, name: str, value: object, known: Sequence[str]) -> Self:
        """`value` is none of the words that `name` knows."""
        return cls(
            f"{name} is {value!r}",
            remedies=[*meant(value, known), f"use one of: {', '.join(known)}"],
        )

    @classmethod
    def unknown(cls, names: Sequence[str], known: Sequence[str]) -> Self:
        """There are no settings of these names."""
        return cls(
            f"there is no setting {', '.join(names)}",
            remedies=[f"use one of: {', '.join(known)}"],
        )

    @classmethod
    def line(cls, name: str, line: str) -> Self:
        """A line of an ini value does not read `option = value`."""
        return cls(
            f"{name}: {line!r} does not read 'option = value'",
            remedies=["write one option a line, such as: echo = true"],
        )

    @classmethod
    def number(cls, name: str, value: object, *, least: int | None = None) -> Self:
        """`name` takes a whole number, not below `least`."""
        limit = f" from {least} on" if least is not None else ""
        return cls(
            f"{name} is {value!r}, which is no whole number{limit}",
            remedies=[f"write a number: {name}=1234"],
        )

    @classmethod
    def folder(cls, name: str, file: str) -> Self:
        """A file cannot be written where `name` wants it."""
        return cls(
            f"{name} is {file!r}, in a folder that there is not",
            remedies=["make the folder, or name a file in another one"],
        )

    @classmethod
    def image(cls, line: str) -> Self:
        """A line of asyncdb_container_image names no image."""
        return cls(
            f"asyncdb_container_image has a line that names no image: {line!r}",
            remedies=[
                "write one image: postgis/postgis:17-3.5",
                "or a line for each product: postgresql = postgis/postgis:17-3.5",
            ],
        )

    @classmethod
    def path(cls, name: str, path: str, reason: str) -> Self:
        """The object that `name` names by its path cannot be had."""
        return cls(
            f"{name} = {path}: {reason}",
            tried=[f"importing {path.partition(':')[0]} with pytest's sys.path"],
            remedies=[
                "write module:attribute, such as app.models:Base.metadata",
                "let pytest find the module: pythonpath = . in the ini file",
                f"or write a session-scoped fixture {name} in conftest.py",
            ],
        )

    @classmethod
    def kind(cls, name: str, value: object, expected: str, *, hint: str = "") -> Self:
        """The value of the fixture or path `name` is of the wrong kind."""
        return cls(
            f"{name} is of type {type(value).__name__}, and {expected} was expected",
            remedies=[hint or f"let {name} be {expected}"],
        )

    @classmethod
    def no_tables(cls, name: str) -> Self:
        """The metadata knows no table."""
        return cls(
            f"the MetaData of {name} has no tables",
            remedies=[
                (
                    "import the modules that define the models before it is used, such "
                    "as by naming it through them: app.models:Base.metadata"
                ),
                "check that the models derive from that Base",
            ],
        )

    @classmethod
    def second(cls, name: str, test: str) -> Self:
        """Another value of an override fixture was already used in this run."""
        return cls(
            f"{test} sees another {name} than the one that the database was built from",
            remedies=[
                (
                    f"define {name} once, in the conftest.py at the top: one run has "
                    "one schema"
                ),
                "run the other folder by itself",
            ],
        )

    @classmethod
    def apart(cls, deciding: Mapping[str, str]) -> Self:
        """Folders that are not in each other have override fixtures of their own."""
        return cls(
            "the checks see the fixtures of one folder, and several decide for"
            " themselves",
            tried=[
                f"{name} in {folder}/conftest.py" for folder, name in deciding.items()
            ],
            remedies=[
                f"run one of the folders by itself: pytest {next(iter(deciding))}",
                "or define the fixture once, in the conftest.py above all of them",
            ],
        )

    @classmethod
    def required(cls, products: Sequence[str], targets: Sequence[str]) -> Self:
        """The run does not use a product that it must."""
        return cls(
            f"the run requires {', '.join(products)}, and is on {', '.join(targets)}",
            remedies=[f"--asyncdb={product}" for product in products]
            + ["or leave --asyncdb-require out"],
        )


class VersionRefused(AsyncDBError):
    """pytest or SQLAlchemy is older than what the package is written for."""

    @classmethod
    def of(cls, name: str, found: str, needed: str) -> Self:
        """`name` is installed as `found`, and `needed` is the oldest that will do."""
        return cls(
            f"pytest-asyncdb needs {name} {needed} or newer, and {found} is installed",
            remedies=[
                f'pip install "{name}>={needed}"',
                "or switch the plugin off: pytest -p no:asyncdb",
            ],
        )


class MarkRefused(AsyncDBError):
    """A mark `asyncdb` on a test says what it cannot mean."""

    @classmethod
    def arguments(cls, test: str, reason: str) -> Self:
        """The mark has an argument that it does not know."""
        return cls(
            f"{test}: @pytest.mark.asyncdb: {reason}",
            remedies=[
                (
                    'write asyncdb(isolation="sandbox", backends=["postgresql"],'
                    ' requires=["notify"], capture=False), each of them optional'
                )
            ],
        )

    @classmethod
    def value(cls, test: str, name: str, value: object, known: Sequence[str]) -> Self:
        """One of the mark's arguments has a value that it does not know."""
        return cls(
            f"{test}: @pytest.mark.asyncdb({name}={value!r}) is not known",
            remedies=[f"use one of: {', '.join(known)}"],
        )

    @classmethod
    def sandbox(cls, test: str) -> Self:
        """A test wants one shared transaction, and transactions side by side."""
        return cls(
            f'{test}: isolation="sandbox" puts all sessions into one transaction, so '
            "nothing in the test is concurrent",
            remedies=['leave isolation="sandbox" out: such a test commits for real'],
        )

    @classmethod
    def race(cls, test: str, reason: str) -> Self:
        """A mark `asyncdb_race` cannot be followed."""
        return cls(
            f"{test}: @pytest.mark.asyncdb_race: {reason}",
            remedies=["write asyncdb_race(actors=3) on an async test"],
        )

    @classmethod
    def race_option(
        cls, test: str, name: str, near: Sequence[str], known: Sequence[str]
    ) -> Self:
        """A mark `asyncdb_race` names an option that `explore` does not have."""
        meant = f", did you mean {near[0]!r}?" if near else ""
        return cls(
            f"{test}: @pytest.mark.asyncdb_race: there is no option {name!r}{meant}",
            remedies=[f"there are: {', '.join(known)}"],
        )

    @classmethod
    def late(cls, test: str) -> Self:
        """The fixture was asked for when the test's sandbox was open already."""
        return cls(
            f"{test} asks for real commits when its sandbox is open already",
            remedies=[
                "name db_concurrency or db_faults among the arguments of the test",
                f"or let the test commit for real: {REAL_COMMITS}",
            ],
        )

    @classmethod
    def factory(cls, test: str, name: object, near: Sequence[str]) -> Self:
        """A mark `asyncdb_factory` names no fixture of a factory."""
        return cls(
            f"{test}: @pytest.mark.asyncdb_factory({name!r}) names no such fixture",
            remedies=[
                f"of factories that are registered there are: {', '.join(near)}",
                (
                    "write asyncdb_factory(fixture, *traits, **attributes), such as "
                    'asyncdb_factory("user", "admin", name="Ann")'
                ),
            ],
        )


class LoopRefused(AsyncDBError):
    """The test, or what it gives to `db_run`, cannot be run on an event loop."""

    @classmethod
    def trio(cls, test: str) -> Self:
        """AnyIO would run the test on trio, where SQLAlchemy cannot run."""
        return cls(
            f"{test} runs on trio, and SQLAlchemy runs on asyncio only",
            remedies=[
                (
                    "let AnyIO take asyncio, by a fixture in conftest.py:\n"
                    "          @pytest.fixture(scope='session')\n"
                    "          def anyio_backend():\n"
                    "              return 'asyncio'"
                ),
            ],
        )

    @classmethod
    def nobody(cls, test: str, tried: Sequence[str]) -> Self:
        """The test is a coroutine function, and nobody runs it."""
        return cls(
            f"{test} is async, and no plugin ran it",
            tried=tried,
            remedies=[
                "pip install pytest-asyncio, and asyncio_mode = auto in the ini file",
                "or, with AnyIO, @pytest.mark.anyio on the test or anyio_mode = auto",
            ],
        )

    @classmethod
    def made_already(cls, function: str) -> Self:
        """`db_run` was given a coroutine, which belongs to no test yet."""
        return cls(
            f"db_run was given the coroutine that {function}() made",
            remedies=[
                f"give it the function and its arguments: db_run({function}, ...)"
            ],
        )

    @classmethod
    def contested(cls, test: str) -> Self:
        """Two plugins would run the test, its fixtures on another loop than itself."""
        return cls(
            f"{test}: two plugins claim its event loop, pytest-asyncio and AnyIO",
            tried=[
                "the test runs on pytest-asyncio's loop, its async fixtures on AnyIO's"
            ],
            remedies=[
                "take @pytest.mark.anyio (or anyio_mode = auto) away",
                "or set asyncio_mode = strict, and leave @pytest.mark.asyncio out",
            ],
        )


class NotPlanned(AsyncDBError):
    """A statement came before the fixtures that say what the database holds."""

    @classmethod
    def yet(cls) -> Self:
        """The test's own fixtures have not been set up."""
        return cls(
            "the database was used before its schema was known",
            remedies=[
                (
                    "name db_session or db_engine as an argument of the test or "
                    "fixture, not in request.getfixturevalue()"
                ),
            ],
        )
