"""DLPack export to PyTorch and others: a copy wherever later frames are built on the memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from careless_consumer import Consumer
from colours import GREEN, RED
from displays import painting
from pointers import Pointers
from slow_blend import check_drawn, random_sprite
from sysv_kernel import run_python

import xshm
from xshm.errors import Closed, InvalidArgument, ReadOnlyMemory, XshmError

if TYPE_CHECKING:
    from painter import Painter
    from servers import Server

    from xshm.virtual.framebuffer import Framebuffer

VERSIONS = [(1, 0), None]
_BOX = (0, 0, 64, 48)
_HELPERS = Path(__file__).parents[1] / "helpers"


@pytest.mark.parametrize("version", VERSIONS, ids=str)
@pytest.mark.parametrize("transport", ["sysv", "fd", "core"])
def test_a_frame_that_may_be_written_is_shared_with_its_consumer(
    xvfb: Server, transport: str, version: tuple[int, int] | None
) -> None:
    with xshm.Screen(xvfb.name, transport) as screen:
        frame = screen.grab(_BOX)
        consumer = Consumer(frame, version=version)
        assert consumer.shape == (48, 64, 4)
        consumer.write(77)
        assert frame.pixels[0, 0].tolist() == [77] * 4
        assert Consumer(frame, copy=False).address == consumer.address


def test_copy_true_is_a_copy_though_the_frame_may_be_written(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen:
        frame = screen.grab(_BOX)
        before = frame.copy()
        Consumer(frame, copy=True).write(77)
        assert not frame.diff(before)


@pytest.mark.parametrize("version", VERSIONS, ids=str)
@pytest.mark.parametrize("transport", ["sysv", "fd", "core"])
def test_a_consumer_of_a_frame_on_change_can_not_change_it_or_those_that_follow(
    xvfb: Server, painter: Painter, transport: str, version: tuple[int, int] | None
) -> None:
    painter.fill(_BOX, RED)
    with xshm.Screen(xvfb.name, transport) as screen, screen.stream(on_change=True) as stream:
        for top in (8, 16, 24, 32):  # more turns than there are slots
            frame = next(stream)
            for exporter in (frame, frame.pixels, frame.pixels[:5, :7], frame.pixels.T.T):
                consumer = Consumer(exporter, version=version)
                assert consumer.first()[:3] == bytes((0, 0, 255))
                consumer.write(77)
                assert frame.pixel(0, 0) == RED
            painter.fill((0, top, 4, 4), GREEN)


def test_numpy_may_write_what_it_takes_from_a_frame_on_change(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen, screen.stream(on_change=True) as stream:
        frame = next(stream)
        taken = np.from_dlpack(frame)
        taken[0, 0] = taken[0, 0] ^ 255
        assert not np.array_equal(taken[0, 0], frame.pixels[0, 0])


def test_read_only_memory_without_a_copy_is_an_error_that_says_what_to_leave_out(xvfb: Server) -> None:
    with xshm.VirtualDisplay(64, 48) as display, xshm.Screen(xvfb.name) as screen:
        with screen.stream(on_change=True) as stream:
            frame = next(stream)
        for each in (frame, display.framebuffer):
            with pytest.raises(ReadOnlyMemory, match=r"leave out copy=False .* \.pixels") as error:
                Consumer(each, copy=False)
            assert isinstance(error.value, BufferError)
            assert isinstance(error.value, XshmError)


def test_what_is_not_of_the_processor_is_refused_as_numpy_does(xvfb: Server) -> None:
    with xshm.VirtualDisplay(64, 48) as display, xshm.Screen(xvfb.name) as screen:
        for each in (screen.grab(_BOX), display.framebuffer):
            assert each.__dlpack_device__() == (1, 0)
            with pytest.raises(InvalidArgument, match="stream"):
                each.__dlpack__(stream=1)
            with pytest.raises(BufferError, match="device"):
                each.__dlpack__(dl_device=(2, 0))
            assert each.__dlpack__(dl_device=(1, 0)) is not None


# -- the framebuffer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS, ids=str)
@pytest.mark.parametrize("kind", ["file", "sysv"])
def test_a_consumer_of_a_framebuffer_gets_the_picture_and_not_the_screen(
    kind: Literal["file", "sysv"], version: tuple[int, int] | None
) -> None:
    with xshm.VirtualDisplay(64, 48, framebuffer=kind) as display, painting(display) as painter:
        painter.fill(_BOX, RED)
        for exporter in (display.framebuffer, display.framebuffer.pixels):
            consumer = Consumer(exporter, version=version)
            assert consumer.shape == (48, 64, 4)
            assert consumer.first()[:3] == bytes((0, 0, 255))
            consumer.write(77)
            assert display.framebuffer.pixels[0, 0, :3].tolist() == [0, 0, 255]
            assert display.screen.grab().pixel(0, 0) == RED


@pytest.mark.parametrize("kind", ["file", "sysv"])
def test_a_consumer_of_a_framebuffer_that_may_be_written_draws_on_the_screen(kind: Literal["file", "sysv"]) -> None:
    with xshm.VirtualDisplay(64, 48, framebuffer=kind, writable=True) as display:
        Consumer(display.framebuffer, copy=False).write(77)
        assert display.screen.grab().pixel(0, 0) == (77, 77, 77)


def test_a_framebuffer_that_was_closed_exports_nothing() -> None:
    with xshm.VirtualDisplay(64, 48) as display:
        memory: Framebuffer = display.framebuffer
    for use in (memory.__dlpack__, memory.__dlpack_device__):
        with pytest.raises(Closed, match="this framebuffer was closed"):
            use()


def test_who_writes_to_a_framebuffers_array_in_spite_of_its_flag_writes_to_nobody_elses_memory() -> None:
    # In a process of its own, which would end by SIGSEGV if the pages could not be written.
    printed = run_python(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        import numpy as np
        import xshm
        from careless_consumer import Consumer

        def fill(colour):
            gc = root.create_gc(foreground=colour)
            root.fill_rectangle(gc, 0, 0, 640, 480)
            memory.sync()

        with xshm.VirtualDisplay(640, 480) as display:
            memory, root = display.framebuffer, display.screen.xlib.screen().root
            fill(0x010101)
            pixels = memory.pixels
            Consumer(np.asarray(pixels), copy=False).write(77)  # as a plain array, whose flag is all that there is
            print(pixels[0, 0].tolist())
            fill(0x020202)
            # Nobody else sees it, and the pictures that are copied are those of the server.
            print(memory.grab().pixel(0, 0), memory.peek().pixel(0, 0), display.screen.grab().pixel(0, 0))
            # Its page is as it was then; all others are live.
            print(pixels[0, 0, 0], pixels[0, 1, 0], pixels[4, 0, 0], pixels[479, 639, 0])
            print(list(Consumer(memory).first()[:3]))
        """,
        str(_HELPERS),
    )
    assert printed.splitlines() == ["[77, 77, 77, 77]", "(2, 2, 2) (2, 2, 2) (2, 2, 2)", "77 1 2 2", "[2, 2, 2]"]


def test_who_writes_to_the_picture_of_a_pointer_changes_no_pointer_that_is_drawn_later(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen, Pointers(xvfb) as pointers:
        pointers.show(pointers.picture(random_sprite(16, 16)))
        pointers.move(300, 200)
        cursor = screen.grab(cursor="layer").cursor
        assert cursor is not None
        plain = screen.grab()
        Consumer(cursor.sprite).write(255)
        shown = pointers.shown()
        assert check_drawn(plain, screen.grab(cursor=True), shown.rgba, shown.corner) > 20


def test_what_is_computed_of_read_only_pixels_is_shared_as_any_array(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen, screen.stream(on_change=True) as stream:
        frame = next(stream)
        half = frame.pixels // 2
        Consumer(half, copy=False).write(77)
        assert half[0, 0].tolist() == [77] * 4
        assert type(frame.copy().pixels) is np.ndarray
        assert type(np.asarray(frame)) is np.ndarray
        with pytest.raises(ValueError, match="read-only"):
            frame.pixels[0, 0] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            frame.pixels.setflags(write=True)
