"""The tests' own tools: every server starts, and painter and reference agree about its screen."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
from painter import Painter
from reference import core_image, xwd

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server

_KINDS = [
    *(("Xvfb", depth) for depth in (8, 15, 16, 24, 30)),
    *(("Xvnc", depth) for depth in (16, 24)),
    *(("Xephyr", depth) for depth in (8, 16, 24)),
    *(("Xorg", depth) for depth in (8, 15, 16, 24, 30)),
    ("Xwayland", 24),
]


@pytest.mark.parametrize(("kind", "depth"), _KINDS)
def test_both_references_see_what_was_painted(kind: str, depth: int, make_server: Callable[..., Server]) -> None:
    server = make_server(kind, 320, 200, depth)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)]
    with Painter(server) as painter:
        painter.noise((0, 0, 320, 200))
        for number, colour in enumerate(colours):
            painter.fill((number * 50, 20, 40, 30), colour)
        dump = xwd(server)
        assert dump.depth == depth
        assert dump.pixels.shape[:2] == (200, 320)
        assert np.array_equal(dump.pixels, core_image(painter.display))
        assert np.array_equal(dump.pixels[30:90, 40:171], core_image(painter.display, (40, 30, 131, 60)))
        for number, colour in enumerate(colours):
            assert (dump.rgb()[20:50, number * 50 : number * 50 + 40] == colour).all()


def test_a_window_and_rectangles_are_seen_by_both_references(painter: Painter, xvfb: Server) -> None:
    painter.rectangles()
    window = painter.window((100, 120, 60, 40), (12, 34, 56), title="a window")
    dump = xwd(xvfb, window.id)
    assert dump.pixels.shape == (40, 60, 4)
    assert (dump.rgb() == (12, 34, 56)).all()
    assert np.array_equal(dump.pixels, core_image(painter.display, drawable=window))
    assert len({tuple(pixel) for pixel in xwd(xvfb).rgb()[::20, ::20].reshape(-1, 3)}) > 10


def test_a_rootless_xwayland_shows_windows(make_server: Callable[..., Server]) -> None:
    server = make_server("Xwayland-rootless", 640, 480)
    with Painter(server) as painter:
        window = painter.window((10, 20, 60, 40), (12, 34, 56))
        assert (xwd(server, window.id).rgb() == (12, 34, 56)).all()


def test_a_paused_server_does_not_answer_and_a_resumed_one_does(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 200)
    server.pause()
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["xdpyinfo"], env=server.env(), capture_output=True, check=True, timeout=0.3)
    server.resume()
    subprocess.run(["xdpyinfo"], env=server.env(), capture_output=True, check=True, timeout=10)


def test_a_server_that_can_not_start_is_reported_with_what_it_said(make_server: Callable[..., Server]) -> None:
    with pytest.raises(RuntimeError, match="Unrecognized option: -no-such-option"):
        make_server("Xvfb", 320, 200, 24, "-no-such-option")
