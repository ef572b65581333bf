"""The list of windows: titles, processes, visibility; and finding one of them."""

from __future__ import annotations

import os
import re
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
from colours import BLUE, RED
from painter import Painter
from programs import Programs, eventually
from Xlib import X, Xatom

import xshm
from xshm.errors import WindowNotFound, WindowNotViewable
from xshm.x11.io.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server


def _listed(screen: xshm.Screen, window: Any) -> xshm.WindowInfo:
    found = [info for info in screen.windows() if info.id == window.id]
    assert len(found) == 1
    return found[0]


def _inside(said: str) -> xshm.Rect:
    """Return a window's place inside its border, out of what `xwininfo` says of it."""
    x, y, width, height, border = (
        int(re.findall(rf"{name}: +(-?\d+)", said)[0])
        for name in ("Absolute upper-left X", "Absolute upper-left Y", "Width", "Height", "Border width")
    )
    return xshm.Rect(x + border, y + border, width, height)


# -- class, process, place ---------------------------------------------------------------------------------------------


def test_class_and_process_and_place_are_those_of_the_program(xvfb: Server, screen: xshm.Screen) -> None:
    with Programs(xvfb) as programs:
        terminal = programs.start("xterm", "-T", "it", "-geometry", "20x5+100+50", "-bw", "3")
        eventually(lambda: programs.window("it"))
        info = next(info for info in screen.windows() if info.title == "it")
        assert (info.class_name, info.instance) == ("XTerm", "xterm")
        assert info.pid == terminal.pid
        said = programs.ask("xwininfo", "-id", str(info.id))
        assert info.rect == _inside(said)
        with screen.window(info) as opened:
            assert (opened.class_name, opened.pid) == ("XTerm", terminal.pid)
            assert opened.position == (info.rect.x, info.rect.y) == (103, 53)


def test_a_window_that_says_nothing_of_its_process_has_the_one_that_the_server_knows(
    xvfb: Server, screen: xshm.Screen
) -> None:
    with Programs(xvfb) as programs:
        logo = programs.start("xlogo", "-title", "it")  # sets no _NET_WM_PID
        eventually(lambda: programs.window("it"))
        assert [info.pid for info in screen.windows() if info.title == "it"] == [logo.pid]


@pytest.mark.parametrize(
    ("kind", "fmt", "said"),
    [
        (Xatom.CARDINAL, 32, [1 << 22]),  # more than there can be
        (Xatom.CARDINAL, 32, [0xFFFFFFFF]),
        (Xatom.CARDINAL, 32, [0]),
        (Xatom.CARDINAL, 32, []),
        (Xatom.CARDINAL, 32, [1, 1]),
        (Xatom.CARDINAL, 8, [1, 0, 0, 0]),
        (Xatom.STRING, 8, list(b"1")),
    ],
)
def test_a_process_that_can_not_be_is_not_believed(
    make_server: Callable[..., Server], kind: int, fmt: int, said: list[int]
) -> None:
    server = make_server("Xvfb", 100, 100, 24, "-extension", "X-Resource")  # the server says nothing itself
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        window = painter.window((0, 0, 50, 50), BLUE)
        name = painter.display.intern_atom("_NET_WM_PID")
        window.change_property(name, kind, fmt, said)
        painter.display.sync()
        assert _listed(screen, window).pid is None
        window.change_property(name, Xatom.CARDINAL, 32, [os.getpid()])
        painter.display.sync()
        assert _listed(screen, window).pid == os.getpid()


