"""A desktop as a Gymnasium environment: python examples/desktop_env.py [FILE.png]. Needs gymnasium and tkinter.

The agent sees the screen of a program, and clicks. An orange button is somewhere on it; to hit it ends the episode. The
environment owns its display: no screen is needed, and when it is closed, or killed, nothing of it is left.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv

from xshm import VirtualDisplay

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, HEIGHT, CELL = 320, 200, 20
_ORANGE, _GREEN = (255, 127, 0), (0, 160, 0)
# It reads from standard input where the button is to be. The square in the corner has a new colour after each click and
# each line that was read: so a change of it says that all of the window is as it is to be.
_PROGRAM = """
import sys, tkinter as tk
root = tk.Tk(); root.geometry("320x200+0+0")
canvas = tk.Canvas(root, width=320, height=200, background="white", highlightthickness=0); canvas.pack()
button = canvas.create_rectangle(0, 0, 1, 1, width=0)
corner = canvas.create_rectangle(0, 0, 8, 8, width=0, fill="#0000ff")
done = 0
def show(colour):
    global done
    done = (done + 1) % 256
    canvas.itemconfigure(button, fill=colour); canvas.itemconfigure(corner, fill=f"#{done:02x}00ff")
def click(event):
    left, top, right, bottom = canvas.coords(button)
    hit = left <= event.x < right and top <= event.y < bottom
    if not hit:
        canvas.create_oval(event.x - 3, event.y - 3, event.x + 3, event.y + 3, fill="gray", width=0, tags="miss")
    show("#00a000" if hit else "#ff7f00")
def read(file, _):
    x, y = map(int, file.readline().split())
    canvas.coords(button, x, y, x + 40, y + 30); canvas.delete("miss"); show("#ff7f00")
canvas.bind("<Button-1>", click)
root.tk.createfilehandler(sys.stdin, tk.READABLE, read)
root.mainloop()
"""


class DesktopEnv(gymnasium.Env["NDArray[np.uint8]", "NDArray[np.int64]"]):
    """Click the button: an action is a cell of 20 × 20 pixels; a hit is worth 1, each other click -0.05."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012 - Gymnasium's own way

    def __init__(self, render_mode: str | None = None, max_clicks: int = 20) -> None:
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        self.action_space = gymnasium.spaces.MultiDiscrete([WIDTH // CELL, HEIGHT // CELL])
        self._max_clicks = max_clicks
        self._clicks = self._done = 0
        self._display = VirtualDisplay(WIDTH, HEIGHT)
        self._program = self._display.launch([sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, text=True)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begin an episode: the button is where the seed says."""
        super().reset(seed=seed, options=options)
        x, y = self.np_random.integers((10, 10), (WIDTH - 40, HEIGHT - 30))
        self._clicks = 0
        print(x, y, file=self._program.stdin, flush=True)
        self._display.screen.move(WIDTH - 1, HEIGHT - 1)
        return self._seen(), {}

    def step(self, action: NDArray[np.int64]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Click a cell; return what is on the screen then."""
        column, row = map(int, action)
        self._display.screen.click(column * CELL + CELL // 2, row * CELL + CELL // 2)
        self._clicks += 1
        seen = self._seen()
        hit = bool((seen == _GREEN).all(axis=2).any())
        return seen, 1.0 if hit else -0.05, hit, self._clicks >= self._max_clicks and not hit, {}

    def render(self) -> NDArray[np.uint8]:
        """Return the whole screen, the corner included."""
        return self._display.screen.grab().rgb()

    def close(self) -> None:
        """End the program and the display. Twice is fine."""
        self._display.close()
        if self._program.stdin is not None:
            self._program.stdin.close()

    def _seen(self) -> NDArray[np.uint8]:
        """Return the screen once the program has answered, which is when the corner has its next colour."""
        self._done = (self._done + 1) % 256
        seen = self._display.screen.wait_pixel(3, 3, (self._done, 0, 255), timeout=10).rgb()
        seen[:8, :8] = 255  # the corner is not the agent's business
        return seen


def policy(seen: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the cell in the middle of what is orange: what an agent would learn."""
    rows, columns = (seen == _ORANGE).all(axis=2).nonzero()
    return int(columns.mean()) // CELL, int(rows.mean()) // CELL


def main() -> None:
    picture = Path(sys.argv[1] if len(sys.argv) > 1 else "desktop-env.png")
    # spawn: a forked child would have the parent's displays and threads in its memory, and could use none of them.
    with_four = AsyncVectorEnv([DesktopEnv] * 4, context="spawn")
    try:
        seen, _ = with_four.reset(seed=1)
        begin, steps, episodes = time.perf_counter(), 50, 0
        for _ in range(steps):
            # After an episode's end the next step is its reset, whose action does not matter.
            actions = [policy(each) if (each == _ORANGE).all(axis=2).any() else (0, 0) for each in seen]
            seen, rewards, *_ = with_four.step(np.array(actions))
            episodes += int((rewards == 1).sum())
        took = time.perf_counter() - begin
        print(f"{episodes} buttons hit in {4 * steps} steps of 4 environments, {4 * steps / took:.0f} steps a second")
    finally:
        with_four.close()
    env = DesktopEnv("rgb_array")
    env.reset(seed=7)
    for cell in [(1, 1), (8, 5), (14, 8)]:
        env.step(np.array(cell))
    env._display.screen.grab().save(picture)  # noqa: SLF001 - render() would be the same, as an array
    env.close()
    print(picture)


if __name__ == "__main__":
    main()
