"""Closing: a context manager whose end is `close`, for what may be closed by hand too, and twice."""

from __future__ import annotations

from typing import Self


class Closing:
    """What has `close`, which `with` calls at its end."""

    def close(self) -> None:
        """Release what it holds. Calling it twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
