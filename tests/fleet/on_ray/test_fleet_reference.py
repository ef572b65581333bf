"""The examples of the API reference that need Ray: each runs."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from example_runs import loaded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _examples() -> list[Any]:
    return [
        pytest.param(each, id=each.__name__)
        for module in (loaded("reference/fleets"), loaded("reference/fleet_failures"))
        for each in vars(module).values()
        if inspect.isfunction(each) and each.__module__ == module.__name__
    ]


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("example", _examples())
def test_each_example_of_a_fleet_runs(
    example: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"folder": tmp_path}
    example(**{name: given[name] for name in inspect.signature(example).parameters})
    assert capsys.readouterr().out.strip(), "it has printed nothing"
