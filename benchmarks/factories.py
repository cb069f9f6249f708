"""What a batch of objects costs with each kind of factory, in ms.

Users have a column that the server fills in; posts have a new user each. All write to
the same database, through a session of SQLAlchemy's own; what a column "ours / it" says
of "add_all, one flush" is what factories cost over the bare minimum. Run it as
`python -m benchmarks.factories [--json FILE] [--quick]`.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import StaticPool, event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from benchmarks._factories import PEERS, WAYS, Base
from benchmarks._harness import Contender, arguments, measure
from benchmarks._peer import install
from benchmarks._server import serving

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable, Iterator

    from sqlalchemy import Engine

__all__ = ["NAMES", "contenders"]

OBJECTS = 2000
QUICK_OBJECTS = 100
ROUNDS = 5
DATABASES = ("sqlite", "postgresql")
NAMES = ("async-factory-boy", "polyfactory")


def _prepared(engine: Engine) -> None:
    """Let SQLite begin transactions when it is told to, so that it has savepoints."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")


def _options(url: str) -> dict[str, Any]:
    return {"poolclass": StaticPool} if url.startswith("sqlite") else {}


async def _timed(
    url: str, work: Callable[[AsyncSession, int], Awaitable[None]], count: int
) -> float:
    engine = create_async_engine(url, **_options(url))
    _prepared(engine.sync_engine)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine, expire_on_commit=False) as session:
        await session.execute(text("SELECT 1"))
        gc.collect()
        start = time.perf_counter()
        await work(session, count)
        took = time.perf_counter() - start
    await engine.dispose()
    return 1000 * took


def contenders(
    database: str, url: str, count: int, *, peers: bool
) -> Iterator[Contender]:
    """Each kind of object by each kind of factory, on the database of that URL."""
    for kind in WAYS:
        work = f"{kind} on {database}"
        found = {**WAYS[kind], **(PEERS[kind] if peers else {})}
        for name, make in found.items():
            run = functools.partial(_run, url, make, count)
            yield Contender(work, name, run, ours=name == "ours")


def _run(
    url: str, make: Callable[[AsyncSession, int], Awaitable[None]], count: int
) -> float:
    return asyncio.run(_timed(url, make, count))


def _arguments() -> argparse.Namespace:
    parser = arguments(__doc__ or "", rounds=ROUNDS)
    parser.add_argument(
        "--objects", type=int, default=OBJECTS, help=f"per batch, default {OBJECTS}"
    )
    parser.add_argument(
        "--only",
        choices=DATABASES,
        nargs="+",
        default=list(DATABASES),
        metavar="DATABASE",
        help=f"of {', '.join(DATABASES)}; default: both",
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


def _has_peers(options: argparse.Namespace, default: Path) -> bool:
    folder: Path = options.peers or default
    problem = "--no-peers" if options.no_peers else install(folder, *NAMES)
    if problem:
        print(f"{', '.join(NAMES)} are left out: {problem}")
        return False
    sys.path.append(str(folder))
    return True


def main() -> None:
    """Measure and print."""
    options = _arguments()
    count = QUICK_OBJECTS if options.quick else options.objects
    with (
        tempfile.TemporaryDirectory(prefix="asyncdb-benchmark-") as folder,
        serving(options.postgresql) as server,
    ):
        peers = _has_peers(options, Path(folder, "peers"))
        urls = {"sqlite": "sqlite+aiosqlite://"}
        if "postgresql" in options.only:
            urls["postgresql"] = server.database("factories")
        chosen = [
            each
            for database in options.only
            for each in contenders(database, urls[database], count, peers=peers)
        ]
        title = f"A batch of {count} objects, ms"
        measure(chosen, options, title=title)


if __name__ == "__main__":
    main()
