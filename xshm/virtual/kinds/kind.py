"""Kind: what a kind of server can do, and how it is started; its subclasses are the kinds.

Always true: what a server can't do is refused in words that name it, before anything is started. Nothing that was asked
for is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from xshm.virtual.kinds.server_command import ServerCommand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from xshm.virtual.kinds.installed import ServerKind

# Options of all X servers that a display passes itself, and what to use instead: a server takes the last of two, and
# the promises of VirtualDisplay would not hold.
_OURS: Final = {
    "-dpi": "dpi",
    "-fp": "fonts",
    "-auth": "nothing: every display has a cookie of its own",
    "-displayfd": "nothing: the server chooses its number",
    "-terminate": "nothing: the server ends with the display, not with its first client",
}


class Wanted(Protocol):
    """A description of a display, a DisplaySpec, as far as it concerns the server."""

    @property
    def width(self) -> int:
        """Pixels in a row of the first screen."""

    @property
    def height(self) -> int:
        """Rows of it."""

    @property
    def depth(self) -> int:
        """Bits of its pixels."""

    @property
    def screens(self) -> Sequence[object]:
        """Further screens."""

    @property
    def dpi(self) -> int | None:
        """Dots per inch."""

    @property
    def fonts(self) -> Sequence[str]:
        """Font path elements."""

    @property
    def cursor(self) -> bool:
        """Whether the pointer is painted into the framebuffer."""

    @property
    def args(self) -> Sequence[str]:
        """Further words of the command line."""

    @property
    def framebuffer(self) -> str | Path:
        """Where the screens' memory is to be."""

    @property
    def writable(self) -> bool:
        """Whether the framebuffer is written."""

    @property
    def timeout(self) -> float:
        """Seconds for the start."""

    @property
    def server(self) -> str:
        """The kind that was asked for."""

    def all_screens(self) -> Sequence[object]:
        """Return all screens, each of which is written WIDTHxHEIGHTxDEPTH."""


class Kind:
    """A kind of server: its `name` in parameters, its `title` in messages, and the `depths` that it has.

    `greatest`: pixels of its screen at most, in both directions. `has_framebuffer`: it shares its screen's memory.
    `takes_any_size`: its screen can be resized in every version, without an upper limit that its start set.
    """

    name: ClassVar[ServerKind]
    title: ClassVar[str]
    depths: ClassVar[tuple[int, ...]]
    greatest: ClassVar[int] = 32767
    has_framebuffer: ClassVar[bool] = False
    takes_any_size: ClassVar[bool] = False
    ours: ClassVar[Mapping[str, str]] = _OURS

    def refusal(self, wanted: Wanted) -> str | None:
        """Return what of a display this server can't do, as a clause; None where it can do all."""
        if wanted.screens:
            return f"{self.title} has one screen, not {1 + len(wanted.screens)}"
        if wanted.depth not in self.depths:
            return f"{self.title} has depth {' and '.join(map(str, self.depths))}, not {wanted.depth}"
        if max(wanted.width, wanted.height) > self.greatest:
            most = f"{self.greatest}x{self.greatest}"
            return f"a screen of {self.title} is at most {most}, not {wanted.width}x{wanted.height}"
        if wanted.framebuffer not in ("auto", "none"):
            return f"{self.title} does not share its screen's memory (framebuffer={str(wanted.framebuffer)!r})"
        if wanted.writable or wanted.cursor:
            name = "writable" if wanted.writable else "cursor"
            return f"{self.title} has no framebuffer, which {name}=True is about"
        return None

    def owner_of(self, arg: str) -> str | None:
        """Return what to use in place of an option that the display passes itself; None for any other word."""
        return self.ours.get(arg)

    def command(self, wanted: Wanted, program: str) -> ServerCommand:
        """Return what is run for a display; `program` is the server's path."""
        options = ["-nolisten", "tcp", "-noreset"]
        if wanted.dpi is not None:
            options += ["-dpi", str(wanted.dpi)]
        if wanted.fonts:
            options += ["-fp", ",".join(wanted.fonts)]
        return ServerCommand(self.title, program, tuple(options), tuple(wanted.args))
