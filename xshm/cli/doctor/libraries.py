"""Python, and the packages that xshm imports: whether each can be imported, its version, what it is for."""

from __future__ import annotations

import platform
import re
import shlex
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

import xshm
from xshm.cli.doctor.fact import Fact, in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEAST_PYTHON: Final = (3, 11)
_OURS: Final = __name__.partition(".")[0]
_WITH_ISAL: Final = ("x86_64", "aarch64")


class Package(NamedTuple):
    """A package of the index: the module to import, the least version, the extra it is of, what lacks without it.

    Of python-xlib the module is the first of ours that imports it, by way of the file that lists what is used of it.
    """

    name: str
    module: str
    least: str
    extra: str
    without: str


# As pyproject.toml has them; a test compares.
PACKAGES: Final = (
    Package("python-xlib", "xshm.x11.connection", "0.33", "", "no display can be read"),
    Package("numpy", "numpy", "2.0", "", "frames are no arrays"),
    Package("pillow", "PIL.Image", "10", "", "no pictures but PNGs can be read or written"),
    Package("isal", "isal.isal_zlib", "1.5", "", "zlib makes the PNGs, which takes longer"),
    Package(
        "opencv-python-headless", "cv2", "4.8", "fast", "RGB takes 4 times as long; wait_image finds equal pictures"
    ),
    Package("av", "av", "18", "video", "recordings are APNG, GIF, WebP or y4m"),
    Package("tqdm", "tqdm", "4.66", "video", "xshm record has no line of numbers"),
    Package("websockets", "websockets", "15", "live", "no live view in a browser"),
    Package("cryptography", "cryptography", "43", "live", "no live view for VNC clients, whose password needs it"),
    Package("ray", "ray", "2.60", "fleet", "no displays on many machines"),
    Package("pytest", "pytest", "8.1", "pytest", "no plugin for GUI tests"),
    Package("pybind11-pixelmatch", "pybind11_pixelmatch", "0.1.6", "pytest", "assert_screenshot compares nothing"),
)


def libraries() -> Iterator[Fact]:
    """Yield Python, xshm itself, and each package."""
    yield Fact("xshm", f"{xshm.__version__}, in {xshm.__path__[0]}")
    version = platform.python_version()
    if sys.version_info < _LEAST_PYTHON:
        yield Fact("Python", f"{version}; 3.11 is the least", "wrong", "take a newer Python")
    else:
        yield Fact("Python", f"{version}, {sys.executable}")
    for package in PACKAGES:
        yield _examined(package)


def _examined(package: Package) -> Fact:
    needed = not package.extra and (package.name != "isal")
    wanted = f"xshm[{package.extra}]" if package.extra else f"{package.name}>={package.least}"
    remedy = f"{shlex.quote(sys.executable or 'python3')} -m pip install {shlex.quote(wanted)}"
    purpose = f"{package.without}{f' (extra {package.extra})' if package.extra else ''}"
    try:
        import_module(package.module)
    except Exception as error:  # noqa: BLE001 - a library that is broken may raise anything
        if isinstance(error, ModuleNotFoundError) and _is_of_its_own(error.name or "", package):
            if package.name == "isal" and platform.machine() not in _WITH_ISAL:
                return Fact(package.name, f"not for this processor ({platform.machine()}): {package.without}")
            return Fact(package.name, f"not installed: {purpose}", "wrong" if needed else "missing", remedy)
        # Installed and broken is wrong for an optional one, too: it was installed to be used.
        return Fact(package.name, f"can't be imported ({in_words(error)}): {purpose}", "wrong", remedy)
    version = _version(package)
    if _numbers(version) < _numbers(package.least):
        return Fact(package.name, f"{version}; {package.least} is the least: {purpose}", "wrong", remedy)
    return Fact(package.name, version)


def _is_of_its_own(missing: str, package: Package) -> bool:
    """Return whether the module that was not found is the package's, and not one that it needs."""
    root = package.module.partition(".")[0]
    return missing == root or (root == _OURS and not missing.startswith(_OURS))


def _version(package: Package) -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - only a doctor needs it

    try:
        return version(package.name)
    except PackageNotFoundError:  # OpenCV by the distribution, or under another name (opencv-python)
        root = package.module.partition(".")[0]
        unknown = "of an unknown version"
        return unknown if root == _OURS else str(getattr(sys.modules[root], "__version__", unknown))


def _numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers; those of an unknown one are taken to be new enough."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else (sys.maxsize,)
