"""VNC clients see what the screen shows: a client of the tests' own, and those that people have.

The programs: vncsnapshot, TigerVNC's vncviewer in an X server of its own, and noVNC in Chromium; each looks at a server
of TigerVNC's too, the reference.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest
from devtools import Browser, needs_chromium
from displays import painting
from painter import Painter
from PIL import Image
from programs import eventually
from servers import start
from vnc import PASSWORD, RAW, TIGHT, ZLIB, ZRLE, Served, VncClient, password_file

import xshm
from xshm.live.channel import Channel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

_FORMATS = {
    "native": (32, 24, 0, 1, 255, 255, 255, 16, 8, 0),
    "turned": (32, 24, 1, 1, 255, 255, 255, 0, 8, 16),
    "high": (32, 24, 0, 1, 255, 255, 255, 24, 16, 8),
    "10 bits": (32, 30, 0, 1, 1023, 1023, 1023, 20, 10, 0),
    "16": (16, 16, 0, 1, 31, 63, 31, 11, 5, 0),
    "16 turned": (16, 15, 1, 1, 31, 31, 31, 10, 5, 0),
    "8": (8, 8, 0, 1, 7, 7, 3, 0, 3, 6),
    "colour map": (8, 8, 0, 0, 0, 0, 0, 0, 0, 0),
}


@pytest.fixture
def served(xvfb: Server) -> Iterator[Served]:
    with xshm.Screen(xvfb.name) as screen:
        channel = Channel(1, "a title", screen, None, fps=200)
        with Served(channel) as served:
            yield served
        channel.close()


def _expected(rgb: Any, fields: tuple[int, ...]) -> Any:
    if not fields[3]:
        fields = _FORMATS["8"]
    maxima = np.array(fields[4:7], np.uint32)
    return (rgb.astype(np.uint32) * maxima * 2 + 255) // 510


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        *((TIGHT, name) for name in _FORMATS),
        *((ZRLE, name) for name in ("native", "turned", "high", "10 bits", "16")),
        *((ZLIB, "native"), (RAW, "native"), (RAW, "16 turned")),
    ],
)
def test_a_client_has_the_screen_in_its_encoding_and_format(
    served: Served, screen: xshm.Screen, painter: Painter, encoding: int, name: str
) -> None:
    painter.fill((0, 0, 1280, 800), (10, 20, 30))
    painter.rectangles(20)
    painter.noise((100, 100, 130, 67))
    painter.fill((700, 100, 301, 203), (255, 255, 255))
    painter.fill((703, 105, 150, 99), (0, 0, 0))
    fields = _FORMATS[name]
    with VncClient(served.port) as client:
        client.set_format(*fields)
        if not fields[3]:
            client.format = _FORMATS["8"]
        client.set_encodings(encoding)
        client.update(incremental=False)
        assert np.array_equal(client.rgb(), _expected(screen.grab().rgb(), fields))
        for _ in range(3):
            painter.rectangles(3)
            painter.fill((5, 5, 1, 1), (1, 2, 3))
            wanted = _expected(screen.grab().rgb(), fields)
            eventually(lambda wanted=wanted: client.update() or np.array_equal(client.rgb(), wanted))  # type: ignore[misc]
        assert set(client.encodings) == {encoding}


@pytest.mark.parametrize("version", [b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.889\n"])
def test_each_version_is_spoken(served: Served, version: bytes) -> None:
    with VncClient(served.port, version=version) as client:
        assert client.name == "a title"
        client.update(incremental=False)
        assert client.pixels.shape == (800, 1280)


def test_jpeg_is_followed_by_what_is_exact(served: Served, screen: xshm.Screen, painter: Painter) -> None:
    painter.noise((0, 0, 1280, 800))
    with VncClient(served.port) as client:
        client.set_encodings(TIGHT, -26)
        client.update(incremental=False)
        wanted = screen.grab().rgb()
        assert client.jpegs
        assert not np.array_equal(client.rgb(), wanted)
        began = time.monotonic()
        while not np.array_equal(client.rgb(), wanted):
            client.update()
        assert time.monotonic() - began < 1
        jpegs = client.jpegs
        painter.fill((5, 5, 10, 10), (1, 2, 3))
        client.update()
        assert client.jpegs == jpegs


# -- what people have --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown() -> Iterator[xshm.VirtualDisplay]:
    """Give a screen of its own with flat surfaces and noise."""
    with xshm.VirtualDisplay(640, 480) as display:
        with painting(display) as painter:
            painter.fill((0, 0, 640, 480), (10, 60, 220))
            painter.rectangles(12)
            painter.noise((300, 200, 320, 250))
        yield display


@pytest.fixture(scope="module")
def view(shown: xshm.VirtualDisplay) -> Iterator[xshm.LiveView]:
    with shown.live(vnc_port=0, vnc_password=PASSWORD) as view:
        yield view


def _needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def _vnc_address(view: xshm.LiveView) -> str:
    assert view.vnc is not None
    return f"{view.vnc[0]}::{view.vnc[1]}"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, xshm.Screen]]:
    """Give the address of TigerVNC's server, and its screen."""
    if shutil.which("Xvnc") is None:
        pytest.skip("Xvnc is not installed")
    home = tmp_path_factory.mktemp("reference")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ("-SecurityTypes", "VncAuth", "-PasswordFile", str(password_file(home / "password")), "-localhost")
    # The last ones count: a port for VNC, and the password.
    with start("Xvnc", 640, 480, 24, "-rfbunixpath", "", "-rfbport", str(port), *options) as server:
        with Painter(server) as painter:
            painter.rectangles(12)
            painter.noise((300, 200, 320, 250))
        with xshm.Screen(server.name) as screen:
            yield f"127.0.0.1::{port}", screen


