"""What an example of a property-based test costs: ms, and those of Hypothesis itself.

Ours begins every example in the same state by itself; the others have one savepoint,
written by hand, in the recipe of SQLAlchemy's documentation. Run it as
`python -m benchmarks.examples [--json FILE] [--quick]`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks._harness import Contender, arguments, measure
from benchmarks._server import Server, serving
from benchmarks._suite import Suite

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

__all__ = ["main"]

_EXAMPLES: Final = 1000
_QUICK_EXAMPLES: Final = 50
_ROUNDS: Final = 7
_DATABASES: Final = ("sqlite", "postgresql")
_BY_HAND: Final = {
    "reads": "in_savepoint",
    "flushes": "in_savepoint",
    "commits": "in_session",
}
_SOURCE: Final = """\
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from properties import begin, commits, flushes, in_savepoint, in_session, reads

settings.register_profile(
    "examples",
    max_examples={examples},
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("examples")


@pytest.fixture
async def seeded({fixture}):
    await begin({fixture})


@settings(max_examples=5)
@given(number=st.integers())
async def test_first(seeded, {fixture}, number):
    await {call}


@given(number=st.integers())
async def test_measured(seeded, {fixture}, number):
    await {call}


async def test_last():
    pass
"""


@dataclass(frozen=True, slots=True)
class _Bench:
    """Where the suites lie, on what they run, and how many examples each test has."""

    folder: Path
    server: Server
    examples: int

    def contenders(self, database: str) -> Iterator[Contender]:
        """Three bodies: one reads, one flushes, one commits as applications do."""
        for body, by_hand in _BY_HAND.items():
            work = f"{database}, {body}"
            own = self._source("db_session", f"{body}(db_session, number)")
            hand = self._source("session", f"{by_hand}({body}, session, number)")
            plain = self._recipe(work, database, hand)
            yield self._contender(work, "ours", self._ours(database, own))
            yield self._contender(work, "a savepoint by hand", plain)

    def _contender(self, work: str, name: str, suite: Suite) -> Contender:
        folder = self.folder / f"{work}-{name}".replace(" ", "-").replace(",", "")
        suite.write(folder)

        def run() -> float:
            return suite.run(folder) / self.examples

        return Contender(work, name, run, ours=name == "ours")

    def _source(self, fixture: str, call: str) -> str:
        return _SOURCE.format(examples=self.examples, fixture=fixture, call=call)

    def _ours(self, database: str, source: str) -> Suite:
        target = self.server.url if database == "postgresql" else database
        return Suite(
            tests=0,
            source=source,
            loops="session",
            plugins=("asyncdb", "hypothesispytest"),
            options=(f"--asyncdb={target}",),
            ini={"asyncdb_metadata": "models:Base.metadata"},
        )

    def _recipe(self, work: str, database: str, source: str) -> Suite:
        url = "sqlite+aiosqlite:///:memory:"
        if database == "postgresql":
            url = self.server.database(work.replace(", ", "_"))
        return Suite(
            tests=0,
            source=source,
            loops="session",
            recipe="recipe_pooled",
            plugins=("hypothesispytest",),
            environment={"BENCHMARK_URL": url},
        )


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
    examples = _QUICK_EXAMPLES if options.quick else _EXAMPLES
    with (
        tempfile.TemporaryDirectory(prefix="asyncdb-benchmark-") as folder,
        serving(options.postgresql) as server,
    ):
        bench = _Bench(Path(folder), server, examples)
        chosen = [each for name in options.only for each in bench.contenders(name)]
        title = f"ms per example, {examples} examples"
        measure(chosen, options, title=title)


if __name__ == "__main__":
    main()
