"""python-xlib's own objects and extensions over our connection work as its documentation describes."""

from __future__ import annotations

import select
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from Xlib import X, error
from Xlib.ext import damage, randr, record, xinput, xtest  # noqa: F401 - what an application imports
from Xlib.protocol import event, request

from xshm import errors
from xshm.x11.connection import Connection
from xshm.x11.xlib_display import XlibDisplay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

_NOBODY = 0x1FFFFFFF
_MAP_WINDOW = 8


@pytest.fixture
def open_display(xvfb: Server) -> Iterator[Callable[[], Any]]:
    displays: list[XlibDisplay] = []

    def new() -> Any:
        displays.append(XlibDisplay(Connection(xvfb.name, timeout=10)))
        return displays[-1]

    yield new
    for display in displays:
        display.close()


@pytest.fixture
def display(open_display: Callable[[], Any]) -> Any:
    return open_display()


@pytest.fixture
def window(display: Any) -> Any:
    root = display.screen().root
    window = root.create_window(10, 20, 30, 40, 0, X.CopyFromParent, override_redirect=True)
    window.change_attributes(event_mask=X.StructureNotifyMask | X.PropertyChangeMask | X.KeyPressMask)
    window.map()
    assert display.next_event().type == X.MapNotify
    return window


def test_threads_need_no_preparation(display: Any) -> None:
    assert "Xlib.threaded" not in sys.modules
    display.sync()


# -- objects ---------------------------------------------------------------------------------------------------------


def test_windows_properties_and_atoms(display: Any, window: Any) -> None:
    window.set_wm_name("a window")
    window.set_wm_class("some", "Thing")
    assert window.get_wm_name() == "a window"
    assert window.get_wm_class() == ("some", "Thing")
    assert display.get_atom_name(display.intern_atom("XSHM_SOME_ATOM")) == "XSHM_SOME_ATOM"
    assert window.id in [child.id for child in display.screen().root.query_tree().children]
    assert window.get_geometry().height == 40
    assert display.screen().root.translate_coords(window, 1, 2).x == 11


def test_pictures_fonts_and_colours(display: Any) -> None:
    root = display.screen().root
    pixmap = root.create_pixmap(300, 200, 24)
    gc = pixmap.create_gc(foreground=0x123456)
    pixmap.fill_rectangle(gc, 0, 0, 300, 200)
    pixmap.put_image(gc, 0, 0, 300, 100, X.ZPixmap, 24, 0, bytes(120_000))
    image = pixmap.get_image(0, 0, 300, 200, X.ZPixmap, 0xFFFFFFFF)
    assert image.data[:120_000] == bytes(120_000)
    assert image.data[120_000:120_003] == bytes([0x56, 0x34, 0x12])
    assert display.open_font("fixed").query().max_bounds.character_width > 0
    assert display.screen().default_colormap.alloc_named_color("red").screen_red == 0xFFFF


def test_a_deferred_reply_may_be_read_late_and_more_than_once(display: Any) -> None:
    asked = [request.GetInputFocus(display=display.display, defer=True) for _ in range(5)]
    display.sync()
    for each in reversed(asked):
        each.reply()
        each.reply()
        assert each.revert_to in (0, 1, 2)


# -- errors ----------------------------------------------------------------------------------------------------------


def test_a_request_that_fails_raises_python_xlibs_exception(display: Any) -> None:
    with pytest.raises(error.BadDrawable) as failed:
        display.create_resource_object("window", _NOBODY).get_geometry()
    assert failed.value.resource_id.id == _NOBODY
    display.sync()


def test_caught_errors_are_known_after_sync(display: Any) -> None:
    for kind, caught in ((error.BadWindow, True), (error.BadValue, False)):
        catch = error.CatchError(kind)
        told: list[Any] = []
        display.set_error_handler(lambda problem, _: told.append(problem))  # noqa: B023 - used at once
        display.create_resource_object("window", _NOBODY).map(onerror=catch)
        display.sync()
        assert isinstance(catch.get_error(), kind) == caught
        assert [type(each) for each in told] == ([] if caught else [error.BadWindow])


def test_caught_errors_are_known_after_sync_while_another_thread_waits_for_events(display: Any, window: Any) -> None:
    waiter = threading.Thread(target=display.next_event)
    waiter.start()
    for _ in range(300):
        catch = error.CatchError(error.BadWindow)
        display.create_resource_object("window", _NOBODY).map(onerror=catch)
        display.sync()
        assert catch.get_error() is not None
    window.unmap()
    display.flush()
    waiter.join(5)
    assert not waiter.is_alive()


