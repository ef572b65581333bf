"""The contestants of grab.py: `python grabbers.py NAME PRODUCT DISPLAY WIDTH HEIGHT` grabs as rounds.py tells it to.

Each is used as its own documentation shows for many pictures in a row. "array" is what it gives itself: an array
(xshm, fastgrab), bytes (mss, python-xlib, PyAV, GStreamer), a Pillow image; "rgb" is three bytes a pixel, "png" a
file's bytes. Some pixels of each are read. gi, GStreamer's own binding, is of the system's Python, so nothing else is
imported here by all.
"""

from __future__ import annotations

import contextlib
import io
import sys
from typing import TYPE_CHECKING, Any

from rounds import serve, touched, touched_array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_AHEAD = 4  # pictures that GStreamer may have before they are asked for


def _file(made: bytes) -> int:
    """Tell files apart by the checksum of their last pixels."""
    return int.from_bytes(made[-16:-12], "big")


def ours(product: str, display: str, width: int, height: int) -> None:
    import xshm  # noqa: PLC0415 - a contestant loads only its own library

    screen, region = xshm.Screen(display), xshm.Rect(0, 0, width, height)
    if product == "rgb":
        import numpy as np  # noqa: PLC0415

        out = np.empty((height, width, 3), np.uint8)
        serve(lambda: touched_array(screen.grab(region).rgb(out=out)))
    elif product == "png":
        import numpy  # noqa: F401, ICN001, PLC0415 - as after a process's first eight pictures

        serve(lambda: _file(screen.grab(region).png()))
    else:
        serve(lambda: touched_array(screen.grab(region).pixels))


def mss(product: str, display: str, width: int, height: int) -> None:
    from mss import MSS, tools  # noqa: PLC0415

    grabber = MSS(display=display)
    region = {"left": 0, "top": 0, "width": width, "height": height}

    def png() -> int:
        shot = grabber.grab(region)
        made = tools.to_png(shot.rgb, shot.size)
        assert made
        return _file(made)

    ways = {"array": lambda: touched(grabber.grab(region).raw), "rgb": lambda: touched(grabber.grab(region).rgb)}
    serve((ways | {"png": png})[product])


def mss_opencv(product: str, display: str, width: int, height: int) -> None:
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    from mss import MSS  # noqa: PLC0415

    grabber = MSS(display=display)
    region = {"left": 0, "top": 0, "width": width, "height": height}

    def rgb() -> int:
        return touched_array(cv2.cvtColor(np.asarray(grabber.grab(region)), cv2.COLOR_BGRA2RGB))

    def png() -> int:
        pixels = cv2.cvtColor(np.asarray(grabber.grab(region)), cv2.COLOR_BGRA2BGR)
        return _file(cv2.imencode(".png", pixels)[1].tobytes())

    serve({"rgb": rgb, "png": png}[product])


def fastgrab(product: str, _: str, width: int, height: int) -> None:
    import numpy as np  # noqa: PLC0415
    from fastgrab.screenshot import Screenshot  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    grabber = Screenshot("x11")  # of $DISPLAY

    def array() -> Any:
        return grabber.capture((0, 0, width, height))

    def rgb() -> Any:
        return np.ascontiguousarray(array()[..., 2::-1])

    ways = {
        "array": lambda: touched_array(array()),
        "rgb": lambda: touched_array(rgb()),
        "png": lambda: _file(_saved(Image.fromarray(rgb()))),
    }
    serve(ways[product])