def test_a_process_on_another_machine_is_none_on_this_one(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((0, 0, 50, 50), BLUE)
    window.change_property(painter.display.intern_atom("_NET_WM_PID"), Xatom.CARDINAL, 32, [os.getpid()])
    for machine, pid in ((socket.gethostname(), os.getpid()), ("elsewhere.example", None)):
        window.change_property(Xatom.WM_CLIENT_MACHINE, Xatom.STRING, 8, machine.encode())
        painter.display.sync()
        assert _listed(screen, window).pid == pid


# -- stacking and what can be seen -------------------------------------------------------------------------------------


def test_windows_are_listed_from_the_bottom_to_the_top(screen: xshm.Screen, painter: Painter) -> None:
    first, second, third = (painter.window((10 * i, 0, 50, 50), BLUE) for i in range(3))
    hidden = painter.window((0, 0, 50, 50), BLUE)
    hidden.unmap()
    unseen = painter.root.create_window(0, 0, 50, 50, 0, 0, window_class=X.InputOnly, override_redirect=True)
    unseen.map()
    first.raise_window()
    painter.display.sync()
    assert [info.id for info in screen.windows()] == [second.id, third.id, first.id]


def test_a_window_is_visible_as_long_as_anything_of_it_can_be_seen(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 100, 100, 100), BLUE)
    assert _listed(screen, window).visible
    left = painter.window((90, 90, 60, 150), RED)
    assert _listed(screen, window).visible
    right = painter.window((150, 100, 50, 99), RED)
    assert _listed(screen, window).visible  # a row of pixels
    right.configure(height=100)
    painter.display.sync()
    assert not _listed(screen, window).visible
    assert _listed(screen, left).visible
    left.configure(width=59)
    painter.display.sync()
    assert _listed(screen, window).visible
    left.configure(width=60)
    painter.display.sync()
    assert not _listed(screen, window).visible
    window.raise_window()
    painter.display.sync()
    assert _listed(screen, window).visible
    window.configure(x=-100)
    painter.display.sync()
    assert not _listed(screen, window).visible
    window.configure(x=-99)
    painter.display.sync()
    assert _listed(screen, window).visible


def test_a_border_covers_what_is_under_it(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 100, 100, 100), BLUE)
    cover = painter.window((100, 100, 90, 90), RED)
    assert _listed(screen, window).visible
    cover.configure(border_width=5)
    painter.display.sync()
    assert not _listed(screen, window).visible


def test_a_window_is_seen_through_the_holes_of_another(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 100, 100, 100), BLUE)
    cover = painter.window((50, 50, 200, 200), RED)
    assert not _listed(screen, window).visible
    cover.shape_rectangles(0, 0, 0, 0, 0, [(0, 0, 60, 200), (60, 0, 140, 200)])
    painter.display.sync()
    assert not _listed(screen, window).visible
    cover.shape_rectangles(0, 0, 0, 0, 0, [(0, 0, 60, 200), (61, 0, 139, 200)])
    painter.display.sync()
    assert _listed(screen, window).visible


def test_a_translucent_window_hides_nothing_where_a_compositor_runs(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 100, 100, 100), BLUE)
    depth = next(depth for depth in painter.screen.allowed_depths if depth["depth"] == 32)
    visual = depth["visuals"][0]["visual_id"]
    colormap = painter.root.create_colormap(visual, X.AllocNone)
    cover = painter.root.create_window(
        *(0, 0, 300, 300, 0, 32), visual=visual, colormap=colormap, border_pixel=0, override_redirect=True
    )
    cover.map()
    painter.display.sync()
    assert not _listed(screen, window).visible
    window.set_selection_owner(painter.display.intern_atom("_NET_WM_CM_S0"), X.CurrentTime)
    painter.display.sync()
    assert _listed(screen, window).visible


# -- window managers ---------------------------------------------------------------------------------------------------


def test_under_openbox_the_programs_windows_are_listed_in_their_frames(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 640, 480)
    with Programs(server) as programs, xshm.Screen(server.name) as screen:
        # Overlapping, so that the order on the screen is one.
        ids = [programs.show(f"lauf {n}", "xterm", "-T", f"lauf {n}", "-geometry", "30x10+50+50") for n in range(3)]
        programs.manage(*ids)
        programs.ask("xdotool", "windowactivate", "--sync", str(ids[0]))
        eventually(lambda: [info.id for info in screen.windows()][-1:] == [ids[0]])
        listed = screen.windows()
        assert sorted(info.id for info in listed) == sorted(ids)  # and nothing of openbox's own
        stacking = programs.ask("xprop", "-root", "_NET_CLIENT_LIST_STACKING")
        assert [info.id for info in listed] == [int(word, 16) for word in re.findall(r"0x[0-9a-f]+", stacking)]
        programs.ask("xprop", "-id", str(ids[2]), "-f", "_NET_WM_NAME", "8u", "-set", "_NET_WM_NAME", "läuft – noch")
        with screen.window("läuft – noch") as opened:
            assert opened.id == ids[2]
        for info in listed:
            assert info.title == f"lauf {ids.index(info.id)}"
            assert info.class_name == "XTerm"
            assert info.rect == _inside(programs.ask("xwininfo", "-id", str(info.id)))
        with screen.window("active") as opened:
            assert opened.id == ids[0]
        with screen.window("lauf 1") as opened:
            assert opened.id == ids[1]
        for window in ids:
            programs.ask("xdotool", "windowminimize", "--sync", str(window))
        eventually(lambda: screen.windows() == [])
        with pytest.raises(WindowNotFound, match="active"):
            screen.window("active")
        eventually(lambda: ids[1] not in [info.id for info in screen.windows()])
        with pytest.raises(WindowNotViewable, match="lauf 1"):
            screen.window("lauf 1")


