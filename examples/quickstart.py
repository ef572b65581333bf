"""A virtual display with a few programs on it, and its picture as a numpy array and as a PNG.

python examples/quickstart.py [FILE.png]
"""

from __future__ import annotations

import statistics
import sys
import time

from xshm import VirtualDisplay

# What the terminal shows: the code that photographs it, and every colour there is.
_PAGE = r"""
import math, signal
def c(r, g, b): return f"\033[38;2;{r};{g};{b}m"
blue, green, grey, plain = c(130, 170, 255), c(195, 232, 141), c(110, 120, 140), c(222, 226, 234)
print(f'''
  {blue}import{plain} xshm

  {blue}with{plain} xshm.VirtualDisplay({green}1280{plain}, {green}800{plain}) {blue}as{plain} display:
      display.launch({green}"xclock"{plain})
      frame = display.screen.grab()
      frame.pixels   {grey}# numpy, over shared memory: B G R X{plain}
      frame.save({green}"shot.png"{plain})
''')
for row in range(9):
    print("  ", end="")
    for column in range(62):
        hue, shade = column / 62 * 2 * math.pi, 1 - abs(row - 4) / 9
        r, g, b = (int(255 * shade * (0.5 + 0.5 * math.cos(hue - turn))) for turn in (0, 2.1, 4.2))
        print(f"\033[48;2;{r};{g};{b}m ", end="")
    print("\033[0m")
print("\033[?25l\033]0;drawn\a", end="", flush=True)  # no caret, and a title that can be waited for
signal.pause()
"""


def main() -> None:
    file = sys.argv[1] if len(sys.argv) > 1 else "xshm-quickstart.png"
    start = time.perf_counter()
    with VirtualDisplay(1280, 800) as display:
        print(f"display   {display.name}, an Xvfb, ready after {(time.perf_counter() - start) * 1e3:.0f} ms")
        display.run(["xsetroot", "-solid", "#24344f"]).wait()
        display.launch(["xclock", "-render", "-update", "60", "-padding", "14", "-geometry", "320x320+60+60"])
        display.launch(["xlogo", "-render", "-fg", "#c0392b", "-geometry", "320x300+60+440"])
        display.launch(["xeyes", "-geometry", "300x141+680+600"])
        terminal = ["xterm", "-fa", "DejaVu Sans Mono", "-fs", "13", "-bg", "#12161f", "-fg", "#dee2ea", "-b", "16"]
        terminal += ["-geometry", "68x22+440+60", "-e", sys.executable, "-c", _PAGE]
        display.launch(terminal, window="drawn")
        print(f"programs  four of them, painted and at rest after {(time.perf_counter() - start) * 1e3:.0f} ms")

        screen = display.screen
        frame = screen.grab()
        print(f"frame     {frame.pixels.shape} {frame.pixels.dtype}, numpy's view of memory shared with the server")
        print(f"          by {screen.transport.kind}: {screen.transport.reason}")
        print(f"          first pixels, as blue, green, red and a spare byte: {frame.pixels[0, :2].tolist()}")

        took = []
        for _ in range(300):
            begin = time.perf_counter_ns()
            screen.grab()
            took.append(time.perf_counter_ns() - begin)
        print(f"grab      {statistics.median(took) / 1e3:.0f} µs, the median of {len(took)}")

        begin = time.perf_counter_ns()
        frame.save(file)
        print(f"saved     {file}, in {(time.perf_counter_ns() - begin) / 1e6:.0f} ms")


if __name__ == "__main__":
    main()
