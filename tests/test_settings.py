"""Words and URLs that name databases, and settings from plain values."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_asyncdb.backends import backend_names
from pytest_asyncdb.errors import (
    AsyncDBError,
    SettingRefused,
    SourceUnavailable,
    TargetRefused,
    UnknownBackend,
)
from pytest_asyncdb.settings import ServerOptions, Settings, Target, mask, parse_target


@pytest.mark.parametrize(
    ("word", "target"),
    [
        ("sqlite", Target("sqlite")),
        ("sqlite@file", Target("sqlite", source="file")),
        ("sqlite+aiosqlite@memory", Target("sqlite", None, "memory", "aiosqlite")),
        ("postgresql", Target("postgresql")),
        ("postgresql:18", Target("postgresql", "18")),
        ("postgresql:16.4@embedded", Target("postgresql", "16.4", "embedded")),
        (
            "postgresql+psycopg:16@embedded",
            Target("postgresql", "16", "embedded", "psycopg"),
        ),
    ],
)
def test_a_word_names_product_driver_version_and_source(
    word: str, target: Target
) -> None:
    """What is left out is left open; the word itself is kept for messages."""
    parsed = parse_target(word)

    assert target == Target(
        parsed.product, parsed.version, parsed.source, parsed.driver
    )
    assert word == parsed.word


def test_a_url_is_kept_and_its_driver_named() -> None:
    """SQLAlchemy's name for psycopg's async side is psycopg all the same."""
    parsed = parse_target("postgresql+psycopg_async://app:s3cret@db:5433/app")

    assert ("postgresql", "url", "psycopg") == (
        parsed.product,
        parsed.source,
        parsed.driver,
    )
    assert parsed.url is not None
    assert "s3cret" == parsed.url.password
    assert "s3cret" not in repr(parsed) + parsed.word


@pytest.mark.parametrize(
    ("word", "error", "says"),
    [
        ("", TargetRefused, "postgresql:18"),
        ("PostgreSQL 18", TargetRefused, "or a URL"),
        ("oracle", UnknownBackend, "postgresql, sqlite"),
        ("mariadb@embedded", SourceUnavailable, "use mariadb@local"),
        ("sqlite:3", TargetRefused, "that Python was built with"),
        ("postgresql:newest", TargetRefused, "postgresql:18"),
        ("sqlite@container", SourceUnavailable, "use sqlite@memory"),
        ("postgresql@moon", SourceUnavailable, "postgresql@embedded"),
        ("sqlite@embedded", SourceUnavailable, "use sqlite@file"),
        ("postgresql+psycopg2", TargetRefused, "asyncpg, psycopg"),
        (
            "postgresql://app:s3cret@db/app",
            TargetRefused,
            r"postgresql\+asyncpg://app:",
        ),
        (
            "postgresql+psycopg2://db/app",
            TargetRefused,
            r"postgresql\+asyncpg://db/app",
        ),
        ("sqlite:///app.db", TargetRefused, r"sqlite\+aiosqlite:///app\.db"),
        ("postgresql+asyncpg://u:s3cret@db:port/x", TargetRefused, "names no database"),
        ("oracle+oracledb://u:s3cret@db/x", UnknownBackend, "no database product"),
    ],
)
def test_what_names_no_database_is_refused_with_what_would(
    word: str, error: type[AsyncDBError], says: str
) -> None:
    """Each has its own class, says what may be written, and shows no password."""
    with pytest.raises(error, match=says) as refused:
        parse_target(word)

    assert refused.value.remedies
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("postgres:18", "postgresql"),
        ("pg", "postgresql"),
        ("postgre", "postgresql"),
        ("sqllite@file", "sqlite"),
        ("maria", "mariadb"),
    ],
)
def test_a_product_by_another_name_is_told_its_own(word: str, meant: str) -> None:
    """A nickname, or a word that is nearly right."""
    with pytest.raises(UnknownBackend) as refused:
        parse_target(word)

    assert f"did you mean {meant}?" == refused.value.remedies[0]


def test_a_driver_that_is_not_installed_is_named_with_its_extra() -> None:
    """Nothing is imported to find out; the remedy is a line for the shell."""
    hidden = _without("asyncpg", "psycopg")

    done = subprocess.run(
        [sys.executable, "-c", hidden, "postgresql+asyncpg://db/app"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "DriverMissing" in done.stderr
    assert 'pip install "pytest-asyncdb[postgresql]"' in done.stderr


def _without(*modules: str) -> str:
    """A program that parses a word where `modules` cannot be found."""
    return f"""
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in {modules!r} else real(name)
from pytest_asyncdb.settings import parse_target
parse_target(sys.argv[1])
"""


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg://u:***@h/d"),
        ("x://u:p@ss@h/d", "x://u:***@h/d"),
        ("x://u@h/d?password=p&a=b", "x://u@h/d?password=***&a=b"),
        ("x://h/d?sslmode=on&PASSWD=p", "x://h/d?sslmode=on&PASSWD=***"),
        ("x://u@h/d", "x://u@h/d"),
        ("sqlite+aiosqlite:///a:b@c.db", "sqlite+aiosqlite:///a:b@c.db"),
        ("no URL at all", "no URL at all"),
    ],
)
def test_mask_hides_passwords_and_nothing_else(text: str, masked: str) -> None:
    """Of user information and of the query."""
    assert masked == mask(text)


def test_settings_say_what_a_run_does_where_nothing_is_said() -> None:
    """SQLite in memory, a sandbox, warnings."""
    settings = Settings.from_mapping({})

    assert ["sqlite"] == [target.product for target in settings.targets]
    assert ("sandbox", "warn", "warn") == (
        settings.isolation,
        settings.leaks,
        settings.unrequested,
    )


def test_options_are_read_from_lines_or_taken_from_a_mapping() -> None:
    """A value is Python's where it can be, and text otherwise."""
    lines = ["echo = true", "pool_size=5", "future = None", "name = a = b"]

    of_lines = Settings.from_mapping({"engine_options": lines})
    of_mapping = Settings.from_mapping({"engine_options": {"echo": "debug"}})

    assert {"echo": True, "pool_size": 5, "future": None, "name": "a = b"} == dict(
        of_lines.engine_options
    )
    assert {"echo": "debug"} == of_mapping.engine_options


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"leak": "warn"}, "there is no setting leak"),
        ({"leaks": "loud"}, "asyncdb_leaks is 'loud'"),
        ({"isolation": "none"}, "asyncdb_isolation is 'none'"),
        ({"bridge": "rope"}, "auto, guest, thread"),
        ({"engine_options": ["echo"]}, "does not read 'option = value'"),
        ({"require": ["postgresql"]}, "requires postgresql, and is on sqlite"),
        ({"require": ["oracle"]}, "asyncdb_require is 'oracle'"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(
    values: dict[str, object], says: str
) -> None:
    """The error names the setting and what it knows."""
    with pytest.raises(SettingRefused, match=says) as refused:
        Settings.from_mapping(values)

    assert refused.value.remedies


def test_a_value_is_refused_by_the_name_that_it_was_given_by() -> None:
    """Who says how each setting was named finds that name in the error."""
    names = {"n_plus_one": "--asyncdb-n-plus-one", "durations": "--asyncdb-durations"}
    with pytest.raises(SettingRefused) as choice:
        Settings.from_mapping({"n_plus_one": "error"}, names=names)
    with pytest.raises(SettingRefused) as number:
        Settings.from_mapping({"durations": "all"}, names=names)

    assert "--asyncdb-n-plus-one is 'error'" == choice.value.cause
    assert ("write a number: --asyncdb-durations=1234",) == number.value.remedies


def test_a_choice_that_is_nearly_right_is_told_the_one_that_was_meant() -> None:
    """Before all that there are."""
    with pytest.raises(SettingRefused) as refused:
        Settings.from_mapping({"isolation": "sandbx"})

    assert "did you mean sandbox?" == refused.value.remedies[0]


@pytest.mark.parametrize("name", backend_names())
def test_every_product_can_be_asked_for_by_its_name(name: str) -> None:
    """Also one that another distribution publishes."""
    assert name == parse_target(name).product


def test_options_of_servers_are_those_of_their_product() -> None:
    """A name without a product, or with a prefix that is none, is everybody's."""
    settings = Settings.from_mapping(
        {
            "server_options": [
                "max_connections = 50",
                "mariadb.sql_mode = ANSI",
                "auto_explain.log_min_duration = 0",
                "postgresql.work_mem = 3MB",
            ],
            "container_image": ["mariadb = own/maria:1", "own/any"],
            "server_sql": ["SELECT 1"],
            "server_tcp": True,
        }
    )

    both = {"max_connections": "50", "auto_explain.log_min_duration": "0"}
    statements = ("SELECT 1",)
    assert [
        ServerOptions("own/any", both | {"work_mem": "3MB"}, statements, tcp=True),
        ServerOptions("own/maria:1", both | {"sql_mode": "ANSI"}, statements, tcp=True),
    ] == [settings.server("postgresql"), settings.server("mariadb")]
