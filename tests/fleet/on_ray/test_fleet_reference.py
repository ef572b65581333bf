"""The examples of the API reference that need Ray: each runs."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_EXAMPLES = Path(__file__).parents[3] / "examples" / "reference"


def _examples() -> list[Any]:
    found = []
    for name in ("fleets", "fleet_failures"):
        spec = importlib.util.spec_from_file_location(f"reference_{name}", _EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found += [
            pytest.param(each, id=each.__name__)
            for each in vars(module).values()
            if inspect.isfunction(each) and each.__module__ == module.__name__
        ]
    return found


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("example", _examples())
def test_each_example_of_a_fleet_runs(
    example: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"folder": tmp_path}
    example(**{name: given[name] for name in inspect.signature(example).parameters})
    assert capsys.readouterr().out.strip(), "it has printed nothing"