def _snapshot(address: str, tmp_path: Path) -> Any:
    """Return what vncsnapshot sees, (height, width, 3): a JPEG of its best quality."""
    path = tmp_path / "snapshot.jpg"
    host, _, port = address.partition("::")
    command = ["vncsnapshot", "-passwd", str(password_file(tmp_path / "password")), "-quality", "100", "-nojpeg"]
    command += ["-encodings", "tight", f"{host}:{int(port) - 5900}", str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=20)
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


@_needs("vncsnapshot")
def test_vncsnapshot_sees_the_screen(view: xshm.LiveView, shown: xshm.VirtualDisplay, tmp_path: Path) -> None:
    far = np.abs(_snapshot(_vnc_address(view), tmp_path) - shown.screen.grab().rgb()).mean()
    # A JPEG of noise is not exact; of the wrong picture it is off by 60 or more.
    assert far < 8


@_needs("vncviewer")
@pytest.mark.parametrize(
    "options",
    [
        ("-PreferredEncoding=Tight",),
        pytest.param(("-PreferredEncoding=ZRLE", "-NoJPEG"), marks=pytest.mark.proof),
    ],
)
def test_vncviewer_shows_the_screen_exactly(
    view: xshm.LiveView, shown: xshm.VirtualDisplay, tmp_path: Path, options: tuple[str, ...]
) -> None:
    with xshm.VirtualDisplay(640, 480) as desk:
        command = ["vncviewer", f"-passwd={password_file(tmp_path / 'password')}", "-FullScreen", "-AutoSelect=0"]
        viewer = desk.launch([*command, *options, _vnc_address(view)], env={"HOME": str(tmp_path)})
        eventually(lambda: np.array_equal(desk.screen.grab().rgb(), shown.screen.grab().rgb()))
        with painting(shown) as painter:
            painter.rectangles(3)
            painter.noise((20, 20, 300, 300))
        eventually(lambda: np.array_equal(desk.screen.grab().rgb(), shown.screen.grab().rgb()))
        viewer.end()


@pytest.mark.proof
@_needs("vncviewer")
def test_vncviewer_shows_the_reference_exactly(reference: tuple[str, xshm.Screen], tmp_path: Path) -> None:
    address, screen = reference
    with xshm.VirtualDisplay(640, 480) as desk:
        command = ["vncviewer", f"-passwd={password_file(tmp_path / 'password')}", "-FullScreen", "-AutoSelect=0"]
        viewer = desk.launch([*command, "-NoJPEG", address], env={"HOME": str(tmp_path)})
        eventually(lambda: np.array_equal(desk.screen.grab().rgb(), screen.grab().rgb()))
        viewer.end()


@needs_chromium
def test_novnc_shows_the_screen_exactly(view: xshm.LiveView, shown: xshm.VirtualDisplay, tmp_path: Path) -> None:
    if not _NOVNC.exists():
        pytest.skip("noVNC is not installed")
    with _Site(_NOVNC, view) as site, Browser(tmp_path) as browser:
        page = browser.page()
        query = f"host=127.0.0.1&port={site.port}&path=rfb&password={PASSWORD}&view_only=true"
        page.call("Page.navigate", url=f"http://127.0.0.1:{site.port}/vnc_lite.html?{query}")
        canvas = """(() => {
            const found = document.querySelector("#screen canvas");
            if (!found || !found.width) return "";
            const data = found.getContext("2d").getImageData(0, 0, found.width, found.height).data;
            let text = "";
            for (let i = 0; i < data.length; i += 4) text += String.fromCharCode(data[i], data[i + 1], data[i + 2]);
            return btoa(text);
        })()"""

        def is_exact() -> bool:
            found = base64.b64decode(page.run(canvas) or "")
            return found == shown.screen.grab().rgb().tobytes()

        eventually(is_exact)
        with painting(shown) as painter:
            painter.rectangles(3)
        eventually(is_exact)


_NOVNC = Path("/usr/share/novnc")


class _Site:
    """noVNC's files, and the view's /rfb, at one address, as a web server in front of both has them."""

    def __init__(self, root: Path, view: xshm.LiveView) -> None:
        self._root, self._behind = root, int(view.url.rsplit(":", 1)[1].split("/")[0])
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(5)

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._answer, sock=self._socket)
        await self._end.wait()
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")  # a browser connects ahead, too, and asks nothing
            path = head.split()[1].decode().split("?")[0]
            if path == "/rfb":
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._behind)
                far_writer.write(head)
                await asyncio.gather(_copied(reader, far_writer), _copied(far_reader, writer))
                return
            file = self._root / path.lstrip("/")
            kind = {".js": "text/javascript", ".html": "text/html", ".css": "text/css"}.get(file.suffix, "text/plain")
            body = file.read_bytes() if file.is_file() else b""
            status = "200 OK" if file.is_file() else "404 Not Found"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n".encode())
            writer.write(b"Connection: close\r\n\r\n" + body)
            await writer.drain()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer), contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
