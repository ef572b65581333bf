"""The rooms of xshm are built on each other in one order, and each import is no heavier than it must be."""

from __future__ import annotations

import ast
import copy
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from xshm._numpy import np

_PACKAGE = Path(__file__).parent.parent / "xshm"

# From the ground up: a room imports only from rooms above it in this list. Annotations (TYPE_CHECKING) may look
# anywhere. Several on a line are one idea in several files; they have an order too.
_FLOORS = (
    "errors printable checks",
    "later limits x11 x11.kernel user_namespace",
    "descriptor polling atomic_write",
    "sysv_layouts sysv own_segments",
    "geometry",
    "pixels channels opencv packing alpha convert nearest paint palette png_file plain_palette plain_png png",
    "bounding_shape encode picture_headers picture_file compare dlpack read_only_array frame shades",
    "x11.deadlines",
    "memory",
    "x11.address x11.peer x11.xauth x11.messages x11.decoding x11.replies x11.holdings",
    "x11.late_errors x11.incoming x11.outgoing x11.wire",
    "x11.mit_shm x11.core x11.server_grab",
    "x11.put x11.visuals x11.colormap x11.randr x11.extent x11.text x11.outputs x11.composite",
    "x11.xfixes x11.regions x11.hidden x11.damage",
    "x11.structure x11.shape x11.keyboard x11.ewmh x11.look x11.tree x11.toplevel x11.processes x11.arrivals",
    "x11.same_server",
    "x11.colour_cube x11.handshake x11.connection x11.xlib_display",
    "x11.pointing transport",
    "blend cursor drawn canvas bands changes stream search template waiting",
    "taking drawable window_list backing window pixmap edid monitors screen last_picture",
    "picture shared_pixmap frame_memory buffers blit presenter events target way surface mirror",
    "xwd framebuffer_file framebuffer",
    "process_groups descendants program_groups display_files lifeline remains log_tee server_log launch supervisor",
    "supervision painted shell_script marked_start program",
    "display_spec display_start server_memory virtual_display",
    "standard_streams error_line table options",
    "orphans run_arguments run",
    "record",
    "__init__",
    "pytest_plugin",
    "shot wait picture_diff view windows_command monitors_command cli __main__",
)
_ROOMS = " ".join(_FLOORS).split()

_FILES = {
    ".".join(path.relative_to(_PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(_PACKAGE.rglob("*.py"))
}


def _imports(tree: ast.AST) -> list[str]:
    """Return the full name of all that is imported anywhere in a module, but for what only a type checker sees."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            found += [name for part in node.orelse for name in _imports(ast.Module([part], []))]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: name the module in full, not by dots"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            found += _imports(node)
    return found


def _room(imported: str) -> str | None:
    """Return the room that "xshm.image.frame.Frame" lies in; names of the package itself are `__init__`'s."""
    if imported != "xshm" and not imported.startswith("xshm."):
        return None
    name = imported.removeprefix("xshm").removeprefix(".")
    while name and name not in _FILES:
        name = name.rpartition(".")[0]
    return name or "__init__"


@pytest.mark.parametrize("room", _FILES)
def test_a_room_imports_only_from_rooms_above_it(room: str) -> None:
    assert room in _ROOMS, f"xshm.{room} is a new room: add it to the list in {Path(__file__).name}, where it belongs"
    imports = _imports(ast.parse(_FILES[room].read_text()))
    below = {other for other in map(_room, imports) if other and other != room and other in _ROOMS}
    wrong = [other for other in sorted(below) if _ROOMS.index(other) > _ROOMS.index(room)]
    assert not wrong, f"xshm.{room} imports from {wrong}, which are built on it"


@pytest.mark.parametrize("room", [room for room in _FILES if not room.startswith("x11")])
def test_only_the_x11_rooms_import_python_xlib(room: str) -> None:
    imports = _imports(ast.parse(_FILES[room].read_text()))
    wrong = [name for name in imports if name == "Xlib" or name.startswith("Xlib.")]
    assert not wrong, f"xshm.{room} imports {wrong}; python-xlib is spoken in xshm.x11 alone"


@pytest.mark.parametrize("statement", ["import xshm", "from xshm import sysv", "from xshm import errors"])
def test_an_import_loads_no_heavy_library(statement: str) -> None:
    program = f"import sys\n{statement}\nprint(*sorted({{'numpy', 'PIL', 'Xlib', 'cv2', 'av'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


@pytest.mark.parametrize("module", ["screen", "shot", "cli", "encode", "window", "window_list"])
def test_what_a_screenshot_takes_is_imported_without_arrays(module: str) -> None:
    program = f"import sys\nimport xshm.{module}\nprint(*sorted({{'numpy', 'PIL', 'cv2', 'av'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_what_stands_for_numpy_is_copied_and_pickled_as_itself() -> None:
    assert copy.deepcopy(np) is copy.copy(np) is pickle.loads(pickle.dumps(np)) is np  # noqa: S301 - our own


def test_the_order_is_checked_for_imports_inside_functions_and_not_for_annotations() -> None:
    source = "import a.b\nif TYPE_CHECKING:\n    import c\nelse:\n    import d\ndef f():\n    from e.f import g, h"
    assert _imports(ast.parse(source)) == ["a.b", "d", "e.f.g", "e.f.h"]