def _saved(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _of_images(grab: Callable[[], Any], product: str, height: int) -> None:
    """Serve a library that gives Pillow's images; they are RGB."""

    def array() -> int:
        image = grab()
        corners = {(0, 0), (0, height // 4), (0, height // 2), (0, height * 3 // 4)}
        return sum(sum(image.getpixel(corner)) for corner in corners)

    serve((lambda: _file(_saved(grab()))) if product == "png" else array)


def pillow(product: str, display: str, width: int, height: int) -> None:
    from PIL import ImageGrab  # noqa: PLC0415

    # It always fetches the whole screen, and crops.
    _of_images(lambda: ImageGrab.grab((0, 0, width, height), xdisplay=display), product, height)


def pyscreenshot(product: str, _: str, width: int, height: int) -> None:
    from pyscreenshot import grab  # noqa: PLC0415

    # Its own table of speeds has this as the fastest way.
    _of_images(lambda: grab((0, 0, width, height), childprocess=False, backend="mss"), product, height)


def python_xlib(_: str, display: str, width: int, height: int) -> None:
    from Xlib import X  # noqa: PLC0415
    from Xlib.display import Display  # noqa: PLC0415

    root = Display(display).screen().root
    serve(lambda: touched(root.get_image(0, 0, width, height, X.ZPixmap, 0xFFFFFFFF).data))


def ffmpeg(product: str, display: str, width: int, height: int) -> None:
    import av  # noqa: PLC0415

    options = {"framerate": "100000", "video_size": f"{width}x{height}", "draw_mouse": "0"}
    frames = av.open(display, format="x11grab", options=options).decode(video=0)
    if product == "rgb":
        serve(lambda: touched_array(next(frames).to_ndarray(format="rgb24")))
    else:
        serve(lambda: touched(memoryview(next(frames).planes[0]).cast("B")))


def gstreamer(product: str, display: str, width: int, height: int) -> None:
    """Pull from an appsink; the pipeline grabs ahead, in its own threads; what it had before a turn is dropped."""
    import gi  # noqa: PLC0415

    gi.require_version("Gst", "1.0")
    gi.require_version("GstApp", "1.0")
    from gi.repository import Gst, GstApp  # noqa: F401, PLC0415 - GstApp gives the sink its methods

    Gst.init(None)
    source = f"ximagesrc display-name={display} use-damage=false show-pointer=false"
    source += f" startx=0 starty=0 endx={width - 1} endy={height - 1}"
    rgb = " ! videoconvert ! video/x-raw,format=RGB" if product == "rgb" else ""
    sink = "appsink name=sink sync=false max-buffers=1 drop=false"
    pipeline = Gst.parse_launch(f"{source} ! video/x-raw,framerate=10000/1{rgb} ! {sink}")
    pull = pipeline.get_by_name("sink").pull_sample

    def array() -> int:
        buffer = pull().get_buffer()
        _, mapped = buffer.map(Gst.MapFlags.READ)
        try:
            return touched(mapped.data)
        finally:
            buffer.unmap(mapped)

    @contextlib.contextmanager
    def turn() -> Iterator[None]:
        pipeline.set_state(Gst.State.PLAYING)
        for _ in range(_AHEAD):
            if pull() is None:
                sys.exit("the pipeline gives no picture")
        yield
        pipeline.set_state(Gst.State.PAUSED)

    with turn():
        pass
    serve(array, turn=turn)


_ARRAYS = ("array",)
_ALL = ("array", "rgb", "png")
# Name: what serves it, its products.
CONTESTANTS: dict[str, tuple[Callable[[str, str, int, int], None], tuple[str, ...]]] = {
    "xshm": (ours, _ALL),
    "mss": (mss, _ALL),
    "mss and OpenCV": (mss_opencv, ("rgb", "png")),
    "fastgrab": (fastgrab, _ALL),
    "Pillow ImageGrab": (pillow, _ALL),
    "pyscreenshot": (pyscreenshot, _ALL),
    "python-xlib": (python_xlib, _ARRAYS),
    "ffmpeg x11grab, by PyAV": (ffmpeg, ("array", "rgb")),
    "GStreamer ximagesrc": (gstreamer, ("array", "rgb")),
}

if __name__ == "__main__":
    name, product, display, width, height = sys.argv[1:]
    CONTESTANTS[name][0](product, display, int(width), int(height))
