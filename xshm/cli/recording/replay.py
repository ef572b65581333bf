"""The files of `xshm record --keep-last`: one at the end, and one for each SIGUSR1 before.

Each is a file of its own. None is lost for its name: where a file of the name that was asked for has appeared
meanwhile, the time goes into the name.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from xshm.cli.recording.destination import Held, free_names, names_beside, refuse_existing
from xshm.cli.standard_streams import complain
from xshm.errors import InvalidArgument, XshmError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from xshm.record.ring import Ring


class Replay:
    """Writes what a Ring has to files; `size` is that of the video, for names, `describe` an error in one line."""

    def __init__(
        self, ring: Ring, chosen: argparse.Namespace, size: tuple[int, int], describe: Callable[[BaseException], str]
    ) -> None:
        self._ring = ring
        self._file: str | None = chosen.file
        self._container: str | None = chosen.format
        self._overwrite = bool(chosen.overwrite)
        self._size = size
        self._describe = describe

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
        if self._file is None:
            return self._save(self._beside())
        if not self._overwrite:
            try:
                refuse_existing(self._file)
                return self._save([self._file])
            except InvalidArgument:
                name = self._save(self._beside())
                complain(f"xshm: {self._file} has appeared meanwhile, and was left alone; the recording is {name}")
                return name
        self._ring.save(self._file)
        return self._file

    def _beside(self) -> Iterable[str]:
        return free_names(self._size, self._container) if self._file is None else names_beside(self._file)

    def _save(self, names: Iterable[str]) -> str:
        with Held(names) as held:
            self._ring.save(held.name)
            return held.name
