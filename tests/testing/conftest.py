"""Fixtures of the tests in tests/testing."""

from __future__ import annotations

from pathlib import Path

import pytest
from gui_suites import WINDOW, Suite

import xshm


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """Give a Suite without a display, and without the plugins that are installed."""
    for name in ("DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "PYTEST_ADDOPTS", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(xshm.__file__).parent.parent))
    found = Suite(pytester)
    found.write("conftest.py", WINDOW)
    return found
