"""What xshm relies on in python-xlib: each name of `x11.protocol.xlib` has a test here, in bytes, without a server.

The numbers and layouts are those of the protocol's specifications. Whatever is to take python-xlib's place has to pass
these tests, and those of its traps may fail then: they say what xshm need no longer make good.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc
from typing import Any, Final

import pytest
from xlib_tables import NUMBERS, PARENT, REPLIES, REQUESTS, SETUP_BLOCK, WINDOW

from xshm.x11.display_name import DisplayName
from xshm.x11.protocol import xlib
from xshm.x11.protocol.decoding import decode, with_checked_lists
from xshm.x11.xlib_base import XlibBase

_TESTED_ELSEWHERE: Final = {  # below, each in a test of its own
    *("rq." + name for name in xlib.NAMES["rq"].split()),
    *("structs.Rectangle", "xfixes.DisplayCursorNotify", "lock._DummyLock"),
    *("display.Display", "display._BaseDisplay", "event.AnyEvent", "event.event_class"),
    *("error.XError", "error.ResourceIDError", "error.xerror_class"),
}


def _named(name: str) -> Any:
    """Return what has a name such as "shape.SK.Bounding"."""
    module, *names = name.split(".")
    found = getattr(xlib, module)
    for each in names:
        found = getattr(found, each)
    return found


def _member(value: Any, path: str) -> Any:
    """Return what a path such as "rectangles.0.x" leads to."""
    for each in path.split("."):
        value = value[int(each)] if each.isdigit() else getattr(value, each)
    return value


class _Recorder:
    """Stands for the display of request objects, and for that of extensions' modules: it takes what they hand over."""

    def __init__(self, reply: bytes = b"") -> None:
        self.display = self
        self.sent: list[Any] = []
        self.errors: dict[int, Any] = {}
        self._reply = reply

    def send_request(self, request: Any, _wait: bool) -> None:
        self.sent.append(request)
        if self._reply:
            request._parse_response(self._reply)

    def get_resource_class(self, name: str, default: Any = None) -> Any:
        return xlib.resource_classes().get(name, default)

    def get_extension_major(self, _name: str) -> int:
        return 140

    def extension_add_error(self, code: int, err: Any) -> None:
        self.errors[code] = err

    def __getattr__(self, name: str) -> Any:
        if name.startswith("extension_add_"):
            return lambda *_, **__: None
        raise AttributeError(name)


@pytest.fixture
def display() -> XlibBase:
    """Give what python-xlib's objects call; it is not connected."""
    return XlibBase(DisplayName.parse(":0"))


def test_each_name_has_a_test() -> None:
    listed = {f"{module}.{name}" for module, names in xlib.NAMES.items() for name in names.split()}
    numbers = {f"{module}.{name}" for module, found in NUMBERS.items() for name in found}
    assert numbers | set(REQUESTS) | _TESTED_ELSEWHERE == listed
    replies = {name for name in REQUESTS if issubclass(_named(name), xlib.rq.ReplyRequest)}
    assert set(REPLIES) == replies


@pytest.mark.parametrize("module", NUMBERS)
def test_numbers_are_the_protocols(module: str) -> None:
    assert {name: _named(f"{module}.{name}") for name in NUMBERS[module]} == NUMBERS[module]


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_are_encoded_as_the_protocol_says(name: str) -> None:
    fields, layout, values = REQUESTS[name]
    data = struct.pack(f"={layout}", *values)
    assert _named(name)._request.to_binary(**fields) == data
    if name != "protocol_display.ConnectionSetupRequest":
        assert struct.unpack_from("=xxH", data)[0] * 4 == len(data)


