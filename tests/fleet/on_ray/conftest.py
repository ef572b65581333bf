"""One Ray on this machine, of $XSHM_ON_RAY nodes, for all tests here; what is left of displays the kernel counts."""

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
    """Give a ray.cluster_utils.Cluster, to which this process is connected.

    Of two nodes one has the resource "steady". Tests may add others, which they remove.
    """
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'xshm[fleet]'")
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - only where there is Ray

    os.environ.update(_OF_ALL_NODES)
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray's own; workers start in half the time where the nodes have it already
    os.environ["PYTHONPATH"] = str(_HERE.parents[1] / "helpers")  # what these tests share is read by workers, too
    node = {"num_cpus": 2, "object_store_memory": 100 << 20, "include_log_monitor": False}
    head = {**node, "include_dashboard": False, "no_monitor": True, "_system_config": _SYSTEM}
    cluster: Any = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(int(os.environ["XSHM_ON_RAY"]) - 1):
            cluster.add_node(**node, resources={"steady": 1})
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(scope="module", autouse=True)
def _by_value(request: pytest.FixtureRequest) -> None:
    """Send what is in a module as it is: each worker that had to import it would import pytest, too."""
    from ray import cloudpickle  # noqa: PLC0415 - only where there is Ray

    cloudpickle.register_pickle_by_value(request.module)


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
