"""ServerCommand: the command line of a server before its display's directories are known, and what belongs to it.

A kind of server makes it (`kind`); `servers` starts it, and knows no kind by its name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

DISPLAY_NUMBER_FD: Final = "3"  # of the server, which writes its display number there (-displayfd)


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """What is run for a display: `program` with `options` of the display's, and then the caller's own `args`.

    `name` is the server's in messages. `framebuffers`: the option that takes the directory of framebuffers, "" for a
    server that has none in files; `makes_segments`: it makes System V segments. `files`: options that take a path, each
    with the file's name in the private directory. `compositor`: the command line of a Wayland compositor, which runs
    as long as the server does, () for a server that needs none. Its last word, an option, gets a path in the private
    directory, by which its process is found.
    """

    name: str
    program: str
    options: tuple[str, ...]
    args: tuple[str, ...] = ()
    framebuffers: str = ""
    makes_segments: bool = False
    files: tuple[tuple[str, str], ...] = ()
    compositor: tuple[str, ...] = ()

    def with_options(self, *options: str) -> ServerCommand:
        """Return the same with further options of the display's."""
        return replace(self, options=(*self.options, *options))

    def words(self, directory: str, framebuffers: str) -> list[str]:
        """Return the command line for a display with this private directory, and this one for framebuffers ("": none).

        The options of every display come before any that could swallow them (-I).
        """
        placed = [word for option, name in self.files for word in (option, f"{directory}/{name}")]
        if framebuffers and self.framebuffers:
            placed += [self.framebuffers, framebuffers]
        every = ["-auth", f"{directory}/Xauthority", "-displayfd", DISPLAY_NUMBER_FD]
        return [self.program, *every, *placed, *self.options, *self.args]

    def compositor_words(self, mark: str) -> list[str]:
        """Return the compositor's command line with the path that marks its process; [] for none."""
        return [*self.compositor[:-1], f"{self.compositor[-1]}={mark}"] if self.compositor else []
