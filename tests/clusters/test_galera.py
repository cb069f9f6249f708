"""Runs against a Galera cluster: on one node, on all three, and with one killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.conftest import ended

if TYPE_CHECKING:
    from tests.clusters.galera import Cluster
    from tests.faults.conftest import Site

BLOG = Path(__file__).parents[2] / "examples" / "blog"


def blog(*options: str) -> str:
    """Run the blog's suite; what it has printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=BLOG,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stdout
    return done.stdout


@pytest.mark.parametrize("driver", ["asyncmy", "aiomysql"])
def test_the_blog_passes_on_one_node(cluster: Cluster, driver: str) -> None:
    """Its suite is unchanged, and what it has made is gone from all nodes."""
    blog(f"--asyncdb={cluster.word(cluster.nodes[1], driver=driver)}", "-n2")

    assert [[]] * 3 == [cluster.databases(node) for node in cluster.nodes]


def test_the_blog_passes_on_three_nodes(cluster: Cluster) -> None:
    """Each worker is on a node of its own; one template serves them all."""
    output = blog(f"--asyncdb={cluster.word(*cluster.nodes)}", "-n3")

    assert "on one of 3 nodes of a cluster" in output
    assert [[]] * 3 == [cluster.databases(node) for node in cluster.nodes]


@pytest.mark.parametrize("number", [0, 1])
def test_a_node_is_killed_while_tests_run(
    cluster: Cluster, site: Site, number: int
) -> None:
    """Tests on it fail and name it; nothing stays on the others.

    The first node is the one that the run's owner uses too.
    """
    word = f"--asyncdb={cluster.word(*cluster.nodes)}"
    run = site.start("-n3", word, tests=90, seconds=0.1)
    site.wait_for(9)
    killed = cluster.nodes.pop(number)
    killed.kill()
    output = ended(run)

    assert 1 == run.returncode, output
    assert killed.address in output
    assert " passed" in output
    assert [[], []] == [cluster.databases(node) for node in cluster.nodes]
    assert [] == site.left()


def test_a_run_on_another_node_is_left_alone(
    cluster: Cluster, site: Site, namespace: str
) -> None:
    """Nobody can see from here that it lives, neither its process nor its lock."""
    first, second, _ = cluster.nodes
    run = site.start(f"--asyncdb={cluster.word(first)}", tests=60)
    site.wait_for(2)
    other = f"--asyncdb={cluster.word(second)}"
    beside = site.start(other, tests=5, before=namespace)
    outputs = ended(beside), ended(run)

    assert [0, 0] == [beside.returncode, run.returncode], outputs
    assert [] == cluster.databases(first)
