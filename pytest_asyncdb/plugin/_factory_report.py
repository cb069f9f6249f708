"""What factories sent to the database, in each test: `--asyncdb-factory-report`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_asyncdb.factories._running import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_asyncdb.factories._running import Measure
    from pytest_asyncdb.plugin._terminal import Line

__all__ = ["collect", "hand_back", "lines", "take_over"]

_OUTPUT: Final = "asyncdb_factories"
_SHOWN: Final = 20
_COUNTS: Final = ("rows", "statements", "flushes", "seconds")
_MEASURES: Final = pytest.StashKey[list[dict[str, Any]]]()


def collect(config: pytest.Config) -> None:
    """Note from here on what each call of a factory costs."""
    measures = config.stash[_MEASURES] = []

    def note(measure: Measure) -> None:
        from pytest_asyncdb.plugin._factories import running_name

        measures.append({"test": running_name(config), **asdict(measure)})

    record(note)
    config.add_cleanup(lambda: record(None))


def hand_back(config: pytest.Config) -> None:
    """Let a worker's controller have what was noted."""
    if hasattr(config, "workeroutput") and _MEASURES in config.stash:
        config.workeroutput[_OUTPUT] = config.stash[_MEASURES]


def take_over(config: pytest.Config, workeroutput: Any) -> None:  # noqa: ANN401
    """Have what a worker has noted."""
    if _MEASURES in config.stash:
        config.stash[_MEASURES] += workeroutput.get(_OUTPUT, [])


def lines(config: pytest.Config) -> Iterator[Line]:
    """A table of what was noted, the most expensive first."""
    measures = config.stash.get(_MEASURES, [])
    if not measures:
        return
    found = sorted(_summed(measures), key=lambda each: -each["seconds"])
    yield "asyncdb: factories, the most expensive first", "bold"
    yield ("  seconds  statements  flushes     rows  calls  factory, test",)
    for each in found[:_SHOWN]:
        sent = f"{each['seconds']:>9.3f}{each['statements']:>12}{each['flushes']:>9}"
        made = f"{each['rows']:>9}{each['calls']:>7}"
        yield (f"{sent}{made}  {each['factory']}, {each['test']}",)
    if len(found) > _SHOWN:
        yield (f"  and {len(found) - _SHOWN} more",)


def _summed(measures: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each factory in each test."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for each in measures:
        key = each["factory"], each["test"]
        names = {"factory": key[0], "test": key[1], "calls": 0}
        row = rows.setdefault(key, {**names, **dict.fromkeys(_COUNTS, 0)})
        row["calls"] += 1
        for name in _COUNTS:
            row[name] += each[name]
    return [*rows.values()]
