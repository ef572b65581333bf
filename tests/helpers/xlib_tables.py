"""What specifications of X say of that which xshm takes from python-xlib: numbers, requests and replies as bytes."""

from __future__ import annotations

import struct
from typing import Any, Final

# fmt: off
NUMBERS: Final = {
    "X": {
        "NONE": 0, "CopyFromParent": 0, "PointerRoot": 1, "AnyPropertyType": 0, "PropModeReplace": 0,
        "InputOutput": 1, "InputOnly": 2, "IsUnmapped": 0, "IsViewable": 2, "NorthWestGravity": 1, "PlaceOnTop": 0,
        "KeyPressMask": 1, "KeyReleaseMask": 2, "ButtonPressMask": 4, "ButtonReleaseMask": 8,
        "PointerMotionMask": 0x40, "ExposureMask": 0x8000, "StructureNotifyMask": 0x20000,
        "SubstructureNotifyMask": 0x80000, "SubstructureRedirectMask": 0x100000, "PropertyChangeMask": 0x400000,
        "CreateNotify": 16, "DestroyNotify": 17, "UnmapNotify": 18, "MapNotify": 19, "ReparentNotify": 21,
        "ConfigureNotify": 22, "GravityNotify": 24, "CirculateNotify": 26, "PropertyNotify": 28,
    },
    "Xatom": {
        "ATOM": 4, "CARDINAL": 6, "RESOURCE_MANAGER": 23, "STRING": 31, "WINDOW": 33, "WM_CLIENT_MACHINE": 36,
        "WM_NAME": 39, "WM_NORMAL_HINTS": 40, "WM_SIZE_HINTS": 41, "WM_CLASS": 67,
    },
    "composite": {"RedirectAutomatic": 0},
    "damage": {"DamageReportNonEmpty": 3},
    "randr": {"RRScreenChangeNotifyMask": 1},
    "res": {"LocalClientPIDMask": 2},
    "shape": {"SK.Bounding": 0},
}

