"""The framebuffer is the screen itself: it has what is drawn, is this user's alone, and goes with its last view."""

from __future__ import annotations

import fcntl
import os
import pickle
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from colours import BLUE, GREEN, RED
from descriptors import open_file_of
from displays import painted_pointer, painting
from hypothesis import given
from hypothesis import strategies as st

from xshm import sysv
from xshm.errors import (
    Closed,
    FramebufferTruncated,
    InvalidArgument,
    InvalidType,
    OutOfBounds,
    StartFailed,
    UnsupportedFormat,
)
from xshm.virtual.display import VirtualDisplay
from xshm.virtual.framebuffer import Framebuffer
from xshm.virtual.framebuffer_file import can_be_truncated
from xshm.virtual.xwd import XwdHeader
from xshm.x11.protocol import core

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANOTHER_UID = 65534


def mapped(what: str) -> int:
    return sum(what in line for line in Path("/proc/self/maps").read_text().splitlines())


# -- what is in it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "sysv"])
@pytest.mark.parametrize("depth", [8, 15, 16, 24, 30])
def test_it_is_what_the_server_says_the_screen_is(depth: int, kind: Literal["file", "sysv"]) -> None:
    # An odd width, so that rows are padded wherever they can be.
    with VirtualDisplay(201, 99, depth, framebuffer=kind) as display, painting(display) as painter:
        painter.rectangles()
        asked, memory = display.screen.grab(), display.framebuffer
        assert memory.format == asked.format
        assert (memory.pixels.shape, memory.pixels.dtype) == (asked.pixels.shape, asked.pixels.dtype)
        copied = memory.grab()
        np.testing.assert_array_equal(copied.rgb(), asked.rgb())
        np.testing.assert_array_equal(copied.pixels, memory.pixels)
        part = memory.grab((150, 50, 51, 49))
        assert (part.rect.x, part.rect.y, part.sequence) == (150, 50, 2)
        np.testing.assert_array_equal(part.rgb(), asked.rgb()[50:99, 150:201])


def test_what_was_asked_for_is_there_after_a_sync(display: VirtualDisplay) -> None:
    pixels, root = display.framebuffer.pixels, display.screen.xlib.screen().root
    for number in range(200):
        gc = root.create_gc(foreground=number << 8 | 1)
        root.fill_rectangle(gc, 0, 0, 200, 100)
        display.framebuffer.sync()
        assert pixels[99, 199].tolist()[:3] == [1, number, 0]


def test_numpy_takes_a_framebuffer_for_its_live_pixels(display: VirtualDisplay) -> None:
    framebuffer = display.framebuffer
    assert np.shares_memory(np.asarray(framebuffer), framebuffer.pixels)
    assert np.asarray(framebuffer, np.uint16).dtype == np.uint16
    copied = np.array(framebuffer)
    assert not np.shares_memory(copied, framebuffer.pixels)
    assert copied.shape == framebuffer.pixels.shape


def test_an_array_taken_once_shows_what_is_drawn_later(display: VirtualDisplay) -> None:
    corner = display.framebuffer.pixels[:10, :10]
    before = display.framebuffer.grab()
    with painting(display) as painter:
        painter.fill((0, 0, 200, 100), RED)
        assert (corner[..., :3] == (0, 0, 255)).all()
        painter.fill((0, 0, 200, 100), BLUE)
        assert (corner[..., :3] == (255, 0, 0)).all()
    assert not before.pixels.any(), "a grab's memory is its own"


def test_each_array_of_the_pixels_is_one_of_its_own(display: VirtualDisplay) -> None:
    first, second = display.framebuffer.pixels, display.framebuffer.pixels
    assert first is not second
    assert np.shares_memory(first, second)


def test_the_colours_of_an_eight_bit_screen_are_those_that_it_has_now() -> None:
    with VirtualDisplay(64, 48, 8) as display, painting(display) as painter:
        painter.fill((0, 0, 64, 48), (250, 120, 10))
        cell = int(display.framebuffer.pixels[0, 0])
        assert (display.framebuffer.colormap[cell] >> 8).tolist() == [250, 120, 10]
        assert display.framebuffer.grab().pixel(5, 5) == (250, 120, 10)


