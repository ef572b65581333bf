"""A browser test, recorded: python examples/record_test.py [VIDEO.mp4 [PICTURE.png]].

Chromium (Debian: package chromium) shows a form on a virtual display; the test fills it in and checks the answer. Each
step is a chapter of the video, so that a player can go there; the picture has frames of the video beside their times.
Needs PyAV (`pip install xshm[video]`); no network is used.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import av
from PIL import Image, ImageDraw, ImageFont

from xshm import VirtualDisplay

if TYPE_CHECKING:
    from xshm import Recorder, Screen

_PAGE = """<!doctype html><meta charset="utf-8"><title>Sign up</title><style>
  body { margin: 0; font: 22px sans-serif; background: #eef4fa; color: #234 } body > *, form > * { position: absolute }
  h1 { left: 80px; top: 10px; font-size: 30px } form > *, p { left: 80px }
  input, button { font: inherit; box-sizing: border-box; width: 440px; height: 46px }
  input:focus { background: #ffd; outline: 3px solid #e8b339 } button { background: #2b6cb0; color: #fff; border: 0 }
  p { top: 270px; color: #b02b2b; font-weight: bold }</style><h1>Sign up</h1>
<form><input name="name" placeholder="Name" style="top: 90px">
<input name="mail" placeholder="E-mail" style="top: 150px">
<button style="top: 210px">Create the account</button></form><p></p><script>
  document.querySelector("form").onsubmit = event => {
    event.preventDefault(); const mail = event.target.mail.value
    setTimeout(() => document.querySelector("p").textContent =
      mail.includes("@") ? "Welcome!" : "This is no address: " + mail, 200) }
</script>"""
_CHROMIUM = [
    *("chromium", "--kiosk", "--window-position=0,0", "--window-size=800,340", "--no-first-run", "--disable-gpu"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *(["--no-sandbox", "--test-type"] if os.geteuid() == 0 else []),  # the sandbox refuses root
]


def fill_in(screen: Screen, recorder: Recorder) -> None:
    """Test the form: a wrong address is refused, a right one is welcome."""
    steps = (
        ("name", (300, 113), "Ada Lovelace"),
        ("wrong address", (300, 173), "ada"),
        ("send", (300, 233), ""),
        ("right address", (300, 173), "ctrl+a|ada@example.org"),
        ("send again", (300, 233), ""),
    )
    for title, place, text in steps:
        recorder.mark(title)
        with screen.act(quiet=0.5):
            screen.click(*place)
            *keys, words = text.split("|")
            for key in keys:
                screen.press(key)
            screen.type(words)


def contact_sheet(video: str, columns: int = 2) -> Image.Image:
    """Return a picture of the last frame of each chapter, with its time and title."""
    last: dict[str, tuple[float, Any]] = {}
    with av.open(video) as container:
        chapters: Any = container.chapters()
        for frame in container.decode(video=0):
            begun = [each["metadata"]["title"] for each in chapters if each["start"] * each["time_base"] <= frame.time]
            last[begun[-1] if begun else "the form"] = (frame.time, Image.fromarray(frame.to_ndarray(format="rgb24")))
    font = ImageFont.load_default(16)
    width, height = (edge // 2 for edge in last["the form"][1].size)
    step = (width + 8, height + 32)
    sheet = Image.new("RGB", (columns * step[0] + 8, -(-len(last) // columns) * step[1] + 8), (36, 52, 79))
    for number, (title, (time, picture)) in enumerate(last.items()):
        x, y = 8 + number % columns * step[0], 8 + number // columns * step[1]
        ImageDraw.Draw(sheet).text((x + 2, y), f"{time:.2f} s  {title}", (255, 255, 255), font)
        sheet.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (x, y + 24))
    return sheet


def main() -> None:
    video = sys.argv[1] if len(sys.argv) > 1 else "test.mp4"
    with tempfile.TemporaryDirectory() as home, VirtualDisplay(800, 340) as display:
        command = [*_CHROMIUM, f"--user-data-dir={home}", f"--app=data:text/html,{quote(_PAGE)}"]
        with (
            display.launch(command, "Sign up", timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL),
            display.record(video, fps=30, cursor=True) as recorder,
        ):
            fill_in(display.screen, recorder)
    print(f"{video}: {recorder.duration:.1f} s, {recorder.frames} frames, {recorder.bytes / 1000:.0f} kB")
    print(recorder.how)
    if len(sys.argv) > 2:  # noqa: PLR2004 - the picture's name
        contact_sheet(video).save(sys.argv[2])


if __name__ == "__main__":
    main()
