"""frontrun on one race, in a process of its own, since it patches the drivers.

`python -m benchmarks._frontrun FOLDER URL RACE` prints its verdict as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import NullPool, create_engine, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from benchmarks._races import RACES, Base, rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks._races import Race

__all__: list[str] = []

SECONDS = 40.0
_LOCK_TIMEOUT = "55P03"
_CRASH = "coroutine ignored GeneratorExit"


class _State:
    """What a schedule starts with, and who got through it."""

    def __init__(self, url: str) -> None:
        self.succeeded = 0
        engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool
        )
        with Session(engine) as session, session.begin():
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(table.delete())
            session.add_all(rows())


async def _explored(race: Race, url: str, lock_timeout: int | None) -> dict[str, Any]:
    import frontrun  # type: ignore[import-not-found]

    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect():
        pass  # so that what a dialect asks the server first is not explored

    def worker(place: int) -> Callable[[_State], Any]:
        async def work(state: _State) -> None:
            try:
                await race.functions[place](engine)
            except (ValueError, IntegrityError, StaleDataError):
                return  # too late, which is no flaw
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != _LOCK_TIMEOUT:
                    raise
                return  # frontrun's own limit
            state.succeeded += 1

        return work

    result = await frontrun.explore(
        setup=lambda: _State(url),
        workers=[worker(0), worker(1)],
        invariant=lambda state: state.succeeded == race.succeed,
        detect_sql=True,
        lock_timeout=lock_timeout,
        preemption_bound=None,
        timeout_per_run=SECONDS / 2,
        total_timeout=SECONDS,
        reproduce_on_failure=0,
    )
    crashed = _CRASH in str(result.explanation)  # a driver's task that it threw away
    holds = None if crashed else result.property_holds
    return {"holds": holds, "schedules": result.num_explored}


def main() -> None:
    """Explore one race, with and without its limit on locks; print the better answer.

    Locks that it has not foreseen block its only thread, unless they are limited.
    """
    folder, url, name = sys.argv[1:]
    sys.path.append(folder)
    race = next(each for each in RACES if each.name == name)
    said: dict[str, Any] = {}
    for lock_timeout in (500, None):
        start = time.perf_counter()
        said = asyncio.run(_explored(race, url, lock_timeout))
        said["seconds"] = round(time.perf_counter() - start, 2)
        if said["holds"] is not None:
            break
    print(json.dumps(said))


if __name__ == "__main__":
    main()
