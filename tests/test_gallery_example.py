"""The gallery waits for what it has started, however quick that was."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import xshm

if TYPE_CHECKING:
    from painter import Painter
    from servers import Server

_GALLERY = Path(__file__).parent.parent / "examples" / "gallery.py"


@pytest.fixture
def gallery() -> Any:
    spec = importlib.util.spec_from_file_location("gallery", _GALLERY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_was_there_before_it_was_looked_for_is_seen(gallery: Any, xvfb: Server, painter: Painter) -> None:
    with xshm.Screen(xvfb.name) as screen:
        before = screen.grab()
        painter.window((0, 0, 400, 300), (10, 200, 30), title="quick")
        frame = gallery.at_rest(screen, before, 0.1, 5)
        assert frame.pixel(5, 5) == (10, 200, 30)
        with pytest.raises(SystemExit, match="did not come to rest"):
            gallery.at_rest(screen, frame, 0.1, 0.3)
