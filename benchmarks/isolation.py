"""What a test costs in each way of isolating it: ms over an empty async test.

The unit of work: add and commit a user, then select it by name. Run it as
`python -m benchmarks.isolation [--json FILE] [--quick]`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._harness import Contender, arguments, measure
from benchmarks._peer import install
from benchmarks._server import Server, serving
from benchmarks._suite import Suite

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["PEERS", "Bench", "contenders"]

PEERS = (
    "pytest-sqla",
    "pytest-postgresql",
    "pytest-mock-resources",
    # what the second and the third cannot be imported without
    "mirakuru",
    "port-for",
    "python-on-whales",
)
TESTS = 500
QUICK_TESTS = 30
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a run of the benchmark keeps its suites, and on what it runs them."""

    folder: Path
    server: Server
    tests: int
    peers: Path | None

    def contender(
        self, work: str, name: str, suite: Suite, *, ours: bool = False
    ) -> Contender:
        """Lay down `suite`, and measure it over the empty test of its loop setting."""
        folder = self.folder / f"{work}-{name}".replace(" ", "-")
        suite = replace(suite, tests=self.tests)
        suite.write(folder)
        empty = None if work == "empty" else ("empty", f"{suite.loops} loops")
        return Contender(work, name, lambda: suite.run(folder), ours=ours, over=empty)

    def sqlite(self, name: str) -> str:
        """URL of a database file of the contender's own."""
        return f"sqlite+aiosqlite:///{self.folder / name}.db"


def _empty(bench: Bench) -> Iterator[Contender]:
    """An async test that asks for nothing; with our plugin it must cost the same."""
    for loops in ("function", "session"):
        suite = Suite(tests=0, loops=loops)
        yield bench.contender("empty", f"{loops} loops", suite)
    ours = Suite(
        tests=0, plugins=("asyncdb",), ini={"asyncdb_metadata": "models:Base.metadata"}
    )
    yield bench.contender("empty", "ours, function loops", ours, ours=True)


def _sqlite(bench: Bench) -> Iterator[Contender]:
    work, memory = "sqlite", "sqlite+aiosqlite:///:memory:"
    yield from _ours(bench, work, "sqlite")
    for name, url in (("file", bench.sqlite("pooled")), ("memory", memory)):
        suite = _recipe("recipe_pooled", url, loops="session")
        yield bench.contender(work, f"recipe, {name}, session loops", suite)
    nullpool = _recipe("recipe_nullpool", bench.sqlite("nullpool"))
    yield bench.contender(work, "recipe, NullPool, file", nullpool)
    yield from _peer(bench, work, lambda _: memory)
    create_all = _recipe("create_all", memory)
    yield bench.contender(work, "create_all, memory", create_all)


def _postgresql(bench: Bench) -> Iterator[Contender]:
    work, database = "postgresql", bench.server.database
    yield from _ours(bench, work, bench.server.url)
    pooled = _recipe("recipe_pooled", database("pooled"), loops="session")
    yield bench.contender(work, "recipe, session loops", pooled)
    nullpool = _recipe("recipe_nullpool", database("nullpool"))
    yield bench.contender(work, "recipe, NullPool", nullpool)
    yield from _peer(bench, work, database)
    create_all = _recipe("create_all", database("create_all"))
    yield bench.contender(work, "create_all and drop_all", create_all)
    for recipe, name, plugin in _DATABASE_PER_TEST if bench.peers else ():
        suite = replace(
            _recipe(recipe, database(recipe)), plugins=(plugin,), peers=bench.peers
        )
        yield bench.contender(work, name, suite)


_DATABASE_PER_TEST = (
    ("clone_per_test", "pytest-postgresql", "pytest_postgresql.plugin"),
    ("mock_resources", "pytest-mock-resources", "pytest_mock_resources"),
)


def _ours(bench: Bench, work: str, target: str) -> Iterator[Contender]:
    for loops in ("function", "session"):
        suite = Suite(
            tests=0,
            loops=loops,
            fixture="db_session",
            plugins=("asyncdb",),
            options=(f"--asyncdb={target}",),
            ini={"asyncdb_metadata": "models:Base.metadata"},
        )
        name = f"ours, {loops} loops"
        yield bench.contender(work, name, suite, ours=loops == "function")


def _recipe(recipe: str, url: str, *, loops: str = "function") -> Suite:
    return Suite(
        tests=0,
        loops=loops,
        fixture="session",
        recipe=recipe,
        environment={"BENCHMARK_URL": url},
    )


def _peer(bench: Bench, work: str, url: Callable[[str], str]) -> Iterator[Contender]:
    for loops in ("function", "session") if bench.peers else ():
        suite = Suite(
            tests=0,
            loops=loops,
            fixture="sqla_async_session",
            plugins=("sqla",),
            ini={"sqla_metadata": "models:Base"},
            environment={"PYTEST_SQLA_ASYNC_URL": url(f"sqla_{loops}")},
            peers=bench.peers,
        )
        yield bench.contender(work, f"pytest-sqla, {loops} loops", suite)


WORKS: dict[str, Callable[[Bench], Iterator[Contender]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
}


def contenders(bench: Bench, works: Sequence[str]) -> Sequence[Contender]:
    """The contenders, in the order in which a round takes them."""
    return [*_empty(bench), *(each for work in works for each in WORKS[work](bench))]


def _options() -> argparse.Namespace:
    parser = arguments(__doc__ or "", rounds=ROUNDS)
    parser.add_argument(
        "--tests", type=int, default=TESTS, help=f"tests per suite, default {TESTS}"
    )
    parser.add_argument(
        "--only",
        choices=WORKS,
        nargs="+",
        default=list(WORKS),
        metavar="WORK",
        help=f"of {', '.join(WORKS)}; default: both",
    )
    parser.add_argument(
        "--postgresql",
        metavar="URL",
        help="server to run on (driver asyncpg); default: an embedded one",
    )
    parser.add_argument(
        "--peers",
        type=Path,
        metavar="DIR",
        help="folder with the other packages, filled when empty; default: a temporary "
        "one",
    )
    parser.add_argument(
        "--no-peers", action="store_true", help="leave them out, install nothing"
    )
    return parser.parse_args()


def _peer_folder(options: argparse.Namespace, default: Path) -> Path | None:
    folder: Path = options.peers or default
    problem = "--no-peers" if options.no_peers else install(folder, *PEERS)
    if problem:
        print(f"{', '.join(PEERS[:3])} are left out: {problem}")
    return None if problem else folder


def main() -> None:
    """Measure and print."""
    options = _options()
    with (
        tempfile.TemporaryDirectory(prefix="asyncdb-benchmark-") as folder,
        serving(options.postgresql, tcp=True) as server,
    ):
        tests = QUICK_TESTS if options.quick else options.tests
        peers = _peer_folder(options, Path(folder, "peers"))
        bench = Bench(Path(folder), server, tests, peers)
        title = f"Unit of work, ms per test over the empty test, {tests} tests"
        measure(contenders(bench, options.only), options, title=title)


if __name__ == "__main__":
    main()
