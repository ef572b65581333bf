"""How each kind of X server is started: command lines, configuration files, authority files."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
from pathlib import Path

_PACKAGES = {
    "Xvfb": "xvfb",
    "Xvnc": "tigervnc-standalone-server",
    "Xephyr": "xserver-xephyr",
    "Xorg": "xserver-xorg-core",
    "Xwayland": "xwayland",
    "weston": "weston",
}
# Debian's /usr/bin/Xorg is a wrapper that lets only users at the console in; the server itself lies here.
_XORG = Path("/usr/lib/xorg/Xorg")
_DUMMY_DRIVER = Path("/usr/lib/xorg/modules/drivers/dummy_drv.so")
_FAMILY_LOCAL = 256


class MissingProgram(Exception):
    """A program that is not installed; `package` is Debian's package that has it."""

    def __init__(self, program: str, package: str) -> None:
        super().__init__(f"{program} is not installed (Debian: {package})")
        self.package = package


def program(name: str) -> str:
    """Return the path of an installed server or compositor."""
    path = shutil.which(name)
    if path is None:
        raise MissingProgram(name, _PACKAGES[name])
    return path


def command(kind: str, width: int, height: int, depth: int, home: Path) -> list[str]:
    """Return the command line of a server with a screen of that size and depth; its files go to `home`."""
    size = f"{width}x{height}"
    match kind:
        case "Xvfb":
            return [program("Xvfb"), "-screen", "0", f"{size}x{depth}"]
        case "Xvnc":
            # Port -1: none that the whole network could come in by; newer ones then insist on a socket.
            vnc = ["-SecurityTypes", "None", "-rfbport", "-1", "-rfbunixpath", str(home / "vnc")]
            return [program("Xvnc"), "-geometry", size, "-depth", str(depth), *vnc]
        case "Xephyr":
            return [program("Xephyr"), "-screen", f"{size}x{depth}"]
        case "Xorg":
            if not _DUMMY_DRIVER.exists():
                raise MissingProgram("Xorg's dummy driver", "xserver-xorg-video-dummy")
            (home / "xorg.conf").write_text(_xorg_conf(width, height, depth))
            xorg = str(_XORG) if _XORG.exists() else program("Xorg")
            return [xorg, "-config", str(home / "xorg.conf"), "-logfile", str(home / "xorg.log"), "-novtswitch"]
        case "Xwayland":
            # Rootful, it is as large as weston's output up to version 22, and from 23 on 640x480 without -geometry.
            usage = subprocess.run([program("Xwayland"), "-help"], capture_output=True, text=True, check=False).stderr
            return [program("Xwayland"), "-shm", *(["-geometry", size] if "-geometry" in usage else [])]
        case _:
            raise ValueError(f"no such kind of server: {kind!r}")


def weston_command(width: int, height: int, home: Path, ready: Path) -> list[str]:
    """Return the command line of a headless weston that writes its displays' names to the FIFO `ready` once up."""
    tell = home / "tell"
    tell.write_text(f'#!/bin/sh\necho "$WAYLAND_DISPLAY $DISPLAY" > {ready}\n')
    tell.chmod(0o700)
    (home / "weston.ini").write_text(f"[core]\nidle-time=0\n[autolaunch]\npath={tell}\n")
    size = [f"--width={width}", f"--height={height}"]
    return [program("weston"), "--backend=headless-backend.so", f"--config={home / 'weston.ini'}", *size]


def write_authority(path: Path, number: str, cookie: bytes) -> None:
    """Write an Xauthority file that holds one cookie, for the local display of that number ("": of any number)."""
    host = socket.gethostname().encode()
    fields = (host, number.encode(), b"MIT-MAGIC-COOKIE-1", cookie)
    entry = struct.pack(">H", _FAMILY_LOCAL) + b"".join(struct.pack(">H", len(field)) + field for field in fields)
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_bytes(entry)
    new.rename(path)


def _xorg_conf(width: int, height: int, depth: int) -> str:
    # The driver takes pixel clocks of 11 to 300 MHz: with one in between any size passes, at whatever refresh rate.
    timings = f"{width} {width + 16} {width + 32} {width + 48} {height} {height + 3} {height + 6} {height + 12}"
    return f"""
Section "ServerFlags"
  Option "AutoAddDevices" "false"
  Option "AutoAddGPU" "false"
EndSection
Section "Monitor"
  Identifier "monitor"
  HorizSync 1-10000
  VertRefresh 1-10000
  Modeline "mode" 100 {timings}
EndSection
Section "Device"
  Identifier "dummy"
  Driver "dummy"
  VideoRam 262144
EndSection
Section "Screen"
  Identifier "screen"
  Device "dummy"
  Monitor "monitor"
  DefaultDepth {depth}
  SubSection "Display"
    Depth {depth}
    Virtual {width} {height}
    Modes "mode"
  EndSubSection
EndSection
"""