def test_a_grab_is_whole_while_another_client_draws_without_rest() -> None:
    # Two pictures in turn, each in 40 requests, under a server grab of the painter's own: a copy without one of ours
    # would catch pictures half made.
    program = (
        "import Xlib.display\nd = Xlib.display.Display(); r = d.screen().root\nprint('go', flush=True)\n"
        "gcs = [r.create_gc(foreground=c) for c in (0xff, 0xff00)]\n"
        "while True:\n"
        "    for gc in gcs:\n"
        "        d.grab_server()\n"
        "        for y in range(0, 800, 20): r.fill_rectangle(gc, 0, y, 1000, 20)\n"
        "        d.ungrab_server(); d.sync()\n"
    )
    with (
        VirtualDisplay(1000, 800) as display,
        display.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as painter,
    ):
        assert painter.stdout is not None
        assert painter.stdout.readline() == "go\n"
        display.framebuffer.grab()
        pictures = [display.framebuffer.grab().pixels for _ in range(60)]
        assert painter.poll() is None
    assert all((picture == picture[0, 0]).all() for picture in pictures[1:])
    assert len({picture[0, 0].tobytes() for picture in pictures}) >= 2, "both pictures were met"


def test_what_was_requested_before_on_the_displays_screen_is_in_a_grab(display: VirtualDisplay) -> None:
    root = display.screen.xlib.screen().root
    for colour in range(1, 200):
        gc = root.create_gc(foreground=colour)
        root.fill_rectangle(gc, 0, 0, 200, 100)  # which is queued
        assert display.framebuffer.grab().pixel(5, 5) == (0, 0, colour)


def test_a_screen_that_its_user_has_closed_is_another_one_for_the_framebuffer_too(display: VirtualDisplay) -> None:
    display.framebuffer.sync()
    assert display.framebuffer.grab(cursor=True).size == (200, 100)
    display.screen.close()
    display.framebuffer.sync()
    display.screen.close()
    assert display.framebuffer.grab(cursor=True).size == (200, 100)
    root = display.screen.xlib.screen().root
    root.fill_rectangle(root.create_gc(foreground=0xFF00), 0, 0, 200, 100)
    assert display.framebuffer.grab().pixel(5, 5) == (0, 255, 0)


def test_other_clients_go_on_after_a_grab_and_after_one_that_fails(display: VirtualDisplay) -> None:
    display.framebuffer.grab()
    with pytest.raises(OutOfBounds, match=r"region 10x10\+195\+0 leaves the framebuffer 200x100; pass clip=True"):
        display.framebuffer.grab((195, 0, 10, 10))
    assert display.framebuffer.grab((195, 0, 10, 10), clip=True).rect.width == 5
    assert display.run("xsetroot -solid red").wait(timeout=5) == 0