# A window manager as ICCCM has them, that knows nothing of EWMH: two frames around each client, WM_STATE on the client.
_PLAIN_MANAGER = """
import sys, Xlib.display
from Xlib import X
d = Xlib.display.Display(sys.argv[1]); root = d.screen().root
state = d.intern_atom("WM_STATE")
clients = [window for window in root.query_tree().children if window.get_wm_name()]
root.change_attributes(event_mask=X.SubstructureRedirectMask)
for client in clients:
    at = client.get_geometry()
    frame = root.create_window(at.x, at.y, at.width + 20, at.height + 40, 2, 24, override_redirect=True)
    frame.set_wm_name("frame")
    for left in range(5):
        frame.create_window(left * 4, 0, 4, 4, 0, 24).map()
    inner = frame.create_window(5, 25, at.width + 10, at.height + 10, 1, 24)
    client.reparent(inner, 3, 4)
    client.change_property(state, state, 32, [1, 0])
    for window in (client, inner, frame):
        window.map()
d.sync()
print("managed", flush=True)
while True:
    d.next_event()
"""


def test_a_client_in_a_frame_that_never_shows_anything_is_not_listed(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 240)
    with Painter(server) as manager, xshm.Screen(server.name) as screen:
        manager.root.change_attributes(event_mask=X.SubstructureRedirectMask)
        frame = manager.root.create_window(9, 9, 80, 80, 0, 24)
        frame.map()
        state = manager.display.intern_atom("WM_STATE")
        for kind, shown in ((X.InputOnly, False), (X.InputOutput, True)):
            client = screen.xlib.screen().root.create_window(0, 0, 70, 70, 0, 0, window_class=kind)
            client.change_property(state, state, 32, [1, 0])
            client.reparent(frame, 0, 0)
            client.map()
            screen.xlib.sync()
            assert [info.id for info in screen.windows()] == [client.id] * shown
            client.destroy()


def test_under_a_plain_window_manager_clients_are_found_in_nested_frames(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 640, 480)
    with Programs(server) as programs, xshm.Screen(server.name) as screen:
        ids = {programs.show(title, "xlogo", "-title", title, "-geometry", "90x80+30+40") for title in ("one", "two")}
        programs.start(sys.executable, "-c", _PLAIN_MANAGER, server.name)
        eventually(lambda: "window state" in programs.ask("xprop", "-name", "two", "WM_STATE"))
        eventually(lambda: len(screen.windows()) == 2)
        listed = screen.windows()
        assert {info.id for info in listed} == ids
        assert {info.title for info in listed} == {"one", "two"}
        for info in listed:
            assert (info.rect.width, info.rect.height) == (90, 80)
            assert info.rect == _inside(programs.ask("xwininfo", "-id", str(info.id)))
        assert [info.visible for info in listed] == [False, True]
        with screen.window("one") as opened:
            assert opened.rect == xshm.Rect(0, 0, 90, 80)


def test_the_active_window_is_the_one_with_the_keyboard_where_nobody_manages(
    screen: xshm.Screen, painter: Painter
) -> None:
    painter.window((0, 0, 90, 90), RED, "other")
    window = painter.window((100, 0, 90, 90), BLUE, "it")
    inner = window.create_window(0, 0, 20, 20, 0, 24)
    inner.map()
    painter.display.set_input_focus(X.PointerRoot, X.RevertToPointerRoot, X.CurrentTime)
    painter.display.sync()
    with pytest.raises(WindowNotFound, match="active"):
        screen.window("active")
    for focus in (window, inner):
        painter.display.set_input_focus(focus, X.RevertToPointerRoot, X.CurrentTime)
        painter.display.sync()
        with screen.window("active") as opened:
            assert opened.id == window.id


