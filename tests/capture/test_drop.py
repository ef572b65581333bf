"""Objects dropped without `close` release sockets, memory and segments at once, by reference counts alone."""

from __future__ import annotations

import gc
import sys
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from descriptors import new_descriptors, open_descriptors
from interrupt_workload import new_segments, own_segments
from Xlib import X

import xshm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server


def _map(screen: xshm.Screen) -> int:
    window = screen.xlib.screen().root.create_window(0, 0, 50, 50, 0, X.CopyFromParent)
    window.map()
    screen.xlib.sync()
    return int(window.id)


def _closed_stream(screen: xshm.Screen) -> None:
    with screen.stream(on_change=True, cursor=True) as stream:
        next(stream)


def _closed_window(screen: xshm.Screen) -> None:
    with screen.window(_map(screen)) as window:
        window.grab()


pytestmark = pytest.mark.filterwarnings("ignore:unclosed <(Screen|Surface):ResourceWarning")

_USES: dict[str, Callable[[xshm.Screen], Any]] = {
    "nothing": lambda _screen: None,
    "grabs": lambda screen: [screen.grab(), screen.grab((0, 0, 10, 10), cursor=True)],
    "a question that is under way": lambda screen: screen.xlib.screen().root.warp_pointer(3, 3),
    "windows": lambda screen: screen.windows(),
    "a window that was closed": _closed_window,
    "a window that was dropped": lambda screen: screen.window(_map(screen)).grab(),
    "a stream that was closed": _closed_stream,
    "a stream that was dropped": lambda screen: next(screen.stream(on_change=True, cursor=True)),
    "a stream of a window that was dropped": lambda screen: next(screen.window(_map(screen)).stream(on_change=True)),
    "a paced stream that was dropped": lambda screen: next(screen.stream(fps=50)),
    "a wait": lambda screen: screen.wait_stable(0.01),
}


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("use", _USES)
@pytest.mark.parametrize("transport", ["sysv", "fd", "core"])
def test_a_screen_that_is_dropped_is_gone_at_once(xvfb: Server, use: str, transport: str) -> None:
    before, segments = open_descriptors(), own_segments()
    screen = xshm.Screen(xvfb.name, transport)
    _USES[use](screen)
    connection, wire = weakref.ref(screen.connection), weakref.ref(screen.connection.wire)
    del screen
    assert (connection(), wire()) == (None, None)
    assert not new_descriptors(before)
    other = xshm.Screen(xvfb.name, "core")  # once it is answered, the server has seen the other's end
    other.close()
    assert not new_segments(segments)


@pytest.mark.usefixtures("no_collector")
def test_the_warning_names_what_was_dropped_and_is_put_together_in_c(xvfb: Server) -> None:
    for dropped, name in (
        ([xshm.Screen(xvfb.name)], f"<Screen {xvfb.name} 1280x800 "),
        ([xshm.Surface(50, 40, display=xvfb.name)], "<Surface "),
        ([xshm.Screen(xvfb.name).connection], f"<Screen {xvfb.name} "),
    ):
        with pytest.warns(ResourceWarning, match=f"^unclosed {name}"):
            dropped.clear()
    held = [xshm.Screen(xvfb.name)]
    called: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_name) if event == "call" else None)
        held.clear()
        sys.setprofile(None)
    assert "__repr__" not in called


@pytest.mark.usefixtures("no_collector")
def test_a_frame_and_an_xlib_window_each_keep_what_they_need(xvfb: Server) -> None:
    screen = xshm.Screen(xvfb.name)
    frame, root = screen.grab((0, 0, 9, 9)), screen.xlib.screen().root
    connection = weakref.ref(screen.connection)
    del screen
    assert root.get_geometry().width == 1280
    del root
    assert connection() is None
    assert frame.pixels.shape == (9, 9, 4)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("first", ["stream", "screen"])
def test_a_closed_screen_holds_no_memory_of_streams_that_were_dropped(xvfb: Server, first: str) -> None:
    screen = xshm.Screen(xvfb.name, "fd")
    before = _mappings()
    stream = screen.stream(on_change=True)
    next(stream)
    assert _mappings() > before
    if first == "screen":
        screen.close()
    del stream
    screen.close()
    assert _mappings() <= before


def _mappings() -> int:
    """Count the memfds that this process has mapped: of a segment that the server let go of, nothing else tells."""
    return Path("/proc/self/maps").read_text().count("memfd:xshm")


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("kind", ["stream", "window"])
def test_no_code_in_python_runs_when_something_is_dropped_unclosed(kind: str, xvfb: Server) -> None:
    # What a signal handler raises inside of a finalizer is swallowed: Ctrl-C would be without effect.
    with xshm.Screen(xvfb.name) as screen:
        window = _map(screen)
        before = set(screen.connection.resources.numbers)
        held: list[Any] = [screen.stream(on_change=True) if kind == "stream" else screen.window(window)]
        called: list[str] = []
        sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_name) if event == "call" else None)
        held.clear()
        sys.setprofile(None)
        assert called == []
        assert set(screen.connection.resources.numbers) > before
        screen.connection.sync()
        assert set(screen.connection.resources.numbers) == before
