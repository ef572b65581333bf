"""ScreenShotError, the one error of mss: for whatever can't be grabbed, connected to, or found."""

from __future__ import annotations

from typing import Any, Final

from xshm.errors import ServerError, XshmError

_NOT_HERE: Final = "; pass clip=True to cut it"  # a remedy that the grab of mss does not have


class ScreenShotError(Exception):
    """A screenshot that can't be taken; `__cause__` is the error of xshm that says why.

    `details` has the numbers of the X error where the server replied with one, else nothing.
    """

    def __init__(self, message: str, /, *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details = details or {}


def as_screenshot_error(error: XshmError) -> ScreenShotError:
    """Return the error of this interface for one of xshm's, to be raised from it."""
    details: dict[str, Any] = {}
    if isinstance(error, ServerError):
        details = {
            "error": error.name,
            "error_code": error.code,
            "resource_id": error.value,
            "major_code": error.major,
            "minor_code": error.minor,
        }
    return ScreenShotError(str(error).removesuffix(_NOT_HERE), details=details)
