"""One Ray of two nodes on this machine, for all tests here; and what is left of displays is counted by the kernel."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from display_traces import servers_below

if TYPE_CHECKING:
    from collections.abc import Iterator

if "XSHM_ON_RAY" not in os.environ:
    collect_ignore_glob = ["test_*"]  # test_on_ray runs them, in a process of their own

_HERE = Path(__file__).parent
# A node whose raylet has ended is noticed after a second, not 15; one that is merely slow may take its time.
_SYSTEM = {
    "health_check_initial_delay_ms": 250,
    "health_check_period_ms": 250,
    "health_check_failure_threshold": 4,
    "health_check_timeout_ms": 10_000,
}
# Else each program that connects has a worker started for each CPU, whether it will need one or not. Also of nodes that
# such a program starts itself.
_OF_ALL_NODES = {"RAY_prestart_worker_first_driver": "0", "RAY_enable_worker_prestart": "0"}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Give a ray.cluster_utils.Cluster of two nodes, to which this process is connected; one has the resource "steady".

    Tests may add others, which they remove.
    """
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'xshm[fleet]'")
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - only where there is Ray

    os.environ.update(_OF_ALL_NODES)
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray's own; workers start in half the time where the nodes have it already
    # What is sent to workers is read there from these tests' own modules, and from those that they share.
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, (_HERE, _HERE.parents[1] / "helpers")))
    node = {"num_cpus": 2, "object_store_memory": 100 << 20, "include_log_monitor": False}
    head = {**node, "include_dashboard": False, "no_monitor": True, "_system_config": _SYSTEM}
    cluster: Any = Cluster(initialize_head=True, head_node_args=head)
    try:
        cluster.add_node(**node, resources={"steady": 1})
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(scope="module")
def nothing_is_left() -> Iterator[None]:
    """Fail where a display is left after a module that was not there before it; its fixtures are to come after this."""
    run = os.getppid()  # the leak watch, below which all is that these tests start, orphans too
    before = servers_below(run)
    yield
    deadline = time.monotonic() + 10
    while (left := servers_below(run) - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left, f"processes of displays that are left: {left}"
