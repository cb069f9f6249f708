"""What it costs to record the statements of a test: ms per test of 20 statements.

Tests that ask for `db_statements` and tests that do not take turns in one run of
pytest, so that both meet the same machine. Run it as
`python -m benchmarks.recorder [--json FILE] [--quick]`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks._harness import Contender, arguments, measure
from benchmarks._server import serving
from benchmarks._suite import Suite

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

__all__ = ["main"]

_TESTS: Final = 200
_QUICK_TESTS: Final = 20
_ROUNDS: Final = 7
_DATABASES: Final = ("sqlite", "postgresql")


class _Suite:
    """Tests of which every second one is recorded."""

    def __init__(self, target: str, tests: int, folder: Path) -> None:
        self._suite = Suite(
            tests=tests,
            fixture="db_session",
            work="twenty_statements",
            alternating=("db_statements",),
            plugins=("asyncdb",),
            options=(f"--asyncdb={target}",),
            ini={"asyncdb_metadata": "models:Base.metadata"},
        )
        self._folder = folder
        self._suite.write(folder)
        self._plain = 0.0

    def recorded(self) -> float:
        """Milliseconds of a test that is recorded."""
        recorded, self._plain = self._suite.run_alternating(self._folder)
        return recorded

    def plain(self) -> float:
        """And of one that is not, of the same run."""
        return self._plain


def _contenders(
    database: str, target: str, tests: int, folder: Path
) -> Iterator[Contender]:
    suite = _Suite(target, tests, folder / database)
    yield Contender(database, "ours: recorded", suite.recorded, ours=True)
    yield Contender(database, "not recorded", suite.plain)


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = arguments(__doc__ or "", rounds=_ROUNDS)
    parser.add_argument(
        "--only",
        choices=_DATABASES,
        nargs="+",
        default=list(_DATABASES),
        metavar="DATABASE",
        help=f"of {', '.join(_DATABASES)}; default: both",
    )
    parser.add_argument(
        "--postgresql",
        metavar="URL",
        help="server to run on (driver asyncpg); default: an embedded one",
    )
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _options(words)
    tests = _QUICK_TESTS if options.quick else _TESTS
    with (
        tempfile.TemporaryDirectory(prefix="asyncdb-benchmark-") as folder,
        serving(options.postgresql) as server,
    ):
        targets = {"sqlite": "sqlite"}
        if "postgresql" in options.only:
            targets["postgresql"] = server.url
        chosen = [
            each
            for database in options.only
            for each in _contenders(database, targets[database], tests, Path(folder))
        ]
        title = f"20 statements, ms per test, {tests} tests"
        measure(chosen, options, title=title)


if __name__ == "__main__":
    main()