def test_it_can_be_written_only_where_that_was_asked_for(display: VirtualDisplay) -> None:
    with pytest.raises(ValueError, match="read-only"):
        display.framebuffer.pixels[0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        display.framebuffer.pixels.flags.writeable = True
    with VirtualDisplay(64, 48, writable=True) as writable:
        writable.framebuffer.pixels[5, 7] = (1, 2, 3, 0)
        assert writable.screen.grab().pixel(7, 5) == (3, 2, 1)


# -- the pointer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("painted_by_the_server", [False, True])
def test_the_pointer_is_in_it_only_where_asked_for_and_never_twice(painted_by_the_server: bool) -> None:
    with VirtualDisplay(200, 100, cursor=painted_by_the_server) as display:
        display.run("xsetroot -cursor_name left_ptr -solid orange").wait()
        display.screen.xlib.screen().root.warp_pointer(100, 50)
        display.framebuffer.sync()
        background = display.framebuffer.pixels[0, 0].copy()

        def differs(pixels: np.ndarray[Any, Any]) -> int:
            return int((pixels[..., :3] != background[:3]).any(axis=2).sum())

        drawn = display.screen.grab(cursor=True)
        assert differs(display.screen.grab().pixels) == 0
        assert differs(drawn.pixels) > 20
        display.framebuffer.sync()
        assert differs(display.framebuffer.pixels) == (differs(drawn.pixels) if painted_by_the_server else 0)
        assert differs(display.framebuffer.grab().pixels) == differs(display.framebuffer.pixels)
        with_pointer = display.framebuffer.grab(cursor=True)
        np.testing.assert_array_equal(with_pointer.rgb(), drawn.rgb())
        assert with_pointer.cursor is not None
        assert with_pointer.cursor.position == (100, 50)
        layer = display.framebuffer.grab(cursor="layer")
        assert layer.cursor is not None
        assert differs(layer.pixels) == differs(display.framebuffer.pixels)


def test_the_pointer_is_back_after_sync_though_the_server_is_still_busy_for_this_client() -> None:
    with painted_pointer() as (display, pixels, painted):
        connection, root = display.screen.connection, display.screen.xlib.screen().root
        ended = threading.Event()

        def keep_the_server_busy() -> None:
            while not ended.wait(0.0003):
                root.clear_area(0, 600, 1920, 480)
                connection.flush()

        thread = threading.Thread(target=keep_the_server_busy)
        thread.start()
        missing = 0
        try:
            for _ in range(1000):
                taken_off_by = connection.wire.send(core.image_request(root.id, 950, 530, 30, 30))
                display.framebuffer.sync()
                missing += bool((pixels != painted).any())
                connection.wait_reply(taken_off_by)
        finally:
            ended.set()
            thread.join()
        assert not missing


@pytest.mark.parametrize("region", [None, (90, 40, 100, 60), (95, 45, 3, 3), (0, 0, 20, 20)])
def test_a_pointer_that_the_server_has_not_painted_yet_is_drawn_where_asked(region: Any) -> None:
    with VirtualDisplay(200, 100, cursor=True) as display, painting(display) as painter:
        painter.fill((0, 0, 200, 100), (250, 160, 9))
        display.screen.xlib.screen().root.warp_pointer(100, 50)
        for _ in range(2):  # without a picture that a client has defined; then with one
            with_pointer = display.framebuffer.grab(region, cursor=True)
            assert not with_pointer.diff(display.screen.grab(region, cursor=True))
            display.run("xsetroot -cursor_name left_ptr").wait()
            display.framebuffer.sync()


def test_a_cursor_that_is_none_of_its_ways_is_refused(display: VirtualDisplay) -> None:
    with pytest.raises(InvalidArgument, match="cursor is False"):
        display.framebuffer.grab(cursor="yes")  # type: ignore[arg-type]


def test_a_descriptor_that_the_server_closes_meanwhile_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Path.iterdir

    def with_one_gone(path: Path) -> Iterator[Path]:
        return iter([path / "9999", *listed(path)])

    with VirtualDisplay(64, 48) as display, VirtualDisplay.attach(display.name, display.xauthority) as attached:
        monkeypatch.setattr(Path, "iterdir", with_one_gone)
        assert attached.framebuffer.number == int(display.name[1:])


# -- whose memory it is ------------------------------------------------------------------------------------------------


def test_file_and_directory_are_gone_when_the_display_is_there(display: VirtualDisplay) -> None:
    memory = open_file_of(display.pid, "Xvfb_screen")
    path, _, deleted = str(memory.readlink()).partition(" ")
    assert deleted == "(deleted)"
    assert not Path(path).parent.exists()


def test_the_segment_is_closed_to_others_and_removed_when_the_display_is_there() -> None:
    with VirtualDisplay(64, 48, framebuffer="sysv") as display:
        (segment,) = (each for each in sysv.segments() if each.cpid == display.pid)
        assert segment.mode == 0o600 | sysv.SHM_DEST
        assert segment.nattch == 2, "the server and we"
        if os.geteuid() == 0:
            attach = (
                "import ctypes, sys; l = ctypes.CDLL(None, use_errno=True); l.shmat.restype = ctypes.c_ssize_t; "
                "print(l.shmat(int(sys.argv[1]), None, 0o10000), ctypes.get_errno())"
            )
            result = subprocess.run(
                ["/usr/bin/python3", "-c", attach, str(segment.shmid)],
                user=_ANOTHER_UID,
                group=_ANOTHER_UID,
                extra_groups=[],
                cwd="/",
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            assert result == "-1 13\n", "EACCES"
    assert segment.shmid not in [each.shmid for each in sysv.segments()]


def test_a_start_in_which_somebody_attached_to_the_open_segment_fails() -> None:
    caught: list[memoryview] = []
    over = threading.Event()

    def lie_in_wait() -> None:
        known = {each.shmid for each in sysv.segments()}
        while not over.is_set() and not caught:
            new = [each.shmid for each in sysv.segments() if each.shmid not in known and each.mode & 0o777 == 0o777]
            caught.extend(sysv.shmat(shmid, sysv.SHM_RDONLY) for shmid in new)
            time.sleep(0.0002)

    stranger = threading.Thread(target=lie_in_wait)
    stranger.start()
    try:
        with pytest.raises(
            StartFailed, match=r"1 other process\(es\) attached .* framebuffer='file' has no such moment"
        ):
            VirtualDisplay(64, 48, framebuffer="sysv")
    finally:
        over.set()
        stranger.join()
        caught.clear()


def test_memory_goes_with_the_last_array_over_it_and_not_before() -> None:
    before = mapped("Xvfb_screen")
    with VirtualDisplay(200, 100) as display, painting(display) as painter:
        painter.fill((0, 0, 200, 100), GREEN)
        corner = display.framebuffer.pixels[90:, 190:]
        memory = display.framebuffer
        assert mapped("Xvfb_screen") == before + 2, "what is read, and what is shown"
    assert (corner[..., :3] == (0, 255, 0)).all(), "the last picture"
    with pytest.raises(Closed, match="this framebuffer was closed"):
        _ = memory.pixels
    assert mapped("Xvfb_screen") == before + 1
    del corner
    assert mapped("Xvfb_screen") == before


def test_a_framebuffer_is_not_pickled_and_a_grab_of_it_is(display: VirtualDisplay) -> None:
    with pytest.raises(InvalidType, match=r"framebuffer\.grab\(\)"):
        pickle.dumps(display.framebuffer)
    frame = display.framebuffer.grab()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(frame)).pixels, frame.pixels)  # noqa: S301 - our own


