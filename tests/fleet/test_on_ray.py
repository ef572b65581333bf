"""The tests of the fleet that need Ray: pools, seats, walls, and what ends under them."""

from __future__ import annotations

from importlib.util import find_spec

import on_ray
import pytest


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'xshm[fleet]'")
@pytest.mark.timeout(300)  # a cluster of two nodes, whose nodes and workers are ended again and again
def test_the_fleet_on_a_cluster_of_two_nodes() -> None:
    on_ray.run(programs=False)
