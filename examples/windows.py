"""List the windows of $DISPLAY, and save each, though others cover it: `python examples/windows.py [DIRECTORY]`."""

from __future__ import annotations

import sys
from pathlib import Path

import xshm


def main() -> None:
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "windows")
    with xshm.Screen() as screen:
        directory.mkdir(parents=True, exist_ok=True)
        for monitor in screen.monitors:
            print(f"monitor {monitor.name}: {monitor.rect}{', primary' if monitor.primary else ''}")
        for info in screen.windows():  # from the bottom to the top
            seen = "visible" if info.visible else "hidden"
            print(f"{info.id:#x}  {info.rect!s:>20}  {seen:<7}  pid {info.pid}  {info.class_name}  {info.title!r}")
            try:
                with screen.window(info) as window:
                    window.grab().save(directory / f"{info.id:#x}.png")
            except xshm.WindowError as error:  # it has gone, or was unmapped, since it was listed
                print(f"  {error}")


if __name__ == "__main__":
    main()
