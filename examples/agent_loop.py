"""The loop of an agent: look, decide, act, and see what came of it: python examples/agent_loop.py [FILE.png].

It fills in a form in Chromium (Debian: package chromium), on a virtual display. Where a model would decide, a fixed
policy does. The page answers after 300 ms, while a caret blinks in it; no network is used.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING
from urllib.parse import quote

from xshm import VirtualDisplay

if TYPE_CHECKING:
    from xshm import Encoded, Screen

    Action = tuple[str, str | tuple[int, int]]

# Once it has the form's contents, the page has them in its title, which is the window's.
_PAGE = """<!doctype html><meta charset="utf-8"><title>A form</title><style>
  body { margin: 0; font: 20px sans-serif; background: #eef4fa } form > *, p { position: absolute; left: 80px }
  input, button { font: inherit; box-sizing: border-box; width: 400px; height: 40px }
  input:focus { background: #ffd; outline: none }</style>
<form><input name="name" placeholder="Name" style="top: 80px"><input name="city" placeholder="City" style="top: 140px">
<button style="top: 200px">Send</button></form><p style="top: 260px"></p><script>
  document.querySelector("form").onsubmit = event => {
    event.preventDefault(); const sent = [...new FormData(event.target).values()].join(" from ")
    setTimeout(() => { document.title = sent; document.querySelector("p").textContent = `Thank you, ${sent}!` }, 300) }
</script>"""
_CHROMIUM = [
    *("chromium", "--kiosk", "--window-position=0,0", "--window-size=800,400", "--no-first-run", "--disable-gpu"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *(["--no-sandbox", "--test-type"] if os.geteuid() == 0 else []),  # the sandbox refuses root
]
# A place is one in the picture that the policy is shown, which is half as large as the screen.
_PLAN: list[Action] = [
    ("click", (140, 50)),
    ("type", "Ada Lovelace"),
    ("click", (140, 80)),
    ("type", "Zürich"),
    ("click", (140, 110)),
]


def decide(_picture: Encoded, told: list[str]) -> Action | None:
    """Return what to do next, None at the end. A model would see the picture, and read what came of it so far."""
    return _PLAN[len(told)] if len(told) < len(_PLAN) else None


def act(screen: Screen, picture: Encoded, action: Action) -> str:
    """Click or type, wait until the screen has reacted and come to rest, and return what came of it."""
    with screen.act(quiet=0.6) as act:  # longer than the page pauses before it answers
        match action:
            case "click", (x, y):
                screen.click(*picture.to_source(x, y))
            case "type", str(text):
                screen.type(text)
    return act.outcome.summary()


def main() -> None:
    with tempfile.TemporaryDirectory() as home, VirtualDisplay(800, 400) as display:
        command = [*_CHROMIUM, f"--user-data-dir={home}", f"--app=data:text/html,{quote(_PAGE)}"]
        with display.launch(command, "A form", timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            screen, told = display.screen, list[str]()
            while action := decide(picture := screen.grab().encode("JPEG", max_edge=400), told):
                told.append(act(screen, picture, action))
                print(*action, told[-1], sep=": ", flush=True)
            print("the page has received:", screen.windows()[-1].title)
            if len(sys.argv) > 1:
                screen.grab().save(sys.argv[1])


if __name__ == "__main__":
    main()
