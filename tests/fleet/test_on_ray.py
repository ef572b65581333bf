"""The tests of the fleet that need Ray: all of them are run at once, in other processes, and each is told here."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import on_ray
import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

# The first one waits for all of them, a minute of work for two processors: tests beside them that judge how soon
# something is told would not hold.
pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'xshm[fleet]'"),
    pytest.mark.timeout(360),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[str]]:
    return on_ray.results(tmp_path_factory.mktemp("on_ray"))


@pytest.mark.parametrize("function", on_ray.functions())
def test_on_a_cluster(results: Mapping[str, list[str]], function: str) -> None:
    assert function in results, "it was not run"
    assert results[function] == [""] * len(results[function]), "\n".join(results[function])
