"""Each kind of fault in `faults`, provoked a few times; `python tests/faults` does it by the thousand."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from faults.report import Report

KINDS = sorted(
    path.stem
    for path in (Path(__file__).parent / "faults").glob("*.py")
    if path.stem not in {"__init__", "__main__", "report"}
)


@pytest.mark.parametrize("kind", KINDS)
def test_provoked(kind: str) -> None:
    report = Report()
    importlib.import_module(f"faults.{kind}").provoke(report, 1)
    assert report.failures == []
    assert sum(row.tried for row in report.rows) > 0