@pytest.mark.parametrize("name", REPLIES)
def test_replies_are_decoded_as_the_protocol_says(name: str, display: XlibBase) -> None:
    data, layout, values, fields = REPLIES[name]
    body = struct.pack(f"={layout}", *values)
    reply = struct.pack("=BBHI", 1, data, 7, len(body) // 4 - 6) + body
    assert len(reply) % 4 == 0 <= len(body) - 24
    found = decode(_named(name), reply, display)
    assert {path: _member(found, path) for path in fields} == fields
    assert found.sequence_number == 7


def test_the_setup_block_is_decoded(display: XlibBase) -> None:
    setup: Any = xlib.protocol_display.ConnectionSetupRequest
    head = struct.pack("=BBHHH", 1, 0, 11, 0, len(SETUP_BLOCK) // 4)
    assert setup._reply.static_size == len(head)
    data, rest = setup._reply.parse_binary(head + b"rest", display, rawdict=True)
    assert (data["status"], data["additional_length"], bytes(rest)) == (1, len(SETUP_BLOCK) // 4, b"rest")
    info, _ = with_checked_lists(setup._success_reply).parse_binary(SETUP_BLOCK, display)
    assert (info.resource_id_base, info.resource_id_mask, info.vendor) == (0x200000, 0x1FFFFF, "maker")
    assert (info.image_byte_order, info.bitmap_format_bit_order, info.max_request_length) == (0, 0, 65535)
    assert (info.min_keycode, info.max_keycode) == (8, 255)
    (layout,) = info.pixmap_formats
    assert (layout.depth, layout.bits_per_pixel, layout.scanline_pad) == (24, 32, 32)
    (screen,) = info.roots
    assert (screen.root.id, screen.root_depth, screen.root_visual) == (PARENT, 24, 33)
    assert (screen.width_in_pixels, screen.height_in_pixels, screen.default_colormap.id) == (1280, 800, 32)
    (visual,) = screen.allowed_depths[0].visuals
    assert (visual.visual_id, visual.visual_class, visual.red_mask) == (33, 4, 0xFF0000)


# -- descriptions of structures ----------------------------------------------------------------------------------------


def test_structures_of_extensions_are_described_by_their_fields(display: XlibBase) -> None:
    rq: Any = xlib.rq

    class Ask(rq.ReplyRequest):  # type: ignore[misc]
        _request = rq.Struct(
            *(rq.Card8("opcode"), rq.Opcode(3), rq.RequestLength(), rq.Window("window"), rq.Drawable("drawable")),
            *(rq.GC("gc"), rq.Bool("flag"), rq.Pad(1), rq.Int16("x"), rq.Card16("y"), rq.Pad(2)),
            rq.List("parts", xlib.structs.Rectangle),
        )
        _reply = rq.Struct(
            *(rq.ReplyCode(), rq.Card8("data"), rq.Card16("sequence_number"), rq.ReplyLength()),
            rq.Object("whole", xlib.structs.Rectangle),
            *(rq.Card32("number"), rq.Pad(12), rq.List("parts", xlib.structs.Rectangle)),
        )

    class Forget(rq.Request):  # type: ignore[misc]
        _request = rq.Struct(rq.Card8("opcode"), rq.Opcode(4), rq.RequestLength(), rq.Card32("number"))

    class Happened(rq.Event):  # type: ignore[misc]
        _code = None
        _fields = rq.Struct(rq.Card8("type"), rq.Pad(1), rq.Card16("sequence_number"), rq.Card32("number"), rq.Pad(24))

    fields = {"opcode": 200, "window": 1, "drawable": 2, "gc": 3, "flag": True, "x": -4, "y": 5}
    assert Ask._request.to_binary(**fields, parts=[(-1, 2, 3, 4)]) == struct.pack(
        "=BBHIIIBxhHxxhhHH", 200, 3, 8, 1, 2, 3, 1, -4, 5, -1, 2, 3, 4
    )
    reply = struct.pack("=BBHIhhHHI12xhhHH", 1, 9, 7, 2, -1, 2, 3, 4, 99, -5, 6, 7, 8)
    found = decode(Ask, reply, display)
    assert (found.data, found.number, found.whole.x, found.parts[0].height) == (9, 99, -1, 8)
    assert isinstance(found, rq.DictWrapper)
    assert found._data["number"] == 99
    assert Forget._request.to_binary(opcode=200, number=9) == struct.pack("=BBHI", 200, 4, 2, 9)
    happened = Happened(display=display, binarydata=struct.pack("=BxHI24x", 95, 7, 66))
    assert (happened.type, happened.sequence_number, happened.number) == (95, 7, 66)
    assert [(field.name, type(field).__name__) for field in Ask._reply.fields][-1] == ("parts", "List")
    assert (Ask._reply.fields[-1].type, Ask._reply.fields[-1].pad) == (xlib.structs.Rectangle, 1)


def test_a_request_object_hands_itself_to_its_display_and_takes_its_reply(display: XlibBase) -> None:
    recorder: Any = _Recorder()

    def handler(*_: Any) -> None: ...

    xlib.request.FreePixmap(display=recorder, onerror=handler, pixmap=7)
    request = recorder.sent.pop()
    assert (request._binary, request._errorhandler) == (struct.pack("=BxHI", 54, 2, 7), handler)
    xlib.request.GetInputFocus(display=recorder, defer=True)
    asked = recorder.sent.pop()
    assert (asked._data, asked._error) == (None, None)
    asked._response_lock = xlib.lock._DummyLock()
    asked._parse_response(struct.pack("=BBHII20x", 1, 1, 7, 0, 1))
    assert (asked._data["focus"], asked.revert_to) == (1, 1)
    refused: Any = xlib.error.XError(display, struct.pack("=BBHIHB21x", 0, 8, 7, 99, 3, 140))
    asked._set_error(refused)
    assert asked._error is refused


# -- objects -----------------------------------------------------------------------------------------------------------


def test_errors_are_decoded_and_found_by_their_codes(display: XlibBase) -> None:
    names = ["Request", "Value", "Window", "Pixmap", "Atom", "Cursor", "Font", "Match", "Drawable"]
    names += ["Access", "Alloc", "Color", "GC", "IDChoice", "Name", "Length", "Implementation"]
    assert [xlib.error.xerror_class[code].__name__ for code in range(1, 18)] == [f"Bad{name}" for name in names]
    error: Any = display.xlib_error(struct.pack("=BBHIHB21x", 0, 2, 7, 99, 3, 140))
    assert isinstance(error, xlib.error.XError)
    assert (error.code, error.sequence_number, error.minor_opcode, error.major_opcode) == (2, 7, 3, 140)
    assert issubclass(xlib.error.ResourceIDError, Exception)


def test_events_are_decoded_and_found_by_their_codes(display: XlibBase) -> None:
    assert {2, *range(4, 8), 12, *range(16, 20), 22, 28, 33, 34} <= set(xlib.event.event_class)
    moved = display._decode_event(struct.pack("=BxHIIIhhHHHB5x", 22, 7, WINDOW, WINDOW, 0, -1, 2, 30, 40, 0, 1))
    assert (type(moved).__name__, moved.window.id, moved.x, moved.width) == ("ConfigureNotify", WINDOW, -1, 30)
    unknown = display._decode_event(bytes([99, 1]) + bytes(30))
    assert type(unknown) is xlib.event.AnyEvent
    cursor: Any = xlib.xfixes.DisplayCursorNotify(
        display=display,
        binarydata=struct.pack("=BBHIII16x", 88, 0, 7, WINDOW, 5, 1234),
    )
    assert (cursor.window.id, cursor.cursor_serial) == (WINDOW, 5)


def test_a_display_makes_objects_of_the_classes_that_it_has(display: XlibBase) -> None:
    assert issubclass(XlibBase, xlib.display._BaseDisplay)
    classes = xlib.resource_classes()
    assert {"resource", "drawable", "window", "pixmap", "fontable", "font", "gc", "colormap", "cursor"} == set(classes)
    window = display.get_resource_class("window")(display, WINDOW)
    assert (window.id, window.display) == (WINDOW, display)
    classes.clear()
    assert xlib.resource_classes()
    assert "screen" in vars(xlib.display.Display)


def test_classes_have_the_members_that_are_used() -> None:
    rq: Any = xlib.rq
    examples = {
        "rq.Struct": rq.Struct(rq.Card8("number")),
        "rq.List": rq.List("numbers", rq.Card8Obj),
        "rq.Request": xlib.request.FreePixmap(display=_Recorder(), pixmap=7),  # type: ignore[arg-type]
        "rq.ReplyRequest": xlib.request.GetInputFocus(display=_Recorder(), defer=True),  # type: ignore[arg-type]
        "rq.Event": xlib.xfixes.DisplayCursorNotify,
        "rq.DictWrapper": rq.DictWrapper({}),
    }
    assert set(examples) <= set(xlib.MEMBERS)
    for name, members in xlib.MEMBERS.items():
        example = examples.get(name, _named(name))
        assert [each for each in members.split() if not hasattr(example, each)] == [], name


def test_extensions_and_keysyms_are_listed() -> None:
    extensions = dict(xlib.extension_modules())
    assert {"RANDR", "XFIXES", "DAMAGE", "Composite", "SHAPE", "XTEST", "X-Resource", "XINERAMA"} <= set(extensions)
    assert all(callable(xlib.import_extension(module).init) for module in extensions.values())
    groups = xlib.keysym_groups()
    assert (groups["latin1"]["XK_a"], groups["miscellany"]["XK_Escape"]) == (0x61, 0xFF1B)
    assert groups["xf86"]["XK_XF86_AudioPlay"] == 0x1008FF14
    assert all(name.startswith("XK_") for group in groups.values() for name in group)


# -- traps -------------------------------------------------------------------------------------------------------------


def test_trap_randr_and_damage_register_errors_under_offsets() -> None:
    info = type("Info", (), {"first_event": 89, "first_error": 147, "major_opcode": 140})
    randr: Any = _Recorder(struct.pack("=BxHIII16x", 1, 7, 0, 1, 5))  # QueryVersion's reply
    xlib.import_extension("randr").init(randr, info)
    assert set(randr.errors) == {0, 1, 2}  # 1 and 2 are BadRequest and BadValue
    assert not any(issubclass(kind, xlib.error.XError) for kind in randr.errors.values())
    damage: Any = _Recorder()
    xlib.import_extension("damage").init(damage, info)
    assert set(damage.errors) == {0}


def test_trap_a_list_is_as_long_as_its_number_says() -> None:
    rq: Any = xlib.rq
    items, length = rq.List("items", rq.Object("item", rq.Struct(rq.Card8("number")))), 1 << 21
    tracemalloc.start()
    try:
        with pytest.raises(Exception, match=r"."):
            items.parse_binary_value(b"\1\2", None, length, None)
        assert tracemalloc.get_traced_memory()[1] > 8 * length
    finally:
        tracemalloc.stop()
    (checked,) = with_checked_lists(rq.Struct(items)).fields
    with pytest.raises(ValueError, match="a list of 2097152 in 2 bytes"):
        checked.parse_binary_value(b"\1\2", None, length, None)


def test_trap_the_tables_are_the_classs() -> None:
    assert {"event_classes", "error_classes", "extension_major_opcodes"} <= set(vars(xlib.protocol_display.Display))
    one, other = XlibBase(DisplayName.parse(":0")), XlibBase(DisplayName.parse(":1"))
    for table in ("event_classes", "error_classes", "resource_classes", "extension_major_opcodes"):
        assert getattr(one, table) is not getattr(other, table)


def test_trap_the_value_of_an_error_is_called_a_resource(display: XlibBase) -> None:
    error: Any = display.xlib_error(struct.pack("=BBHIHB21x", 0, 2, 7, 99, 3, 140))
    assert int(error.resource_id) == 99
    assert not hasattr(error, "value")


def test_trap_a_monitors_outputs_are_called_crtcs(display: XlibBase) -> None:
    _, layout, values, _ = REPLIES["randr.GetMonitors"]
    body = struct.pack(f"={layout}", *values)
    reply = decode(xlib.randr.GetMonitors, struct.pack("=BxHI", 1, 7, len(body) // 4 - 6) + body, display)
    assert (reply.monitors[0].crtcs, hasattr(reply.monitors[0], "outputs")) == ([66], False)


# -- the module itself -------------------------------------------------------------------------------------------------


def test_modules_are_imported_when_they_are_first_used() -> None:
    program = (
        "import sys; from xshm.x11.protocol import xlib; print(*[each for each in sys.modules if 'Xlib' in each]); "
        "xlib.X; print(*[each for each in sys.modules if 'Xlib' in each])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = run.stdout.splitlines()
    assert (before, after) == ("", "Xlib Xlib.X")
    with pytest.raises(AttributeError, match="no attribute 'threaded'"):
        _ = xlib.threaded  # type: ignore[attr-defined]
