"""The workers of record.py: `python recorders.py paint WORKLOAD FPS`, and contestants: NAME FILE FPS SECONDS PRESET."""

from __future__ import annotations

import resource
import select
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

_SIZE: Final = (1920, 1080)
_STRIP: Final = 200_000  # bytes of one PutImage
_FILMS: Final = 24  # pictures that a film repeats

# -- painting ----------------------------------------------------------------------------------------------------------


class Canvas:
    """The root window, and pixmaps on the server: a step of a workload is a CopyArea, which costs next to nothing."""

    def __init__(self) -> None:
        import xshm  # noqa: PLC0415 - a contestant does not load what it does not use

        self.screen = xshm.Screen()
        self.root = self.screen.xlib.screen().root
        self.gc = self.root.create_gc(graphics_exposures=False, foreground=0, background=0xFFFFFF)

    def upload(self, pixels: NDArray[np.uint8]) -> Any:
        """Return a pixmap with these pixels, B G R X."""
        height, width = pixels.shape[:2]
        pixmap = self.root.create_pixmap(width, height, 24)
        rows = max(1, _STRIP // (4 * width))
        for top in range(0, height, rows):
            part = np.ascontiguousarray(pixels[top : top + rows])
            pixmap.put_image(self.gc, 0, top, width, len(part), 2, 24, 0, part.tobytes())  # 2: ZPixmap
        self.screen.connection.sync()
        return pixmap

    def copy(self, pixmap: Any, source: tuple[int, int], size: tuple[int, int], at: tuple[int, int]) -> None:
        self.root.copy_area(self.gc, pixmap, *source, *size, *at)
        self.screen.connection.sync()


def page(height: int) -> NDArray[np.uint8]:
    """Return a page of text, as a terminal or an editor has it."""
    from PIL import Image, ImageDraw  # noqa: PLC0415

    picture = Image.new("RGBA", (_SIZE[0], height), (250, 250, 248, 255))
    draw, pick = ImageDraw.Draw(picture), np.random.default_rng(3)
    words = ("screen", "shared", "memory", "pixel", "window", "caret", "region", "cookie", "damage", "buffer", "fence")
    for line in range(0, height, 18):
        x = 20 + 30 * int(pick.integers(0, 4))
        while x < _SIZE[0] * pick.uniform(0.4, 0.95):
            word = words[pick.integers(len(words))]
            colour = [(40, 40, 60), (20, 90, 160), (160, 40, 40), (30, 120, 60)][pick.integers(4)]
            draw.text((x, line), word, fill=(*colour, 255))
            x += 7 * len(word) + 8
    return np.asarray(picture)[..., [2, 1, 0, 3]].copy()


def film(width: int, height: int) -> list[NDArray[np.uint8]]:
    """Return the pictures of a film: soft shapes that move, and a little grain."""
    pick = np.random.default_rng(5)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    grain = pick.normal(0, 2, (height, width, 1)).astype(np.float32)
    pictures = []
    for number in range(_FILMS):
        turn = 2 * np.pi * number / _FILMS
        light = np.stack(
            [
                128 + 90 * np.sin(x / (97 + 30 * channel) + turn) * np.cos(y / (71 + 20 * channel) - turn)
                for channel in range(3)
            ],
            axis=2,
        )
        ball = ((x - width * (0.5 + 0.3 * np.cos(turn))) ** 2 + (y - height * (0.5 + 0.3 * np.sin(turn))) ** 2)[
            ..., None
        ]
        light = np.where(ball < (height / 6) ** 2, 230, light) + np.roll(grain, 13 * number, axis=1)
        picture = np.full((height, width, 4), 255, np.uint8)
        picture[..., :3] = np.clip(light, 0, 255)
        pictures.append(picture)
    return pictures


def _still(_: Canvas) -> None:
    return None


def _caret(canvas: Canvas) -> Callable[[int], None]:
    def step(number: int) -> None:
        canvas.gc.change(foreground=0 if number % 2 else 0xFFFFFF)
        canvas.root.fill_rectangle(canvas.gc, 600, 400, 2, 16)
        canvas.screen.connection.sync()

    return step


def _film_of(width: int, height: int) -> Callable[[Canvas], Callable[[int], None]]:
    def prepare(canvas: Canvas) -> Callable[[int], None]:
        pixmaps = [canvas.upload(picture) for picture in film(width, height)]
        at = ((_SIZE[0] - width) // 2, (_SIZE[1] - height) // 2)
        return lambda number: canvas.copy(pixmaps[number % len(pixmaps)], (0, 0), (width, height), at)

    return prepare


def _scroll(canvas: Canvas) -> Callable[[int], None]:
    height = 3 * _SIZE[1]
    pixmap = canvas.upload(page(height))
    most = height - _SIZE[1]
    return lambda number: canvas.copy(pixmap, (0, 7 * number % most), _SIZE, (0, 0))


# Each: what prepares it, and how often a second it paints; None is the recording's own rate.
WORKLOADS: Final[dict[str, tuple[Callable[[Canvas], Callable[[int], None] | None], float | None]]] = {
    "still": (_still, 1.0),
    "caret": (_caret, 2.0),
    "small": (_film_of(200, 100), 10.0),
    "prototype": (_film_of(640, 360), None),
    "quarter": (_film_of(960, 540), None),
    "scroll": (_scroll, None),
    "video": (_film_of(*_SIZE), None),
}


def paint(workload: str, fps: str) -> None:
    """Paint until standard input ends; say "painting" after the first picture."""
    prepare, rate = WORKLOADS[workload]
    canvas = Canvas()
    canvas.copy(canvas.upload(page(_SIZE[1])), (0, 0), _SIZE, (0, 0))
    step = prepare(canvas)
    print("painting", flush=True)
    first, number = time.monotonic(), 0
    while True:
        due = first + number / (rate or float(fps))
        if select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
            return
        number += 1
        if step is not None:
            step(number)


# -- contestants -------------------------------------------------------------------------------------------------------


def display(file: str, fps: str, seconds: str, preset: str) -> None:
    """Start a display, tell its name, authority and server, and record it when told to go."""
    from xshm import VirtualDisplay  # noqa: PLC0415

    before = time.process_time()
    with VirtualDisplay(*_SIZE) as shown:
        started = time.process_time() - before  # no part of a recording
        env = shown.env()
        print(env["DISPLAY"], env["XAUTHORITY"], shown.pid, flush=True)
        sys.stdin.readline()
        with shown.record(file, fps=float(fps), quality="small", options={"preset": preset}):
            time.sleep(float(seconds))
        print("stopped", flush=True)
        sys.stdin.read()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(used.ru_utime + used.ru_stime + started, flush=True)


def no_opencv(file: str, fps: str, seconds: str, preset: str) -> None:
    """Record $DISPLAY where only xshm and PyAV are installed."""
    sys.modules["cv2"] = None  # type: ignore[assignment] # what makes an import fail
    import xshm  # noqa: PLC0415

    with (
        xshm.Screen() as screen,
        screen.record(file, fps=float(fps), quality="small", options={"preset": preset}),
    ):
        time.sleep(float(seconds))


def mss(file: str, fps: str, seconds: str, preset: str) -> None:
    """Record $DISPLAY by mss and PyAV, as its users write it."""
    import av  # noqa: PLC0415
    from mss import mss as grabber  # noqa: PLC0415

    with grabber() as screen, av.open(file, "w") as container:
        stream = container.add_stream("libx264", rate=int(float(fps)), options={"preset": preset})
        stream.width, stream.height = _SIZE
        stream.pix_fmt = "yuv420p"
        first = time.monotonic()
        for number in range(int(float(fps) * float(seconds))):
            time.sleep(max(0.0, first + number / float(fps) - time.monotonic()))
            shot = screen.grab({"left": 0, "top": 0, "width": _SIZE[0], "height": _SIZE[1]})
            pixels = np.frombuffer(shot.raw, np.uint8).reshape(_SIZE[1], _SIZE[0], 4)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "bgra")))
        container.mux(stream.encode())


WORKERS: Final[Mapping[str, Callable[..., None]]] = {
    "paint": paint,
    "display": display,
    "no-opencv": no_opencv,
    "mss": mss,
}

if __name__ == "__main__":
    WORKERS[sys.argv[1]](*sys.argv[2:])