def test_an_error_that_nobody_handles_is_printed(display: Any, capfd: pytest.CaptureFixture[str]) -> None:
    display.create_resource_object("window", _NOBODY).map()
    display.sync()
    assert "BadWindow" in capfd.readouterr().err


def test_a_handler_that_fails_is_printed_and_harms_nothing(display: Any, capfd: pytest.CaptureFixture[str]) -> None:
    display.create_resource_object("window", _NOBODY).map(onerror=lambda *_: 1 // 0)
    display.sync()
    told = capfd.readouterr().err
    assert "ZeroDivisionError" in told
    assert "BadWindow" in told, "it was not handled, so it is nobody's"


def test_a_handler_may_ask_the_server(display: Any, window: Any) -> None:
    names: list[str] = []
    window.set_wm_name("still here")

    def handler(*_: object) -> int:
        names.append(window.get_wm_name())
        return 1

    display.create_resource_object("window", _NOBODY).map(onerror=handler)
    display.sync()
    assert names == ["still here"]


def test_core_errors_survive_the_randr_module(display: Any) -> None:
    # python-xlib puts RandR's errors under the codes 0, 1 and 2; a BadValue then ends in an endless loop.
    assert display.has_extension("RANDR")
    assert display.screen().root.xrandr_get_screen_resources().crtcs is not None
    with pytest.raises(error.BadValue):
        display.change_keyboard_control(bell_percent=126, onerror=None) or display.get_keyboard_mapping(0, 1)
    display.sync()
    with pytest.raises(error.XError) as failed:
        display.xrandr_get_crtc_info(_NOBODY, 0)
    assert type(failed.value).__name__ == "BadRRCrtcError"
    display.sync()


# -- events ----------------------------------------------------------------------------------------------------------


def test_events_are_counted_and_come_in_order(display: Any, window: Any) -> None:
    atom = display.intern_atom("XSHM_COUNT")
    for number in range(50):
        window.change_property(atom, 31, 8, b"%d" % number)
        window.configure(width=50 + number)
    display.sync()
    assert display.pending_events() == 100
    events = [display.next_event() for _ in range(100)]
    assert [event.type for event in events] == [X.PropertyNotify, X.ConfigureNotify] * 50
    assert [event.width for event in events[1::2]] == list(range(50, 100))
    assert display.pending_events() == 0


def test_an_event_that_can_not_be_read_does_not_come_for_ever(display: Any, window: Any) -> None:
    def unreadable(**_: object) -> None:
        raise KeyError("python-xlib")

    display.display.event_classes[X.UnmapNotify] = unreadable
    window.unmap()
    window.map()
    for _ in range(2):  # the first failure may have been a signal handler's
        with pytest.raises(KeyError):
            display.next_event()
    assert display.next_event().type == X.MapNotify


def test_the_descriptor_of_a_display_can_be_waited_on(display: Any, window: Any) -> None:
    assert not select.select([display], [], [], 0)[0]
    window.unmap()
    display.flush()
    assert select.select([display], [], [], 5)[0]
    assert display.next_event().type == X.UnmapNotify


# -- extensions ------------------------------------------------------------------------------------------------------


def test_all_extensions_of_python_xlib_that_the_server_has_are_there(display: Any) -> None:
    assert {
        "RANDR",
        "RECORD",
        "XTEST",
        "DAMAGE",
        "XFIXES",
        "SHAPE",
        "Composite",
        "XInputExtension",
        "X-Resource",
    } <= set(display.extensions)
    assert display.xfixes_query_version().major_version == 4  # what it asks for
    assert display.composite_query_version().major_version == 0
    assert display.res_query_version().server_major >= 1
    assert display.xinput_query_version().major_version == 2
    assert display.screen().root.shape_query_extents().bounding_shaped in (0, 1)
    assert display.xinerama_query_version() is not None


def test_record_delivers_what_other_clients_do(open_display: Callable[[], Any]) -> None:
    control, data, other = open_display(), open_display(), open_display()
    none8 = {"first": 0, "last": 0}
    none = {"major_range_first": 0, "major_range_last": 0, "minor_range_first": 0, "minor_range_last": 0}
    ranges: dict[str, Any] = dict.fromkeys(("core_replies", "delivered_events", "device_events", "errors"), none8)
    ranges |= {"core_requests": {"first": _MAP_WINDOW, "last": _MAP_WINDOW}, "ext_requests": none, "ext_replies": none}
    ranges |= {"client_started": False, "client_died": False}
    context = control.record_create_context(0, [record.AllClients], [ranges])
    control.sync()
    replies: list[Any] = []
    listener = threading.Thread(target=data.record_enable_context, args=(context, replies.append))
    listener.start()
    deadline = time.monotonic() + 5
    while not replies and time.monotonic() < deadline:
        time.sleep(0.005)
    assert replies[0].category == record.StartOfData
    window = other.screen().root.create_window(0, 0, 5, 5, 0, X.CopyFromParent)
    for _ in range(200):
        window.map()
    other.sync()
    control.record_disable_context(context)
    control.sync()
    listener.join(5)
    assert not listener.is_alive()
    assert replies[-1].category == record.EndOfData
    recorded = b"".join(reply.data for reply in replies if reply.category == record.FromClient)
    assert recorded == window_requests(window.id) * 200
    control.record_free_context(context)


def window_requests(window: int) -> bytes:
    return bytes([_MAP_WINDOW, 0, 2, 0]) + window.to_bytes(4, "little")


def test_xtest_types_and_the_key_arrives(display: Any, window: Any) -> None:
    window.set_input_focus(X.RevertToPointerRoot, X.CurrentTime)
    for kind in (X.KeyPress, X.KeyRelease):
        display.xtest_fake_input(kind, 38)
    while (event := display.next_event()).type != X.KeyPress:  # the focus is told of, too
        pass
    assert event.detail == 38


def test_xinput_events_of_any_length_arrive(display: Any) -> None:
    root = display.screen().root
    root.xinput_select_events([(xinput.AllDevices, xinput.RawMotionMask | xinput.MotionMask)])
    display.sync()
    display.xtest_fake_input(X.MotionNotify, x=100, y=100)
    display.xtest_fake_input(X.MotionNotify, x=120, y=130)
    kinds: list[int] = []
    while not {xinput.RawMotion, xinput.Motion} <= set(kinds):
        event = display.next_event()
        assert event.type == display.extension_event.GenericEvent
        # The server may tell of the pointer where it was before, when what is under it has changed.
        if event.evtype != xinput.Motion or event.data.root_x >= 100:
            kinds.append(event.evtype)


def test_damage_is_told_of_as_an_event(display: Any, window: Any) -> None:
    display.damage_query_version()
    made = window.damage_create(damage.DamageReportRawRectangles)
    assert display.next_event().area.width == 30  # to begin with, all of it
    window.fill_rectangle(window.create_gc(foreground=5), 3, 4, 5, 6)
    event = display.next_event()
    assert event.type == display.extension_event.DamageNotify
    assert event.damage == made
    assert (event.area.x, event.area.y, event.area.width, event.area.height) == (3, 4, 5, 6)


def test_a_change_of_the_screen_is_told_of_as_randrs_event(make_server: Callable[..., Server]) -> None:
    display: Any = XlibDisplay(Connection(make_server("Xvnc", 640, 480).name, timeout=10))
    root = display.screen().root
    root.xrandr_select_input(randr.RRScreenChangeNotifyMask)
    info = root.xrandr_get_screen_info()
    (size,) = [
        number for number, size in enumerate(info.sizes) if (size.width_in_pixels, size.height_in_pixels) == (800, 600)
    ]
    root.xrandr_set_screen_config(size, info.rotation, info.config_timestamp, 0)  # at any rate
    sizes: list[tuple[int, int]] = []
    while (800, 600) not in sizes:
        event = display.next_event()
        assert type(event).__name__ == "ScreenChangeNotify"
        sizes.append((event.width_in_pixels, event.height_in_pixels))
    display.close()


# -- the end ---------------------------------------------------------------------------------------------------------


def test_a_closed_display_is_closed_and_so_is_its_connection(display: Any) -> None:
    display.close()
    display.close()
    for use in (display.sync, display.next_event, display.pending_events, display.screen().root.get_geometry):
        with pytest.raises(errors.Closed):
            use()


def test_the_tables_of_python_xlib_itself_stay_as_they_were(xvfb: Server) -> None:
    before = dict(error.xerror_class), dict(event.event_class)
    XlibDisplay(Connection(xvfb.name)).close()
    assert before == (error.xerror_class, event.event_class)
