"""Whatever loop, thread or library runs the test: one transaction for all of them."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest
import uvloop
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from pytest_asyncdb.isolation import Isolation
    from tests.loops.conftest import Application


def site(app: Application) -> Starlette:
    """A site that adds a user for each request."""

    async def endpoint(request: Request) -> JSONResponse:
        await app.add(request.query_params["name"])
        return JSONResponse(await app.names())

    return Starlette(routes=[Route("/", endpoint)])


def test_three_loops_in_turn_see_one_transaction(app: Application) -> None:
    """What a loop that is closed wrote is there for the next one."""
    seen = []
    for number in range(3):
        asyncio.run(app.add(f"loop{number}"))
        seen.append(asyncio.run(app.names()))

    assert [["loop0"], ["loop0", "loop1"], ["loop0", "loop1", "loop2"]] == seen


def test_loops_of_three_tests_use_one_connection(
    app: Application, isolation: Isolation
) -> None:
    """Each test has a loop and a transaction of its own, on a kept connection."""
    connections, seen = set(), []
    for name in ("first", "second", "third"):
        isolation.close()
        isolation.open(name)
        asyncio.run(app.add("somebody"))
        seen.append(asyncio.run(app.names()))
        connections.add(id(isolation._link._real))

    assert [["somebody"]] * 3 == seen
    assert 1 == len(connections)


def test_anyio_runs_the_test(app: Application) -> None:
    """AnyIO's asyncio is asyncio."""
    anyio.run(app.add, "anyio")

    assert ["anyio"] == anyio.run(app.names)


def test_uvloop_runs_the_test(app: Application) -> None:
    """A loop in C watches the connection as well as one in Python."""

    async def test() -> list[str]:
        await asyncio.gather(*(app.add(f"uvloop{number}") for number in range(5)))
        return await app.names()

    assert [f"uvloop{number}" for number in range(5)] == uvloop.run(test())


def test_a_loop_in_debug_mode_runs_the_test(app: Application) -> None:
    """Nothing calls into a loop from a thread that asyncio would object to."""

    async def test() -> list[str]:
        await asyncio.gather(*(app.add(f"debug{number}") for number in range(5)))
        return await app.names()

    assert 5 == len(asyncio.run(test(), debug=True))


@pytest.mark.skipif(
    not hasattr(asyncio, "eager_task_factory"),
    reason="eager tasks came with Python 3.12",
)
def test_eager_tasks_run_the_test(app: Application) -> None:
    """Tasks that begin at once, inside of the one that makes them, take turns too."""

    async def test() -> list[str]:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        await asyncio.gather(*(app.add(f"eager{number}") for number in range(5)))
        return await app.names()

    assert 5 == len(asyncio.run(test()))


def test_a_test_client_and_its_test_see_each_other(app: Application) -> None:
    """The application runs on another loop in another thread, the test's is blocked."""

    async def test() -> tuple[list[str], list[str]]:
        await app.add("test")
        with TestClient(site(app)) as client:
            answer = client.get("/", params={"name": "site"}).json()
        return answer, await app.names()

    assert (["site", "test"], ["site", "test"]) == asyncio.run(test())


def test_a_test_client_inside_of_an_open_transaction(app: Application) -> None:
    """The request goes on although the test's transaction has written and is open."""

    async def test() -> list[str]:
        async with app.sessions() as session:
            session.add(app.User(name="test"))
            await session.flush()
            with TestClient(site(app)) as client:
                client.get("/", params={"name": "site"})
            await session.commit()
        return await app.names()

    assert ["site", "test"] == asyncio.run(test())


def test_a_test_client_of_a_sync_test(app: Application, isolation: Isolation) -> None:
    """A loop for each request, none for the test."""
    client = TestClient(site(app))
    for name in ("a", "b", "c"):
        client.get("/", params={"name": name})

    assert ["a", "b", "c"] == isolation.run(app.names)


async def test_asgi_transport_on_the_loop_of_the_test(app: Application) -> None:
    """Requests of the test's own loop, three at once."""
    transport = httpx.ASGITransport(site(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
        names = ["a", "b", "c"]
        await asyncio.gather(
            *(client.get("/", params={"name": each}) for each in names)
        )

    assert names == await app.names()


def test_four_threads_with_loops_at_once(app: Application) -> None:
    """Eighty transactions from four loops that run at the same time."""

    async def work(thread: int) -> None:
        await app.add(*(f"{thread}-{number:02}" for number in range(20)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda thread: asyncio.run(work(thread)), range(4)))

    expected = [f"{thread}-{number:02}" for thread in range(4) for number in range(20)]
    assert expected == asyncio.run(app.names())


def test_threads_with_other_loops(app: Application) -> None:
    """Loops in Python and in C at once, each with a gather of its own."""

    async def work(loop: str) -> None:
        await asyncio.gather(*(app.add(f"{loop}{number}") for number in range(5)))

    runs: dict[str, Callable[..., None]] = {
        "asyncio": asyncio.run,
        "uvloop": uvloop.run,
    }
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: runs[name](work(name)), runs))

    assert 10 == len(asyncio.run(app.names()))


def test_a_loop_in_a_thread_beside_the_open_transaction_of_the_test(
    app: Application,
) -> None:
    """An `asyncio.run` in an executor: the test's loop is alive, its session open."""

    async def test() -> list[str]:
        async with app.sessions() as session:
            session.add(app.User(name="held"))
            await session.flush()
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, lambda: asyncio.run(app.add("thread")))
            await session.commit()
        return await app.names()

    assert ["held", "thread"] == asyncio.run(test())


def test_a_session_moves_from_loop_to_loop(app: Application) -> None:
    """A fixture's session is used on the loop of the test, and closed on a third."""
    session = app.sessions()

    async def begin() -> None:
        session.add(app.User(name="moved"))
        await session.flush()

    asyncio.run(begin())
    asyncio.run(session.commit())
    asyncio.run(session.close())

    assert ["moved"] == asyncio.run(app.names())


def test_a_session_moves_from_thread_to_thread(app: Application) -> None:
    """A transaction that one thread's loop began ends on another's."""
    session = app.sessions()
    session.add(app.User(name="moved"))
    for step in (session.flush, session.commit, session.close):
        thread = threading.Thread(target=lambda step=step: asyncio.run(step()))
        thread.start()
        thread.join()

    assert ["moved"] == asyncio.run(app.names())
