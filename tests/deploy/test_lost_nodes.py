"""The health settings of deploy/ on a real cluster: lost nodes are noticed, and nothing is left."""

import time
from pathlib import Path

import pytest

from tests.cluster_of_nodes import Node, RayNodes, alive, living, marked, namespaces_allowed

pytestmark = pytest.mark.soak  # CI loses a node in tests/integration/test_nodes.py


def seconds_until(cluster: RayNodes, count: int) -> float:
    begun = time.monotonic()
    while alive(cluster.address) != count:
        assert time.monotonic() - begun < 60
        time.sleep(0.1)
    return time.monotonic() - begun


def test_a_killed_node_is_noticed_in_seconds_and_another_joins() -> None:
    with RayNodes(1) as cluster:
        head, other = cluster.nodes
        assert other.address in set(living(cluster.address))
        time.sleep(1.5)  # the first check comes after a second
        cluster.kill(other)
        assert other.processes() == []
        assert seconds_until(cluster, 1) < 8  # 3 as a rule; 13 with Ray's own settings
        third = cluster.add()
        assert set(living(cluster.address)) >= {third.address}
        folder = cluster._folder
    assert head.processes() == third.processes() == []
    assert not folder.exists()


@pytest.mark.skipif(not namespaces_allowed(), reason="network namespaces need root")
def test_a_node_without_network_is_noticed_in_seconds() -> None:
    with RayNodes(1, namespaces=True) as cluster:
        other = cluster.nodes[1]
        assert set(living(cluster.address)) == {node.address for node in cluster.nodes}
        time.sleep(1.5)
        cluster.cut(other)
        assert seconds_until(cluster, 1) < 15  # 6 as a rule; 63 with Ray's own settings
        assert other.processes()  # it lives, and does not know yet
        cluster.mend(other)
        wait_until_gone(other)  # told that it was given up, it ends itself
    assert marked(f"TOOLKIT_NODE={other.mark}") == []
    assert not list(Path("/sys/class/net").glob(f"{cluster._net._name}*"))


def wait_until_gone(node: Node) -> None:
    deadline = time.monotonic() + 30
    while node.processes():
        assert time.monotonic() < deadline
        time.sleep(0.1)
