"""The hosts of a URL, and the turn that workers take."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from pytest_asyncdb.provisioning._nodes import nodes_for

GALERA = "mariadb+asyncmy://u:p@/?host=a:3307&host=b&host=[::1]:3309&charset=utf8mb4"


@pytest.mark.parametrize(
    ("worker", "hosts"),
    [
        ("main", ["a", "b", "::1"]),
        ("gw0", ["a", "b", "::1"]),
        ("gw1", ["b", "::1", "a"]),
        ("gw5", ["::1", "a", "b"]),
    ],
)
def test_workers_take_turns(worker: str, hosts: list[str]) -> None:
    """Each begins with another node, and has the others to fall back on."""
    nodes = nodes_for(worker, make_url(GALERA))

    assert hosts == [node.host for node in nodes]
    assert {"a": 3307, "b": None, "::1": 3309} == {
        str(node.host): node.port for node in nodes
    }
    assert [{"charset": "utf8mb4"}] * 3 == [dict(node.query) for node in nodes]


@pytest.mark.parametrize(
    "word",
    [
        "mariadb+asyncmy://u@here:3306/shop",
        "postgresql+asyncpg://u@/shop?host=/run/postgresql",
        "postgresql+psycopg://u@/shop?host=/run/a&host=/run/b",
    ],
)
def test_one_host_or_a_socket_stays_as_it_is(word: str) -> None:
    """There is nothing to choose from."""
    assert [make_url(word)] == nodes_for("gw1", make_url(word))
