"""The files of `xshm record --keep-last`: one at the end, and one for each SIGUSR1 before.

Each is a file of its own. None is lost for its name: where a file of the name that was asked for has appeared
meanwhile, the time goes into the name.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from xshm.cli.recording.destination import Held, free_names, free_or_beside, names_beside, tell_name
from xshm.cli.standard_streams import complain
from xshm.errors import XshmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xshm.record.ring import Ring
    from xshm.record.sinks.target import Target


class Replay:
    """Writes what a Ring has to files. `size` is None where the target's name was given, else the video's, for names.

    `describe` returns an error as one line.
    """

    def __init__(
        self,
        ring: Ring,
        target: Target,
        size: tuple[int, int] | None,
        describe: Callable[[BaseException], str],
        *,
        overwrite: bool,
    ) -> None:
        self._ring = ring
        self._target = target
        self._size = size
        self._describe = describe
        self._overwrite = overwrite

    def save_meanwhile(self) -> None:
        """Write a file of its own, and print its name; what is wrong with that is said, and the recording goes on."""
        try:
            name = self._save(self._beside())
        except (XshmError, OSError) as error:
            complain(f"xshm: {self._describe(error)}")
            return
        print(name)
        sys.stdout.flush()

    def save_last(self) -> str:
        """Write the file that was asked for, and return its name."""
        path = self._target.path
        if self._size is not None:
            return self._save(self._beside())
        if self._overwrite:
            self._ring.save(path, self._target.container)
            return path
        name = self._save(free_or_beside(path))
        tell_name(path, name)
        return name

    def _beside(self) -> Iterable[str]:
        if self._size is not None:
            return free_names(self._size, self._target.container)
        return names_beside(self._target.path)

    def _save(self, names: Iterable[str]) -> str:
        with Held(names) as held:
            self._ring.save(held.name, self._target.container)
            return held.name