WINDOW, PARENT, _GC = 0x200001, 0x200002, 0x200003
_ATTRIBUTES: Final = {"bit_gravity": 1, "event_mask": 0x8000}
_COPY: Final = {"src_x": -1, "src_y": 2, "dst_x": -3, "dst_y": 4, "width": 5, "height": 6}
# Of each request the fields, and the bytes: a format, and the values from the major opcode on.
REQUESTS: Final[dict[str, tuple[dict[str, Any], str, tuple[Any, ...]]]] = {
    "request.CreateWindow": (
        {
            "depth": 24, "wid": WINDOW, "parent": PARENT, "x": -1, "y": -2, "width": 3, "height": 4,
            "border_width": 0, "window_class": 1, "visual": 0, "attrs": _ATTRIBUTES,
        },
        "BBHIIhhHHHHIIB3xI",
        (1, 24, 10, WINDOW, PARENT, -1, -2, 3, 4, 0, 1, 0, 0x810, 1, 0x8000),
    ),
    "request.ChangeWindowAttributes": (
        {"window": WINDOW, "attrs": {"event_mask": 0x8000}},
        "BxHIII",
        (2, 4, WINDOW, 0x800, 0x8000),
    ),
    "request.GetWindowAttributes": ({"window": WINDOW}, "BxHI", (3, 2, WINDOW)),
    "request.DestroyWindow": ({"window": WINDOW}, "BxHI", (4, 2, WINDOW)),
    "request.MapWindow": ({"window": WINDOW}, "BxHI", (8, 2, WINDOW)),
    "request.ConfigureWindow": (
        {"window": WINDOW, "attrs": {"width": 7, "height": 8}},
        "BxHIHxxHxxHxx",
        (12, 5, WINDOW, 0xC, 7, 8),
    ),
    "request.GetGeometry": ({"drawable": WINDOW}, "BxHI", (14, 2, WINDOW)),
    "request.QueryTree": ({"window": WINDOW}, "BxHI", (15, 2, WINDOW)),
    "request.InternAtom": ({"only_if_exists": True, "name": "EDID"}, "BBHHxx4s", (16, 1, 3, 4, b"EDID")),
    "request.GetAtomName": ({"atom": 39}, "BxHI", (17, 2, 39)),
    "request.ChangeProperty": (
        {"mode": 0, "window": WINDOW, "property": 39, "type": 31, "data": (8, b"title")},
        "BBHIIIB3xI8s",
        (18, 0, 8, WINDOW, 39, 31, 8, 5, b"title"),
    ),
    "request.GetProperty": (
        {"delete": False, "window": WINDOW, "property": 39, "type": 0, "long_offset": 0, "long_length": 99},
        "BBHIIIII",
        (20, 0, 6, WINDOW, 39, 0, 0, 99),
    ),
    "request.GetSelectionOwner": ({"selection": 99}, "BxHI", (23, 2, 99)),
    "request.GrabServer": ({}, "BxH", (36, 1)),
    "request.UngrabServer": ({}, "BxH", (37, 1)),
    "request.QueryPointer": ({"window": WINDOW}, "BxHI", (38, 2, WINDOW)),
    "request.TranslateCoords": (
        {"src_wid": WINDOW, "dst_wid": PARENT, "src_x": -5, "src_y": 6},
        "BxHIIhh",
        (40, 4, WINDOW, PARENT, -5, 6),
    ),
    "request.GetInputFocus": ({}, "BxH", (43, 1)),
    "request.CreatePixmap": (
        {"depth": 24, "pid": 7, "drawable": WINDOW, "width": 8, "height": 9},
        "BBHIIHH",
        (53, 24, 4, 7, WINDOW, 8, 9),
    ),
    "request.FreePixmap": ({"pixmap": 7}, "BxHI", (54, 2, 7)),
    "request.CreateGC": (
        {"cid": _GC, "drawable": WINDOW, "attrs": {"graphics_exposures": 0}},
        "BxHIIIB3x",
        (55, 5, _GC, WINDOW, 0x10000, 0),
    ),
    "request.FreeGC": ({"gc": _GC}, "BxHI", (60, 2, _GC)),
    "request.CopyArea": (
        {"src_drawable": WINDOW, "dst_drawable": PARENT, "gc": _GC, **_COPY},
        "BxHIIIhhhhHH",
        (62, 7, WINDOW, PARENT, _GC, *_COPY.values()),
    ),
    "request.GetImage": (
        {"format": 2, "drawable": WINDOW, "x": -1, "y": 2, "width": 3, "height": 4, "plane_mask": 0xFFFFFFFF},
        "BBHIhhHHI",
        (73, 2, 5, WINDOW, -1, 2, 3, 4, 0xFFFFFFFF),
    ),
    "request.AllocColor": (
        {"cmap": 32, "red": 1, "green": 2, "blue": 65535},
        "BxHIHHHxx",
        (84, 4, 32, 1, 2, 65535),
    ),
    "request.FreeColors": (
        {"cmap": 32, "plane_mask": 0, "pixels": [8, 9]},
        "BxHIIII",
        (88, 5, 32, 0, 8, 9),
    ),
    "request.QueryColors": ({"cmap": 32, "pixels": [8, 9]}, "BxHIII", (91, 4, 32, 8, 9)),
    "request.QueryExtension": ({"name": "RANDR"}, "BxHHxx8s", (98, 4, 5, b"RANDR")),
    "request.GetKeyboardMapping": ({"first_keycode": 8, "count": 248}, "BxHBBxx", (101, 2, 8, 248)),
    "composite.RedirectWindow": ({"opcode": 142, "window": WINDOW, "update": 0}, "BBHIB3x", (142, 1, 3, WINDOW, 0)),
    "composite.UnredirectWindow": ({"opcode": 142, "window": WINDOW, "update": 0}, "BBHIB3x", (142, 3, 3, WINDOW, 0)),
    "composite.CreateRegionFromBorderClip": (
        {"opcode": 142, "region": 5, "window": WINDOW},
        "BBHII",
        (142, 5, 3, 5, WINDOW),
    ),
    "composite.NameWindowPixmap": ({"opcode": 142, "window": WINDOW, "pixmap": 6}, "BBHII", (142, 6, 3, WINDOW, 6)),
    "damage.DamageCreate": (
        {"opcode": 143, "damage": 5, "drawable": WINDOW, "level": 3},
        "BBHIIB3x",
        (143, 1, 4, 5, WINDOW, 3),
    ),
    "damage.DamageDestroy": ({"opcode": 143, "damage": 5}, "BBHI", (143, 2, 2, 5)),
    "randr.SelectInput": ({"opcode": 140, "window": WINDOW, "mask": 1}, "BBHIHxx", (140, 4, 3, WINDOW, 1)),
    "randr.GetOutputInfo": ({"opcode": 140, "output": 66, "config_timestamp": 7}, "BBHII", (140, 9, 3, 66, 7)),
    "randr.GetOutputProperty": (
        {
            "opcode": 140, "output": 66, "property": 70, "type": 0, "long_offset": 0, "long_length": 32,
            "delete": False, "pending": False,
        },
        "BBHIIIIIBBxx",
        (140, 15, 7, 66, 70, 0, 0, 32, 0, 0),
    ),
    "randr.GetCrtcInfo": ({"opcode": 140, "crtc": 63, "config_timestamp": 7}, "BBHII", (140, 20, 3, 63, 7)),
    "randr.GetScreenResourcesCurrent": ({"opcode": 140, "window": WINDOW}, "BBHI", (140, 25, 2, WINDOW)),
    "randr.GetOutputPrimary": ({"opcode": 140, "window": WINDOW}, "BBHI", (140, 31, 2, WINDOW)),
    "randr.GetScreenSizeRange": ({"opcode": 140, "window": WINDOW}, "BBHI", (140, 6, 2, WINDOW)),
    "randr.GetScreenInfo": ({"opcode": 140, "window": WINDOW}, "BBHI", (140, 5, 2, WINDOW)),
    "randr.SetScreenConfig": (
        {
            "opcode": 140, "drawable": WINDOW, "timestamp": 0, "config_timestamp": 7, "size_id": 3, "rotation": 1,
            "rate": 0,
        },
        "BBHIIIHHHxx",
        (140, 2, 6, WINDOW, 0, 7, 3, 1, 0),
    ),
    "randr.CreateMode": (
        {
            "opcode": 140, "window": WINDOW, "name": "xshm-9x8",
            "mode": {
                "id": 0, "width": 9, "height": 8, "dot_clock": 4320, "h_sync_start": 10, "h_sync_end": 11,
                "h_total": 12, "h_skew": 0, "v_sync_start": 13, "v_sync_end": 14, "v_total": 15, "name_length": 8,
                "flags": 0,
            },
        },
        "BBHIIHHIHHHHHHHHI8s",
        (140, 16, 12, WINDOW, 0, 9, 8, 4320, 10, 11, 12, 0, 13, 14, 15, 8, 0, b"xshm-9x8"),
    ),
    "randr.DestroyMode": ({"opcode": 140, "mode": 68}, "BBHI", (140, 17, 2, 68)),
    "randr.AddOutputMode": ({"opcode": 140, "output": 66, "mode": 68}, "BBHII", (140, 18, 3, 66, 68)),
    "randr.DeleteOutputMode": ({"opcode": 140, "output": 66, "mode": 68}, "BBHII", (140, 19, 3, 66, 68)),
    "randr.GetMonitors": (
        {"opcode": 140, "window": WINDOW, "is_active": True},
        "BBHIB3x",
        (140, 42, 3, WINDOW, 1),
    ),
    "res.QueryClientIds": (
        {"opcode": 144, "specs": [{"client": 0, "mask": 2}]},
        "BBHIII",
        (144, 4, 4, 1, 0, 2),
    ),
    "shape.QueryExtents": ({"opcode": 129, "destination_window": WINDOW}, "BBHI", (129, 5, 2, WINDOW)),
    "shape.SelectInput": (
        {"opcode": 129, "destination_window": WINDOW, "enable": 1},
        "BBHIB3x",
        (129, 6, 3, WINDOW, 1),
    ),
    "shape.InputSelected": ({"opcode": 129, "destination_window": WINDOW}, "BBHI", (129, 7, 2, WINDOW)),
    "shape.GetRectangles": (
        {"opcode": 129, "window": WINDOW, "source_kind": 0},
        "BBHIB3x",
        (129, 8, 3, WINDOW, 0),
    ),
    "xfixes.SelectCursorInput": (
        {"opcode": 138, "window": WINDOW, "mask": 1},
        "BBHII",
        (138, 3, 3, WINDOW, 1),
    ),
    "xinerama.IsActive": ({"opcode": 141}, "BBH", (141, 4, 1)),
    "xinerama.QueryScreens": ({"opcode": 141}, "BBH", (141, 5, 1)),
    "protocol_display.ConnectionSetupRequest": (
        {
            "byte_order": 0x6C, "protocol_major": 11, "protocol_minor": 0,
            "auth_prot_name": b"MIT-MAGIC-COOKIE-1", "auth_prot_data": bytes(range(16)),
        },
        "BxHHHHxx20s16s",
        (0x6C, 11, 0, 18, 16, b"MIT-MAGIC-COOKIE-1", bytes(range(16))),
    ),
}