# -- finding -----------------------------------------------------------------------------------------------------------


def test_a_window_is_found_by_its_whole_title_or_by_an_expression(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((0, 0, 50, 50), BLUE, "Notes - editor")
    painter.window((0, 0, 50, 50), RED, "Notes")
    painter.window((0, 0, 50, 50), RED, "a (strange) title")
    for description in ("Notes - editor", re.compile("EDITOR", re.IGNORECASE), re.compile("^Notes .*r$")):
        with screen.window(description) as opened:
            assert opened.id == window.id
    with screen.window("a (strange) title") as opened:
        assert opened.title == "a (strange) title"


def test_a_missing_or_ambiguous_title_is_an_error_that_lists_what_there_is(
    screen: xshm.Screen, painter: Painter
) -> None:
    with pytest.raises(WindowNotFound, match="there is none"):
        screen.window("it")
    one = painter.window((10, 20, 50, 60), BLUE, "twin")
    two = painter.window((0, 0, 50, 50), BLUE, "twin")
    other = painter.window((0, 0, 50, 50), BLUE, "other")
    for description in ("Twin", re.compile("x")):
        with pytest.raises(LookupError) as missing:
            screen.window(description)
        for window in (one, two, other):
            assert f"{window.id:#x}" in str(missing.value)
        assert "'twin'" in str(missing.value)
        assert "50x60+10+20" in str(missing.value)
    for description in ("twin", re.compile("tw")):
        with pytest.raises(WindowNotFound, match="2 windows") as ambiguous:
            screen.window(description)
        assert f"{one.id:#x}" in str(ambiguous.value)
        assert f"{two.id:#x}" in str(ambiguous.value)
        assert f"{other.id:#x}" not in str(ambiguous.value)
    two.unmap()
    painter.display.sync()
    with screen.window("twin") as opened:
        assert opened.id == one.id
    one.unmap()
    painter.display.sync()
    with pytest.raises(WindowNotViewable, match="unmapped"):
        screen.window("twin")


# -- cost and company --------------------------------------------------------------------------------------------------


def test_the_number_of_windows_adds_no_round_trips(
    screen: xshm.Screen, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = 0
    wait_for = Wire.wait_for

    def counted(wire: Wire, what: Any, timeout: float | None) -> None:
        nonlocal waits
        waits += not what.done
        wait_for(wire, what, timeout)

    monkeypatch.setattr(Wire, "wait_for", counted)

    def round_trips() -> int:
        nonlocal waits
        counts = []
        for _ in range(10):  # the least counts: on a busy machine replies come in pieces, and each is waited for
            waits = 0
            assert len(screen.windows()) >= 1
            counts.append(waits)
        return min(counts)

    painter.window((0, 0, 50, 50), BLUE, "0")
    screen.windows()  # what is asked once: extensions, atoms
    alone = round_trips()
    for number in range(1, 40):
        painter.window((0, 0, 50, 50), BLUE, str(number))
    # A batch that is larger than what one read takes in is waited for in as many pieces.
    assert round_trips() <= alone + 3
    assert alone <= 5


def test_windows_that_come_and_go_meanwhile_do_not_disturb_the_list(xvfb: Server, screen: xshm.Screen) -> None:
    script = (
        "import random, sys, Xlib.display\n"
        "d = Xlib.display.Display(sys.argv[1]); r = d.screen().root; ws = []\n"
        "while True:\n"
        "    w = r.create_window(10, 10, 50, 50, 0, 24, override_redirect=True); w.set_wm_name('mayfly'); w.map()\n"
        "    w.create_window(0, 0, 5, 5, 0, 24).map(); ws.append(w)\n"
        "    if len(ws) > 5: ws.pop(random.randrange(5)).destroy()\n"
        "    d.sync()\n"
    )
    with Programs(xvfb) as programs:
        programs.start(sys.executable, "-c", script, xvfb.name)
        eventually(screen.windows)
        counts = set()
        for _ in range(100):
            listed = screen.windows()
            assert {info.title for info in listed} <= {"mayfly", ""}
            counts.add(len(listed))
        assert max(counts) >= 3