# -- a file that stays -------------------------------------------------------------------------------------------------


def test_a_file_that_stays_is_read_by_another_process_and_goes_with_the_display(tmp_path: Path) -> None:
    program = (
        "import sys; from xshm.virtual.framebuffer import Framebuffer\n"
        "with Framebuffer.open(sys.argv[1]) as f: print(f.number, f.pixels[99, 199, :3].tolist())"
    )
    with VirtualDisplay(200, 100, framebuffer=tmp_path) as display, painting(display) as painter:
        painter.fill((0, 0, 200, 100), (1, 2, 3))
        path = tmp_path / "Xvfb_screen0"
        run = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
        assert run.stdout == f"{display.name[1:]} [3, 2, 1]\n"
        with Framebuffer.open(path) as alone, pytest.raises(InvalidArgument, match="opened without its display"):
            alone.sync()
        with Framebuffer.open(path) as alone:
            assert alone.peek((5, 6, 7, 8)).rgb().tolist() == [[[1, 2, 3]] * 7] * 8
        assert display.xauthority is not None
        with Framebuffer.open(path, display.name, display.xauthority) as connected:
            assert connected.grab().pixel(5, 5) == (1, 2, 3)
            with pytest.raises(InvalidArgument, match="has_pointer=False"):
                connected.grab(cursor=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_a_killed_server_goes_too_and_one_that_was_left_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "Xvfb_screen0"
    path.write_bytes(b"left by a machine that lost its power")
    with VirtualDisplay(64, 48, framebuffer=tmp_path) as display:
        assert display.framebuffer.pixels.shape == (48, 64, 4)
        assert display.pid is not None
        os.kill(display.pid, 9)
    assert list(tmp_path.iterdir()) == []


def test_two_displays_do_not_share_a_directory(tmp_path: Path) -> None:
    with VirtualDisplay(64, 48, framebuffer=tmp_path) as display:
        with pytest.raises(StartFailed, match="another display keeps its framebuffer in"):
            VirtualDisplay(64, 48, framebuffer=tmp_path)
        assert display.framebuffer.grab().pixels.shape == (48, 64, 4)
        assert [path.name for path in tmp_path.iterdir()] == ["Xvfb_screen0"]


# Looks without rest, so that the file is cut while it looks.
_LOOK_FOR_EVER = """
import sys, numpy as np
from xshm.errors import FramebufferTruncated
from xshm.virtual.framebuffer import Framebuffer
framebuffer = Framebuffer.open(sys.argv[1])
print("ready", flush=True)
try:
    while True:
        eval(sys.argv[2], globals())
except FramebufferTruncated as error:
    print(error, flush=True)
for look in ("framebuffer.pixels", "framebuffer.peek()", "framebuffer.peek((3, 4, 5, 6))", "np.asarray(framebuffer)"):
    try:
        eval(look)
    except FramebufferTruncated:
        print("refused", flush=True)
"""


@pytest.mark.parametrize(
    ("look", "left"),
    [
        ("framebuffer.peek()", 0),
        ("framebuffer.peek()", 1_000_000),
        ("framebuffer.peek((10, 0, 900, 700))", 1_000_000),
        ("framebuffer.colormap", 0),
        ("framebuffer.__dlpack__()", 0),
    ],
)
def test_a_file_that_is_cut_while_it_is_copied_is_an_error_and_not_the_reader_s_end(
    tmp_path: Path, look: str, left: int
) -> None:
    path = tmp_path / "Xvfb_screen0"
    fields = [160, 7, 2, 24, 1000, 800, 0, 0, 32, 0, 32, 32, 4000, 4, 0xFF0000, 0xFF00, 0xFF, 8, 256, 256, 1000, 800]
    path.write_bytes(header([*fields, 0, 0, 0]) + bytes(256 * 12 + 3_200_000))
    command = [sys.executable, "-c", _LOOK_FOR_EVER, str(path), look]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        time.sleep(0.02)
        os.truncate(path, left)
        result, said = reader.communicate(timeout=20)
    assert reader.returncode == 0, said
    words = (
        f"the framebuffer's file has {left} of its 3203232 bytes left: its owner, uid {os.geteuid()}, has cut it, or"
    )
    assert result.startswith(words)
    assert result.endswith("so grab the Screen\n" + "refused\n" * 4)


def test_a_file_that_was_cut_is_refused_by_a_display_too_and_the_screen_is_there(tmp_path: Path) -> None:
    with VirtualDisplay(200, 100, framebuffer=tmp_path) as display, painting(display) as painter:
        painter.fill((0, 0, 200, 100), RED)
        framebuffer = display.framebuffer
        np.testing.assert_array_equal(framebuffer.grab((7, 9, 50, 20)).rgb(), display.screen.grab((7, 9, 50, 20)).rgb())
        size = (tmp_path / "Xvfb_screen0").stat().st_size
        os.truncate(tmp_path / "Xvfb_screen0", 5000)
        for look in (framebuffer.grab, framebuffer.peek, framebuffer.sync, lambda: framebuffer.pixels):
            with pytest.raises(FramebufferTruncated, match=f"has 5000 of its {size} bytes left"):
                look()
        # Whole again, before the server meets the hole, which would end it.
        os.truncate(tmp_path / "Xvfb_screen0", size)
        assert display.screen.grab().pixel(0, 0) == (255, 0, 0)


@pytest.mark.parametrize("depth", [8, 24])
def test_what_is_read_out_of_a_file_is_what_the_server_says(tmp_path: Path, depth: int) -> None:
    with VirtualDisplay(201, 99, depth, framebuffer=tmp_path) as display, painting(display) as painter:
        painter.rectangles()
        asked = display.screen.grab()
        with Framebuffer.open(tmp_path / "Xvfb_screen0") as alone:
            for region in (None, (0, 0, 201, 1), (0, 40, 201, 59), (13, 7, 100, 50), (200, 98, 1, 1)):
                copied = alone.peek(region)
                assert copied.pixels.dtype == asked.pixels.dtype
                np.testing.assert_array_equal(copied.rgb(), asked.rgb()[copied.rect.slices])
            np.testing.assert_array_equal(alone.colormap, display.framebuffer.colormap)


def test_a_file_can_be_truncated_unless_it_is_sealed_or_nobody_else_has_a_way_to_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with path.open("r+b") as file:
        assert can_be_truncated(file.fileno())
        path.unlink()
        assert not can_be_truncated(file.fileno())
        os.fchmod(file.fileno(), 0o666)
        assert can_be_truncated(file.fileno())
        if os.geteuid() == 0:
            os.fchmod(file.fileno(), 0o600)
            os.fchown(file.fileno(), _ANOTHER_UID, -1)
            assert can_be_truncated(file.fileno())
    descriptor = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    try:
        os.fchmod(descriptor, 0o666)
        assert can_be_truncated(descriptor)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        assert not can_be_truncated(descriptor)
    finally:
        os.close(descriptor)


def test_a_display_s_own_unlinked_file_is_copied_as_fast_as_memory_is(display: VirtualDisplay) -> None:
    memory = open_file_of(display.pid, "Xvfb_screen")
    with memory.open("rb") as file:
        assert not can_be_truncated(file.fileno())


@pytest.mark.parametrize("what", ["fifo", "device", "directory"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, what: str) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(UnsupportedFormat, match="is no file of a framebuffer, but a device, a pipe or a directory"):
        Framebuffer.open({"fifo": path, "device": Path("/dev/zero"), "directory": tmp_path}[what])


def test_what_is_no_framebuffer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"", b"short", bytes(5000), struct.pack(">25I", *range(25)) + bytes(5000)):
        path.write_bytes(content)
        with pytest.raises(UnsupportedFormat):
            Framebuffer.open(path)


# -- the header --------------------------------------------------------------------------------------------------------

_FIELDS = [160, 7, 2, 24, 20, 10, 0, 0, 32, 0, 32, 32, 80, 4, 0xFF0000, 0xFF00, 0xFF, 8, 256, 256, 20, 10, 0, 0, 0]
_NAME = b"Xvfb host:7.1".ljust(60, b"\0")
_SIZE = 160 + 256 * 12 + 800


def header(fields: list[int], name: bytes = _NAME) -> bytes:
    return struct.pack(">25I", *fields) + name


def test_a_header_says_where_pixels_are_and_whose() -> None:
    parsed = XwdHeader.parse(header(_FIELDS), _SIZE)
    assert (parsed.width, parsed.height, parsed.pixels_at, parsed.number, parsed.screen) == (20, 10, 160 + 3072, 7, 1)
    with pytest.raises(UnsupportedFormat, match=f"takes {_SIZE} bytes; this one has {_SIZE - 1}"):
        XwdHeader.parse(header(_FIELDS), _SIZE - 1)
    with pytest.raises(UnsupportedFormat, match="'xterm', which is no screen of an Xvfb"):
        XwdHeader.parse(header(_FIELDS, b"xterm\0"), _SIZE)
    digits = b"Xvfb host:" + b"7" * 5000 + b".1\0"
    with pytest.raises(UnsupportedFormat, match="777', which is no screen"):  # more than int() takes
        XwdHeader.parse(header([100 + len(digits), *_FIELDS[1:]], digits), 10_000)


@given(st.integers(0, 24), st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 300)), st.integers(0, 2 * _SIZE))
def test_no_header_leads_outside_of_the_memory(field: int, value: int, size: int) -> None:
    fields = [*_FIELDS]
    fields[field] = value
    memory = header(fields).ljust(size, b"\0")[:size]
    try:
        parsed = XwdHeader.parse(memory, size)
    except UnsupportedFormat:
        return
    assert parsed.pixels(memory).nbytes <= size - parsed.pixels_at
    assert parsed.colormap(memory).shape == (parsed.colours, 3)
