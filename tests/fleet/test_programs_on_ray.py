"""The tests of the fleet that need Ray: whole programs, examples, and what nodes have room for."""

from __future__ import annotations

from importlib.util import find_spec

import on_ray
import pytest


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'xshm[fleet]'")
@pytest.mark.timeout(300)  # drivers, an example and their Rays start and end
def test_programs_with_a_fleet() -> None:
    on_ray.run(programs=True)


def test_all_tests_that_need_ray_are_run() -> None:
    names = {path.stem for programs in (True, False) for path in on_ray.files(programs=programs)}
    assert len(on_ray.files(programs=True)) == 5
    assert {"test_pool", "test_seat", "test_wall", "test_fleet_faults", "test_worker_ends"} <= names
