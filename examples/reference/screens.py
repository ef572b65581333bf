"""Screens, windows, and the frames that are grabbed of them."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

from typing import TYPE_CHECKING

import xshm

if TYPE_CHECKING:
    from pathlib import Path

OF = "xshm"


def grab() -> None:
    frame = xshm.grab("200x100+10+20")  # of $DISPLAY
    print(frame.width, frame.height)


def Screen() -> None:
    with xshm.Screen() as screen:  # $DISPLAY; Screen(":1") is another
        frame = screen.grab((10, 20, 300, 200), cursor=True)
        whole, part = screen.grab_many([screen.rect, "100x100+0+0"])
    print(frame.rect, whole.rect, part.rect)


def Frame(screen: xshm.Screen, folder: Path) -> None:
    frame = screen.grab((10, 20, 300, 200))
    frame.save(folder / "part.png")
    rgb = frame.rgb()  # an array of its own; frame.pixels is the server's memory
    print(rgb.shape, frame.pixels.shape, frame.pixel(10, 20))
    print(rgb[frame.slices((15, 25, 30, 40))].shape)  # a place of the screen, in the array


def __version__() -> None:  # noqa: N807 - its name
    major, minor, _ = xshm.__version__.split(".")
    print(major, minor)


def Encoded(screen: xshm.Screen) -> None:
    small = screen.grab().encode("JPEG", max_edge=320)  # for a model, say
    print(small.kind, small.width, small.height, len(small.data))
    print(small.to_source(100, 50))  # where to click, for what it saw at 100, 50


def Difference(display: xshm.VirtualDisplay) -> None:
    before = display.screen.grab()
    with display.launch("xlogo"):
        difference = display.screen.grab().diff(before)
    print(f"{difference.ratio:.1%} of all pixels, in {difference.rects}")


def Cursor(screen: xshm.Screen) -> None:
    screen.move(100, 100)
    frame = screen.grab(cursor="layer")  # beside the picture, not in it
    if frame.cursor is not None:
        print(frame.cursor.position, frame.cursor.rect, frame.cursor.sprite.shape)


def Rect() -> None:
    rect = xshm.Rect(10, 20, 300, 200)
    print(rect == xshm.Rect.from_ltrb(10, 20, 310, 220) == xshm.Rect.parse("300x200+10+20"))
    print(rect.intersect(xshm.Rect(0, 0, 100, 100)), rect.moved(5, 5), rect.right, rect.bottom)


def Monitor(screen: xshm.Screen) -> None:
    for monitor in screen.monitors:
        print(monitor.name, monitor.rect, "primary" if monitor.primary else "")
    screen.grab(screen.monitor("primary"))


def PixelFormat(screen: xshm.Screen) -> None:
    fmt = screen.format
    print(fmt.depth, fmt.bits_per_pixel, hex(fmt.red_mask), fmt.byte_offsets)
    print(fmt.stride(641))  # bytes from row to row


def VisualClass(screen: xshm.Screen) -> None:
    print(screen.format.visual_class is xshm.VisualClass.TrueColor)


def Transport(screen: xshm.Screen) -> None:
    print(screen.transport.kind, "since", screen.transport.reason)


def Stats(screen: xshm.Screen) -> None:
    frames = [screen.grab() for _ in range(3)]
    stats = screen.stats()
    print(len(frames), "of", stats.frames, "are held,", stats.copies, "of all were copies")


def PoolStats(screen: xshm.Screen) -> None:
    frame = screen.grab()
    pool = screen.stats().pool
    if pool is not None:  # None: no memory is shared
        print(frame.rect, pool.held, "of", pool.slots, "slots hold frames;", pool.bytes, "bytes")


def Stream(display: xshm.VirtualDisplay) -> None:
    with display.run(["xclock", "-update", "0.1"]), display.screen.stream(on_change=True) as stream:
        for number, frame in enumerate(stream):
            print(frame.changed)  # where it differs from the one before
            if number == 1:
                break


def WindowInfo(screen: xshm.Screen) -> None:
    for info in screen.windows():  # from the bottom of the stack to the top
        print(info.id, info.title, info.rect)


def Window(screen: xshm.Screen, folder: Path) -> None:
    with screen.window("Logo") as window:
        window.grab().save(folder / "logo.png")  # whole, though others may cover it
        window.click(10, 10)  # in its own coordinates
        print(window.title, window.rect, window.position)


def WindowSource(screen: xshm.Screen) -> None:
    with screen.window("Logo") as window:
        print(window.source.kind, "since", window.source.reason)


def Pixmap(screen: xshm.Screen) -> None:
    root = screen.xlib.screen().root
    drawn = root.create_pixmap(64, 48, screen.format.depth)  # by python-xlib, over the same connection
    drawn.fill_rectangle(drawn.create_gc(foreground=0xFF8000), 0, 0, 64, 48)
    print(screen.pixmap(drawn.id).grab().pixel(0, 0))


def errors(screen: xshm.Screen) -> None:
    try:
        screen.grab((-5, 0, 10, 10))
    except xshm.errors.OutOfBounds as error:  # the same class as xshm.OutOfBounds
        print(error)


def events() -> None:
    print(xshm.events.Key.__doc__)


def geometry() -> None:
    print(xshm.geometry.merged([xshm.Rect(0, 0, 10, 10), xshm.Rect(5, 5, 10, 10)], 1))


def sysv() -> None:
    shmid = xshm.sysv.shmget(xshm.sysv.IPC_PRIVATE, 4096, 0o600)
    xshm.sysv.remove(shmid)
    print(shmid)
