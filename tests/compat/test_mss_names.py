"""All that mss makes public has its name here too, found by looking through mss itself; what has not is listed."""

from __future__ import annotations

import importlib
import inspect
import types
from typing import Any

import pytest

_MODULES = ("", ".base", ".exception", ".factory", ".linux", ".models", ".screenshot", ".tools", ".__main__")
# What is mss's own affair: the backends that Screen stands for, and ctypes's view of Xlib in one of them.
_LEFT_OUT = {
    ".base": {"MSSImplementation", "OPAQUE"},
    ".linux": {
        *("CFUNCTIONS", "Display", "MSSImplementation", "PLAINMASK", "XErrorEvent", "XFixesCursorImage", "XImage"),
        *("XRRCrtcInfo", "XRRModeInfo", "XRRScreenResources", "XWindowAttributes", "ZPIXMAP", "choose_impl"),
    },
}
# Imported there for mss's own use.
_FOREIGN = {
    "ABC",
    "ArgumentError",
    "ArgumentParser",
    "Any",
    "Lock",
    "NamedTuple",
    "TYPE_CHECKING",
    "UTC",
    "annotations",
}
_FOREIGN |= {"abstractmethod", "datetime"}


def _public(module: types.ModuleType) -> set[str]:
    names = {name for name in dir(module) if not name.startswith("_")} - _FOREIGN
    return {name for name in names if not isinstance(getattr(module, name), types.ModuleType)}


@pytest.mark.parametrize("part", _MODULES)
def test_every_public_name_of_a_module_is_there(part: str) -> None:
    real, ours = importlib.import_module(f"mss{part}"), importlib.import_module(f"xshm.compat.mss{part}")
    left_out = _LEFT_OUT.get(part, set())
    assert _public(real) - set(dir(ours)) == left_out, "add it, or list it with those that are left out"
    assert set(getattr(real, "__all__", ())) <= set(dir(ours))


def test_every_module_is_an_attribute_of_the_package() -> None:
    real, ours = importlib.import_module("mss"), importlib.import_module("xshm.compat.mss")
    modules = {name for name in dir(real) if isinstance(getattr(real, name), types.ModuleType)}
    assert {name for name in modules if not name.startswith("_")} <= set(dir(ours))
    assert ours.__version__ == real.__version__


@pytest.mark.parametrize(
    "path", ["MSS", "base.MSSBase", "ScreenShot", "ScreenShotError", "linux.MSS", "models.Pos", "models.Size"]
)
def test_every_public_attribute_of_a_class_is_there(path: str) -> None:
    real, ours = _at("mss", path), _at("xshm.compat.mss", path)
    names = {name for name in dir(real) if not name.startswith("_") or name in {"__enter__", "__array_interface__"}}
    assert names <= set(dir(ours))
    for name in names:
        assert callable(getattr(ours, name)) == callable(getattr(real, name))


@pytest.mark.parametrize(
    "path",
    [
        *("MSS.grab", "MSS.save", "MSS.shot", "MSS.close", "mss", "tools.to_png", "tools.parse_edid"),
        *("ScreenShot", "ScreenShot.from_size", "ScreenShot.pixel", "ScreenShotError", "models.Pos", "models.Size"),
    ],
)
def test_arguments_have_the_same_names_kinds_and_defaults(path: str) -> None:
    real, ours = (inspect.signature(_at(library, path)) for library in ("mss", "xshm.compat.mss"))
    assert [(each.name, each.kind, each.default) for each in ours.parameters.values()] == [
        (each.name, each.kind, each.default) for each in real.parameters.values()
    ]


def test_mss_is_opened_by_the_same_arguments() -> None:
    real, ours = (set(inspect.signature(_at(library, "MSS")).parameters) for library in ("mss", "xshm.compat.mss"))
    assert ours == real


@pytest.mark.parametrize("module", ["mss", "mss11"])
def test_both_interfaces_have_the_same_modules(module: str) -> None:
    for part in _MODULES:
        importlib.import_module(f"xshm.compat.{module}{part}")


def _at(library: str, path: str) -> Any:
    found: Any = importlib.import_module(library)
    for name in path.split("."):
        if not hasattr(found, name):
            importlib.import_module(f"{library}.{name}")
        found = getattr(found, name)
    return found