# Of each reply the byte in the header, a format and values from byte 8 on, and fields that xshm reads.
REPLIES: Final[dict[str, tuple[int, str, tuple[Any, ...], dict[str, Any]]]] = {
    "request.GetWindowAttributes": (
        0,
        "IHBBIIBBBBIIIHxx",
        (33, 1, 0, 1, 0, 0, 0, 1, 2, 1, 32, 0x820000, 0x8000, 0),
        {"visual": 33, "win_class": 1, "map_state": 2, "override_redirect": 1, "all_event_masks": 0x820000},
    ),
    "request.GetGeometry": (
        24,
        "IhhHHH10x",
        (PARENT, -1, 2, 30, 40, 5),
        {"depth": 24, "root.id": PARENT, "x": -1, "y": 2, "width": 30, "height": 40, "border_width": 5},
    ),
    "request.QueryTree": (
        0,
        "IIH14xII",
        (PARENT, 0, 2, 7, 8),
        {"root.id": PARENT, "parent": 0, "children.0.id": 7, "children.1.id": 8},
    ),
    "request.InternAtom": (0, "I20x", (70,), {"atom": 70}),
    "request.GetAtomName": (0, "H22x8s", (5, b"HDMI\xe9"), {"name": "HDMI\xe9"}),
    "request.GetProperty": (
        32,
        "III12xII",
        (6, 1, 2, 41, 42),
        {"property_type": 6, "bytes_after": 1, "value.0": 32, "value.1.0": 41, "value.1.1": 42},
    ),
    "request.GetSelectionOwner": (0, "I20x", (0,), {"owner": 0}),
    "request.QueryPointer": (
        1,
        "IIhhhhH6x",
        (PARENT, 0, -5, 6, -7, 8, 1),
        {"same_screen": 1, "root.id": PARENT, "child": 0, "root_x": -5, "root_y": 6, "win_x": -7, "win_y": 8},
    ),
    "request.TranslateCoords": (1, "Ihh16x", (0, -5, 6), {"x": -5, "y": 6, "child": 0}),
    "request.GetInputFocus": (1, "I20x", (1,), {"focus": 1}),
    "request.GetImage": (24, "I20x8s", (33, b"BGRXBGRX"), {"depth": 24, "visual": 33, "data": b"BGRXBGRX"}),
    "request.AllocColor": (0, "HHHxxI12x", (1, 2, 3, 99), {"pixel": 99, "red": 1, "blue": 3}),
    "request.QueryColors": (0, "H22xHHHxx", (1, 1, 2, 65535), {"colors.0.red": 1, "colors.0.blue": 65535}),
    "request.QueryExtension": (
        0,
        "BBBB20x",
        (1, 140, 89, 147),
        {"present": 1, "major_opcode": 140, "first_event": 89, "first_error": 147},
    ),
    "request.GetKeyboardMapping": (2, "24xIIII", (97, 65, 0, 0), {"keysyms.0.0": 97, "keysyms.0.1": 65}),
    "randr.GetMonitors": (
        0,
        "III12xIBBHhhHHIII",
        (7, 1, 1, 70, 1, 1, 1, -1, 2, 1280, 800, 300, 200, 66),
        {
            "monitors.0.name": 70, "monitors.0.primary": 1, "monitors.0.x": -1, "monitors.0.y": 2,
            "monitors.0.width_in_pixels": 1280, "monitors.0.height_in_pixels": 800,
            "monitors.0.width_in_millimeters": 300, "monitors.0.height_in_millimeters": 200,
        },
    ),
    "randr.GetScreenResourcesCurrent": (
        0,
        "IIHHHH8xIIIHHIHHHHHHHHI",
        (6, 7, 1, 1, 1, 0, 63, 66, 68, 1280, 800, 83_500_000, 1, 2, 1680, 0, 3, 4, 831, 0, 0x10),
        {
            "config_timestamp": 7, "crtcs.0": 63, "outputs.0": 66, "modes.0.id": 68, "modes.0.h_total": 1680,
            "modes.0.v_total": 831, "modes.0.dot_clock": 83_500_000, "modes.0.flags": 0x10,
        },
    ),
    "randr.GetOutputInfo": (
        0,
        "IIIIBBHHHHH8s",
        (7, 63, 300, 200, 0, 0, 0, 0, 0, 0, 6, b"screen"),
        {"crtc": 63, "name": "screen"},
    ),
    "randr.GetCrtcInfo": (0, "IhhHHIHHHH", (7, 0, 0, 1280, 800, 68, 1, 1, 0, 0), {"mode": 68}),
    "randr.GetScreenSizeRange": (
        0,
        "HHHH16x",
        (32, 31, 16384, 16383),
        {"min_width": 32, "min_height": 31, "max_width": 16384, "max_height": 16383},
    ),
    "randr.GetScreenInfo": (
        1,
        "IIIHHHHHxxHHHH",
        (WINDOW, 6, 7, 1, 0, 1, 60, 2, 640, 480, 169, 127),
        {"config_timestamp": 7, "sizes.0.width_in_pixels": 640, "sizes.0.height_in_pixels": 480},
    ),
    "randr.SetScreenConfig": (2, "IIIH10x", (6, 7, WINDOW, 0), {"status": 2, "new_config_timestamp": 7}),
    "randr.CreateMode": (0, "I20x", (68,), {"mode": 68}),
    "randr.GetOutputPrimary": (0, "I20x", (66,), {"output": 66}),
    "randr.GetOutputProperty": (8, "III12x4s", (19, 0, 4, b"\0\xff\xff\xff"), {"value.0": 0, "value.3": 255}),
    "res.QueryClientIds": (
        0,
        "I20xIIII",
        (1, WINDOW & ~0x1FFFFF, 2, 4, 4711),
        {"ids.0.spec.client": 0x200000, "ids.0.value.0": 4711},
    ),
    "shape.QueryExtents": (
        0,
        "BBxxhhHHhhHH4x",
        (1, 0, -1, 2, 30, 40, 0, 0, 30, 40),
        {
            "bounding_shaped": 1, "bounding_shape_extents_x": -1, "bounding_shape_extents_y": 2,
            "bounding_shape_extents_width": 30, "bounding_shape_extents_height": 40,
        },
    ),
    "shape.InputSelected": (1, "24x", (), {"enabled": 1}),
    "shape.GetRectangles": (
        0,
        "I20xhhHH",
        (1, -1, 2, 30, 40),
        {"rectangles.0.x": -1, "rectangles.0.y": 2, "rectangles.0.width": 30, "rectangles.0.height": 40},
    ),
    "xinerama.IsActive": (0, "I20x", (1,), {"state": 1}),
    "xinerama.QueryScreens": (
        0,
        "I20xhhHHhhHH",
        (2, 0, 0, 640, 480, 640, 0, 800, 600),
        {"screens.1.x": 640, "screens.1.y": 0, "screens.1.width": 800, "screens.1.height": 600},
    ),
}
SETUP_BLOCK: Final = struct.pack(
    "=IIIIHHBBBBBBBB4x8sBBB5xIIIIIHHHHHHIBBBBBxH4xIBBHIII4x",
    *(12101000, 0x200000, 0x1FFFFF, 256, 5, 65535, 1, 1, 0, 0, 32, 32, 8, 255, b"maker", 24, 32, 32),
    *(PARENT, 32, 0xFFFFFF, 0, 0, 1280, 800, 300, 200, 1, 1, 33, 0, 0, 24, 1, 24, 1),
    *(33, 4, 8, 256, 0xFF0000, 0xFF00, 0xFF),
)
